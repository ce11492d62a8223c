"""What the stored runs of a suite say about variance: of scores, of differences, of choosing.

Nothing is trained and nothing is read but predictions, curves and labels.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.data.split_labels import SplitLabels
from harness.errors import SpecError, StoreError
from harness.metrics import Metric, Values, metrics, metrics_for
from harness.runs.store import RunStore
from harness.stats import declared_margin
from harness.stats.selection import Selection, best_of_k, epoch_scores, selection
from harness.stats.variance import (
    Components,
    clip_scores,
    components,
    components_of_difference,
)
from leaderboards.model import CorpusFacts, Grid, Row, gather

__all__ = ["BEST_OF", "CorpusStudy", "PairStudy", "RowStudy", "study_suite"]

BEST_OF = (2, 3, 5, 10)
"""Numbers of seeds among which the best is looked at."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RowStudy:
    """One row of a suite.

    Args:
        row: Its runs.
        components: Of its scores; None where they cannot be had.
        left_out: Why there are none; empty when there are.
        selections: Primary metric -> seed -> its ``Selection``; empty for systems without epochs.
        best_of: Primary metric -> k -> expected gain of the best of k seeds, for k of ``BEST_OF``
            that there are seeds for.
    """

    row: Row
    components: Components | None
    left_out: str
    selections: Mapping[str, Mapping[int, Selection]]
    best_of: Mapping[str, Mapping[int, float]]


@dataclass(frozen=True, kw_only=True, eq=False)
class PairStudy:
    """The difference between two rows of one corpus, A minus B."""

    a: str
    b: str
    components: Components


@dataclass(frozen=True, kw_only=True, eq=False)
class CorpusStudy:
    """The rows of a suite on one corpus.

    Args:
        corpus: Where.
        metric: What the components are of.
        margin: The margin its dataset declares for that metric, if any.
        rows: In suite order.
        pairs: Every two rows with components; constant predictors only where asked for.
    """

    corpus: CorpusFacts
    metric: Metric
    margin: float | None
    rows: tuple[RowStudy, ...]
    pairs: tuple[PairStudy, ...]


def study_suite(
    store: RunStore, suite: str, metric: Metric, labels: Collection[str] = ()
) -> tuple[CorpusStudy, ...]:
    """Study the stored runs of a suite on every corpus that has the metric.

    Args:
        store: Where the runs are.
        suite: Its name.
        metric: MAE or an accuracy.
        labels: Rows to look at; all when empty.

    Raises:
        SpecError: For a row the suite does not have, or a metric that is no mean over clips or
            that none of its corpora has.
        StoreError: When the suite was never run here, or a record is damaged.
    """
    board = gather(store, suite)
    known = list(dict.fromkeys(row.label for grid in board.grids for row in grid.rows))
    for label in labels:
        if label not in known:
            raise SpecError(
                f"suite {suite!r} has no row {label!r}", hint=f"its rows: {', '.join(known)}"
            )
    grids = [grid for grid in board.grids if metric.defined_on(grid.corpus.dataset)]
    if not grids:
        raise SpecError(
            f"{metric.name} is not defined on any corpus of suite {suite!r}", hint="--metric mae"
        )
    return tuple(_study(store, grid, metric, labels) for grid in grids)


def _study(store: RunStore, grid: Grid, metric: Metric, labels: Collection[str]) -> CorpusStudy:
    rows = [row for row in grid.rows if not labels or row.label in labels]
    reasons = {row.label: _left_out(row) for row in rows}
    scored = {row.label: _scores(row, grid.truth, metric) for row in rows if not reasons[row.label]}
    compared = [row.label for row in rows if row.label in scored and (labels or not row.reference)]
    return CorpusStudy(
        corpus=grid.corpus,
        metric=metric,
        margin=declared_margin(grid.corpus.dataset.name, metric.name),
        rows=tuple(
            RowStudy(
                row=row,
                components=components(*scored[row.label]) if row.label in scored else None,
                left_out=reasons[row.label],
                selections=_selections(store, row, grid.truth),
                best_of=_best_of(row, grid.truth),
            )
            for row in rows
        ),
        pairs=tuple(
            PairStudy(
                a=a,
                b=b,
                components=components_of_difference(scored[a][0], scored[b][0], scored[a][1]),
            )
            for a, b in itertools.combinations(compared, 2)
        ),
    )


def _left_out(row: Row) -> str:
    if not row.runs:
        return "no run"
    if len(row.runs) == 1 and not row.deterministic:
        return "one run: nothing tells how its seeds vary"
    return ""


def _scores(row: Row, truth: SplitLabels, metric: Metric) -> tuple[Values, NDArray[np.str_]]:
    """(S, M) scores and (M,) videos of the clips that count."""
    pred = np.stack([run.pred for run in row.runs])
    scores, counted = clip_scores(pred, truth.labels, metric, truth.dataset)
    return scores, truth.videos[counted]


def _selections(store: RunStore, row: Row, truth: SplitLabels) -> dict[str, dict[int, Selection]]:
    found: dict[str, dict[int, Selection]] = {}
    for run in row.runs:
        facts = run.facts
        if facts is None or facts.selected_epoch is None:
            continue
        curve = store.get(run.key).curve("test")
        if curve is None:
            continue
        _check_curve(run.key, curve.shape, (facts.epochs, len(truth)))
        for name, values in epoch_scores(curve, truth.labels, truth.dataset).items():
            chosen = selection(values, facts.selected_epoch, metrics[name])
            found.setdefault(name, {})[run.seed] = chosen
    return found


def _check_curve(key: str, shape: tuple[int, ...], expected: tuple[int, int]) -> None:
    if shape != expected:
        raise StoreError(
            f"run {key}: its test curve should have {expected[0]} epochs of {expected[1]} clips,"
            f" found {shape[0]} of {shape[1]}",
            hint="delete that run folder and run the suite again",
        )


def _best_of(row: Row, truth: SplitLabels) -> dict[str, dict[int, float]]:
    return {
        metric.name: {
            k: best_of_k(row.values(metric.name), k, metric) for k in BEST_OF if k <= len(row.runs)
        }
        for metric in metrics_for(truth.dataset, primary=True)
    }
