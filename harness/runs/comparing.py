"""Two systems compared, wherever their predictions are: A - B with interval and p."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.datasets import Dataset, datasets
from harness.data.known_labels import KnownLabels
from harness.data.labels import LabelNotice, copied
from harness.data.store import CorpusStore
from harness.errors import SpecError
from harness.home import Home
from harness.runs.contenders import find_contender
from harness.runs.pairing import Side, common, dataset_of, labels_of, matrix
from harness.spec import PredictionCell
from harness.spec.prediction_cell import COUNTED
from harness.stats import Comparison, Conditional, Interval, adjusted, compare_metrics
from harness.stats import narrower as narrower_tests

__all__ = ["Compared", "compare"]

_INTERVALS: dict[str, Interval] = {"percentile": "percentile", "bca": "bca"}


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
        notices: What a reader must know.
    """

    dataset: Dataset
    labels: KnownLabels
    sides: tuple[Side, Side]
    comparisons: tuple[Comparison, ...]
    p_holm: dict[str, float]
    narrower: tuple[tuple[str, Conditional], ...]
    notices: tuple[LabelNotice, ...]

    @property
    def left_out(self) -> int:
        """Number of labelled clips that a run of either system lacks."""
        return len(self.labels.truth) - self.comparisons[0].clips


def compare(
    a: str | Path,
    b: str | Path,
    dataset: Dataset | str | None = None,
    *,
    labels: Path | None = None,
    corpus: str | None = None,
    split: str = "test",
    cell: PredictionCell = COUNTED,
    draws: int = 10_000,
    seed: int = 0,
    interval: str = "percentile",
    narrower: bool = False,
    home: Home | None = None,
    on_notices: Callable[[Sequence[LabelNotice]], None] = lambda notices: None,
) -> Compared:
    """Compare two systems in every primary metric, by a bootstrap over seeds and source videos.

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
        draws: Bootstrap draws, at least 100.
        seed: Of the bootstrap.
        interval: ``percentile``, or ``bca``: corrected for bias and skewness.
        narrower: Whether to add tests over seeds, or of two checkpoints, with their verdicts.
        home: Where corpora, runs and submissions live; ``Home.default()`` when None.
        on_notices: Called with what a reader must know before anything is resampled.

    Raises:
        SubmissionError: For files that cannot be compared, or no labels to compare against.
        SpecError: For names that are unknown or ambiguous, or options out of range.
        StoreError: For a suite that was never run here.
        DataError: For a label file or corpus that cannot be read.
    """
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
    given = _interval(interval)
    comparisons = compare_metrics(
        *(runs_a, runs_b, truth.labels, truth.videos, known),
        draws=draws,
        seed=seed,
        interval=given,
    )
    tests = narrower_tests(runs_a, runs_b, truth.labels, known) if narrower else []
    return Compared(
        dataset=known,
        labels=found,
        sides=(sides[0], sides[1]),
        comparisons=tuple(comparisons),
        p_holm=adjusted(comparisons, known),
        narrower=tuple(tests),
        notices=notices,
    )


def _interval(name: str) -> Interval:
    if name not in _INTERVALS:
        raise SpecError(f"--interval takes percentile or bca, found {name!r}")
    return _INTERVALS[name]


def _copied(name: str, runs: NDArray[np.float64], truth: NDArray[np.float64]) -> list[LabelNotice]:
    """A warning when a run's predictions are the labels."""
    equal = max(copied(run, truth) for run in runs)
    if not equal:
        return []
    text = f"{equal} of {truth.size} predictions of {name} equal their label: these are the labels"
    return [LabelNotice("labels-copied", text)]
