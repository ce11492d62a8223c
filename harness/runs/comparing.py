"""Two systems compared, wherever their predictions are: A - B with interval and p."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.data.datasets import Dataset, datasets
from harness.data.known_labels import KnownLabels
from harness.data.labels import LabelNotice, copied
from harness.data.store import CorpusStore
from harness.errors import SpecError
from harness.home import Home
from harness.metrics import metrics
from harness.runs.contenders import Contender, find_contender
from harness.runs.looks import Look
from harness.runs.pairing import Side, common, dataset_of, labels_of, matrix, seeds_of
from harness.runs.slicing import members
from harness.spec import PredictionCell
from harness.spec.prediction_cell import COUNTED
from harness.stats import (
    Collapse,
    Comparison,
    Conditional,
    SliceComparison,
    adjusted,
    collapse,
    compare_metrics,
    compare_slices,
    declared_margin,
    seeds_needed,
)
from harness.stats import narrower as narrower_tests

__all__ = ["About", "Compared", "compare"]

About: TypeAlias = Literal["systems", "checkpoints"]
"""What a claim is about: systems, whatever the seed, or the trained networks at hand."""

_OF_CHECKPOINTS = {
    "a better": "checkpoint a better",
    "b better": "checkpoint b better",
    "different": "checkpoints different",
    "negligible": "checkpoints negligible",
    "equivalent": "checkpoints equivalent",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Compared:
    """What the predictions of two systems say about their difference.

    Args:
        dataset: The dataset that both predict.
        labels: What they were compared against.
        sides: What A and B do not share with the labels.
        comparisons: One per primary metric of the dataset.
        p_holm: Metric of the confirmatory family -> p-value corrected by Holm's method.
        narrower: (metric, test) of narrower questions, none unless asked for.
        single: Which of ``a`` and ``b`` have one run although seeds change them.
        notices: What a reader must know.
        collapse: Which runs of A and of B collapsed; they are in every number all the same.
        collapsed: Their seeds, where they are known.
        look: For two rows of a suite that adds seeds until it is decided, the look that it has
            reached: verdicts are at its level.
        slices: The comparison on each declared part of the clips; none unless asked for.
        slice_metric: In which metric that is.
    """

    dataset: Dataset
    labels: KnownLabels
    sides: tuple[Side, Side]
    comparisons: tuple[Comparison, ...]
    p_holm: dict[str, float]
    narrower: tuple[tuple[str, Conditional], ...]
    single: tuple[str, ...]
    notices: tuple[LabelNotice, ...]
    collapse: tuple[Collapse, Collapse]
    collapsed: tuple[tuple[int, ...], tuple[int, ...]]
    look: Look | None = None
    slices: tuple[SliceComparison, ...] = ()
    slice_metric: str = ""

    @property
    def alpha(self) -> float:
        """Level of the verdicts."""
        return 0.05 if self.look is None else self.look.level

    @property
    def left_out(self) -> int:
        """Number of labelled clips that a run of either system lacks."""
        return len(self.labels.truth) - self.comparisons[0].clips

    @property
    def about(self) -> About:
        """``checkpoints`` where a side has one run of a system that seeds change."""
        return "checkpoints" if self.single else "systems"

    def verdict(self, comparison: Comparison) -> str:
        """The verdict on one of the comparisons, in words that say what it is about."""
        margin = declared_margin(self.dataset.name, comparison.metric)
        found = comparison.verdict(self.alpha, margin)
        return _OF_CHECKPOINTS.get(found, found) if self.single else found

    def records(self) -> list[dict[str, object]]:
        """One record per metric, numbers unrounded, None where there is none."""
        return [
            {
                "metric": c.metric,
                "a": c.a,
                "b": c.b,
                "difference": c.effect,
                "low": c.low,
                "high": c.high,
                "standard_error": c.standard_error,
                "degrees": c.degrees,
                "p": c.p_value,
                "p_holm": self.p_holm.get(c.metric),
                "probability_better": c.probability_better,
                "detectable": c.reference.detectable(),
                "margin": declared_margin(self.dataset.name, c.metric),
                "verdict": self.verdict(c),
                "seeds_needed": self.seeds_needed(c),
            }
            for c in self.comparisons
        ]

    def slice_records(self) -> list[dict[str, object]]:
        """One record per slice, numbers unrounded, None for slices that are too small."""
        return [
            {
                "slicing": one.slicing,
                "part": one.part,
                "clips": one.clips,
                "videos": one.videos,
                "metric": self.slice_metric,
                "a": found.a if found else None,
                "b": found.b if found else None,
                "difference": found.effect if found else None,
                "low": found.low if found else None,
                "high": found.high if found else None,
                "p": found.p_value if found else None,
                "p_holm": one.p_adjusted if found else None,
                "verdict": self._slice_verdict(one),
            }
            for one in self.slices
            for found in (one.found,)
        ]

    def _slice_verdict(self, one: SliceComparison) -> str:
        """The verdict after correction for all slices."""
        if one.found is None:
            return one.too_small
        certain = one.p_adjusted < self.alpha
        return self.verdict(one.found) if certain else "undecided"

    def frame(self) -> pd.DataFrame:
        """``records`` as a data frame, metrics as its index."""
        return pd.DataFrame(self.records()).set_index("metric")

    def __repr__(self) -> str:
        said = (f"{c.metric} {c.effect:+.4f} ({self.verdict(c)})" for c in self.comparisons)
        return f"<{self.dataset.title}, A - B: {', '.join(said)}>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        first = self.comparisons[0]
        said = (
            f"{self.dataset.title}: {first.clips} clips of {first.videos} source videos;"
            f" runs: {first.seeds[0]} of A, {first.seeds[1]} of B; differences are A - B"
        )
        shown = self.frame()[["a", "b", "difference", "low", "high", "p", "p_holm", "verdict"]]
        return f"<p>{html.escape(said)}</p>{shown.to_html(float_format='{:.4f}'.format)}"

    @property
    def seeds_seen(self) -> bool:
        """Whether a side shows how much seeds change: it has several runs."""
        return max(self.comparisons[0].seeds) > 1

    def seeds_needed(self, comparison: Comparison) -> int | None:
        """Runs of every side that seeds change with which such a difference would be found.

        A side with one run is taken to vary as much as the other one.

        Returns:
            2 or more; None where no number is enough, for the source videos alone leave too much,
            and where no side shows how much seeds change.
        """
        if not self.seeds_seen:
            return None
        still = {
            side.upper()
            for side, runs in zip("ab", comparison.seeds, strict=True)
            if runs == 1 and side not in self.single
        }
        every = comparison.difference
        varying = {name: part for name, part in every.runs.items() if name not in still}
        return seeds_needed(dataclasses.replace(every, runs=varying))


def compare(
    a: str | Path,
    b: str | Path,
    dataset: Dataset | str | None = None,
    *,
    labels: Path | None = None,
    corpus: str | None = None,
    split: str = "test",
    cell: PredictionCell = COUNTED,
    deterministic: Collection[str] = (),
    narrower: bool = False,
    slices: str | None = None,
    home: Home | None = None,
    on_notices: Callable[[Sequence[LabelNotice]], None] = lambda notices: None,
) -> Compared:
    """Compare two systems in every primary metric, over new seeds and new source videos.

    Args:
        a: A predictions file; ``SUITE:ROW`` of the run store (``SUITE/CORPUS:ROW`` where the row
            has several corpora of the dataset); or ``submission:NAME``.
        b: Likewise.
        dataset: The dataset they predict, or its name; stored rows of one corpus know theirs.
        labels: An MMSA label file; default: what stored systems were run on, else a stored corpus,
            else the files' own labels.
        corpus: The stored corpus whose labels to take.
        split: train, valid or test.
        cell: Under which condition, and which variant, of stored rows and of files that tell them
            apart.
        deterministic: Which of ``a`` and ``b`` no seed changes. Stored rows and manifests say so
            themselves; of files one run is taken as one draw among many.
        narrower: Whether to add tests over seeds, or of two checkpoints, with their verdicts.
        slices: Whether to compare on declared slices, too: the metric in which.
        home: Where corpora, runs and submissions live; ``Home.default()`` when None.
        on_notices: Called with what a reader must know before anything is compared.

    Raises:
        SubmissionError: For files that cannot be compared, or no labels to compare against.
        SpecError: For names that are unknown or ambiguous, or options out of range.
        StoreError: For a suite that was never run here.
        DataError: For a label file or corpus that cannot be read.
    """
    if slices is not None:
        metrics[slices]  # an unknown one is refused before anything is read
    home = home or Home.default()
    stated = datasets[dataset] if isinstance(dataset, str) else dataset
    contenders = [find_contender(str(name), stated, split, home, cell) for name in (a, b)]
    known, store = dataset_of(contenders), CorpusStore(home.corpora)
    found = labels_of(contenders, known, split, store, file=labels, corpus=corpus)
    ids, sides = common(contenders, found)
    runs_a, runs_b = (matrix(contender.predictions, ids) for contender in contenders)
    truth = found.truth.only(ids)
    left_out = [notice for contender in contenders for notice in contender.notices]
    copies = (*_copied("A", runs_a, truth.labels), *_copied("B", runs_b, truth.labels))
    notices = (*found.notices, *left_out, *copies)
    on_notices(notices)
    comparisons = compare_metrics(runs_a, runs_b, truth.labels, truth.videos, known)
    fallen = [collapse(runs, truth.labels) for runs in (runs_a, runs_b)]
    named = [_collapsed(*both) for both in zip(contenders, fallen, strict=True)]
    sliced: tuple[SliceComparison, ...] = ()
    if slices is not None:
        parts = members(truth, known, split, store, file=labels, corpus=corpus)
        systems = (runs_a, runs_b, truth.labels, truth.videos)
        sliced = compare_slices(*systems, known, metric=slices, parts=parts)
    tests = narrower_tests(runs_a, runs_b, truth.labels, known) if narrower else []
    return Compared(
        dataset=known,
        labels=found,
        sides=(sides[0], sides[1]),
        comparisons=tuple(comparisons),
        p_holm=adjusted(comparisons, known),
        narrower=tuple(tests),
        single=_single(contenders, (len(runs_a), len(runs_b)), deterministic),
        notices=notices,
        collapse=(fallen[0], fallen[1]),
        collapsed=(named[0], named[1]),
        look=_look(contenders),
        slices=sliced,
        slice_metric=slices or "",
    )


def _collapsed(contender: Contender, found: Collapse) -> tuple[int, ...]:
    """Seeds of the runs that collapsed; none where they are not known."""
    seeds = seeds_of(contender.predictions)
    return tuple(seeds[place] for place in found.collapsed) if seeds else ()


def _look(contenders: Sequence[Contender]) -> Look | None:
    """The look that both are of: rows of one suite."""
    a, b = contenders
    return a.look if a.suite == b.suite else None


def _single(
    contenders: Sequence[Contender], runs: Sequence[int], deterministic: Collection[str]
) -> tuple[str, ...]:
    """The sides with one run of a system that seeds change."""
    counted = dict(zip("ab", runs, strict=True))
    for side in deterministic:
        if side not in counted:
            raise SpecError(f"--deterministic takes a or b, found {side!r}")
        if counted[side] > 1:
            raise SpecError(
                f"--deterministic {side}: {side.upper()} has {counted[side]} runs; a system that no"
                " seed changes has one",
                hint="leave the option out",
            )
    return tuple(
        side
        for side, found in zip("ab", contenders, strict=True)
        if counted[side] == 1 and not found.deterministic and side not in deterministic
    )


def _copied(name: str, runs: NDArray[np.float64], truth: NDArray[np.float64]) -> list[LabelNotice]:
    """A warning when a run's predictions are the labels."""
    equal = max(copied(run, truth) for run in runs)
    if not equal:
        return []
    text = f"{equal} of {truth.size} predictions of {name} equal their label: these are the labels"
    return [LabelNotice("labels-copied", text)]
