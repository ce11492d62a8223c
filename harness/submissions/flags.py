"""What a reader of a board must know about a submission that was accepted."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from harness.data.datasets import Dataset
from harness.metrics import Values, score
from harness.metrics.regression import calibration_slope, corr, mae
from harness.submissions.manifest import NOT_STATED, SubmissionManifest

__all__ = ["Flag", "SubmittedRun", "collapse", "flags_of", "runs_of", "score_runs"]

_CLASSES = 7
"""At most so many different predictions are classes, not scores."""
_FLIPPED = -0.3
_CORRELATED = 0.3
"""Below this correlation a slope says more about noise than about the scale."""
_SLOPE = 2.5


@dataclass(frozen=True)
class Flag:
    """One warning.

    Args:
        kind: Stable key, such as ``near-constant``.
        text: One sentence for people.
    """

    kind: str
    text: str


@dataclass(frozen=True, eq=False, kw_only=True)
class SubmittedRun:
    """One run's predictions beside the labels of the clips it covers.

    Args:
        seed: Its seed, 0 where the file has none.
        ids: (n,) clips.
        pred: (n,) float64.
        truth: (n,) float64.
    """

    seed: int
    ids: tuple[str, ...]
    pred: Values
    truth: Values


def runs_of(predictions: pd.DataFrame, labels: Mapping[str, float]) -> list[SubmittedRun]:
    """Predictions (``id, seed, pred``) by run, sorted by seed; every id must have a label."""
    return [
        SubmittedRun(
            seed=int(part["seed"].iloc[0]),
            ids=tuple(part["id"]),
            pred=part["pred"].to_numpy(dtype=np.float64),
            truth=np.array([labels[clip] for clip in part["id"]], dtype=np.float64),
        )
        for _, part in predictions.groupby("seed")
    ]


def score_runs(
    predictions: pd.DataFrame, labels: Mapping[str, float], dataset: Dataset
) -> dict[int, dict[str, float]]:
    """Every metric of every run on the clips it covers.

    Args:
        predictions: Columns ``id, seed, pred``.
        labels: Clip id -> label, for every id predicted.
        dataset: The dataset they are of.

    Returns:
        Seed -> metric name -> value, NaN where undefined.
    """
    return {
        run.seed: score(run.pred, run.truth, dataset, secondary=True)
        for run in runs_of(predictions, labels)
    }


def flags_of(
    runs: list[SubmittedRun], manifest: SubmissionManifest, expected: int
) -> tuple[Flag, ...]:
    """Everything worth a warning, in the order a board should show it.

    Args:
        runs: The submission's runs, at least one.
        manifest: What its authors state.
        expected: Official number of clips.
    """
    found = [flag for look in _LOOKS for flag in look(runs)]
    return (*found, *_coverage(runs, expected), *_statements(runs, manifest))


def collapse(runs: list[SubmittedRun]) -> Iterator[Flag]:
    """Flags of runs that collapsed: to one number, nearly one, or far from the others."""
    from harness.stats import collapse_of_runs, near_constant  # a file is scored without SciPy

    found = [runs[i] for i in collapse_of_runs([(r.pred, r.truth) for r in runs]).collapsed]
    constant = [run for run in found if run.pred.min() == run.pred.max()]
    near = [r for r in found if r not in constant and near_constant(r.pred, r.truth)]
    far = [run for run in found if run not in constant and run not in near]
    if constant:
        yield Flag("constant", f"every prediction is the same number in {_named(constant, runs)}")
    two = [run for run in near if np.unique(run.pred).size == 2]
    close = [run for run in near if run not in two]
    if two:
        yield Flag(
            "near-constant",
            f"near-constant: every prediction is one of two numbers in {_named(two, runs)}",
        )
    if close:
        ratio = max(_spread(run) for run in close)
        yield Flag(
            "near-constant",
            f"near-constant: predictions spread {ratio:.1%} as much as the labels in"
            f" {_named(close, runs)}",
        )
    if far:
        least = min(mae(run.pred, run.truth) for run in far)
        others = [mae(run.pred, run.truth) for run in runs if run not in found]
        yield Flag(
            "outlying",
            f"outlying: MAE is {least:.3f} or more in {_named(far, runs)}, and"
            f" {statistics.median(others):.3f} in the median of the others",
        )


def _spread(run: SubmittedRun) -> float:
    labels = float(run.truth.std())
    return float(run.pred.std()) / labels if labels else math.inf


def _direction(runs: list[SubmittedRun]) -> Iterator[Flag]:
    flipped = [run for run in runs if corr(run.pred, run.truth) < _FLIPPED]
    if flipped:
        lowest = min(corr(run.pred, run.truth) for run in flipped)
        yield Flag(
            "sign-flipped",
            f"Corr is {lowest:.2f} in {_of(flipped, runs)}: the sign seems to be turned round",
        )


def _scale(runs: list[SubmittedRun]) -> Iterator[Flag]:
    slopes = [calibration_slope(run.pred, run.truth) for run in runs if _is_correlated(run)]
    odd = [slope for slope in slopes if not 1 / _SLOPE <= slope <= _SLOPE]
    if odd:
        furthest = max(odd, key=lambda slope: abs(math.log(slope)))
        yield Flag(
            "scale",
            f"labels rise {furthest:.2f} per unit of prediction: it seems to be another scale",
        )
    shifts = [float(run.pred.mean() - run.truth.mean()) for run in runs]
    far = [s for s, run in zip(shifts, runs, strict=True) if abs(s) > float(run.truth.std())]
    if far:
        furthest = max(far, key=abs)
        yield Flag(
            "shifted",
            f"predictions lie {furthest:+.2f} from the labels on average,"
            " more than the labels' own spread",
        )


def _is_correlated(run: SubmittedRun) -> bool:
    return corr(run.pred, run.truth) >= _CORRELATED


def _classes(runs: list[SubmittedRun]) -> Iterator[Flag]:
    values = np.unique(np.concatenate([run.pred for run in runs]))
    if 1 < values.size <= _CLASSES:
        whole = " integers" if (values % 1 == 0).all() else ""
        shown = ", ".join(f"{value:g}" for value in values)
        yield Flag(
            "classes",
            f"predictions take {values.size} values only ({shown}): classes{whole}, not scores",
        )


def _copies(runs: list[SubmittedRun]) -> Iterator[Flag]:
    distinct = {(run.ids, run.pred.tobytes()) for run in runs}
    if len(distinct) < len(runs):
        yield Flag("copies", f"{len(runs)} runs, but {len(distinct)} different ones")


_LOOKS: tuple[Callable[[list[SubmittedRun]], Iterator[Flag]], ...] = (
    *(collapse, _direction, _scale, _classes, _copies),
)


def _coverage(runs: list[SubmittedRun], expected: int) -> Iterator[Flag]:
    sizes = [len(run.ids) for run in runs]
    if min(sizes) < expected:
        yield Flag("holes", f"{min(sizes)} of {expected} clips are predicted")
    if len({frozenset(run.ids) for run in runs}) > 1:
        yield Flag("uneven", f"runs cover different clips ({min(sizes)} to {max(sizes)} of them)")


def _statements(runs: list[SubmittedRun], manifest: SubmissionManifest) -> Iterator[Flag]:
    if len(runs) == 1 and not manifest.deterministic:
        yield Flag("one-run", "conditional on one run: how much another run differs is unseen")
    stated = manifest.stated_runs
    if stated is not None and stated != len(runs):
        yield Flag("runs", f"the authors state {stated} runs, the file holds {len(runs)}")
    if manifest.selection == "test":
        yield Flag("selected-on-test", "the checkpoint was selected on the test split")
    elif manifest.selection == NOT_STATED:
        yield Flag("selection-not-stated", "how the checkpoint was selected is not stated")


def _named(some: list[SubmittedRun], runs: list[SubmittedRun]) -> str:
    """How many of the runs, and which."""
    if len(runs) == 1:
        return _of(some, runs)
    seeds = ", ".join(str(run.seed) for run in some)
    return f"{_of(some, runs)} (seed{'s' * (len(some) > 1)} {seeds})"


def _of(some: list[SubmittedRun], runs: list[SubmittedRun]) -> str:
    if len(runs) == 1:
        return "the only run"
    return f"{len(some)} of {len(runs)} runs"
