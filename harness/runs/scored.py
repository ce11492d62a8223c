"""Predictions and scores of many runs at once, remembered by the content of the runs.

A board of a thousand runs reads a thousand small tables and scores each of them in every metric.
What that gives depends on the tables, the labels and the code that scores, so it is kept in the
store under a digest of these, one file per group of runs. Whether a run's files are still what was
stored is looked at before, whatever is remembered: ``Judged.damage_of``.

Shapes: N clips of the split, S runs, K metrics.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness._util.by_content import ByContent
from harness.data.split_labels import SplitLabels
from harness.metrics import metrics_for
from harness.runs.labels import predictions_of, scores_of
from harness.runs.scores import scoring_rules
from harness.runs.store import RunStore, StoredRun

__all__ = ["Scored", "ScoredRun"]

_TABLE = "predictions.parquet"

ScoredRun: TypeAlias = tuple[NDArray[np.float64], Mapping[str, float]]
"""(N,) predictions, and the value of every metric of the dataset, NaN where undefined."""


class Scored:
    """Runs on one split of one corpus.

    Args:
        store: Where they are.
        truth: The labels.
    """

    def __init__(self, store: RunStore, truth: SplitLabels) -> None:
        self.truth = truth
        self._names = [metric.name for metric in metrics_for(truth.dataset)]
        self._known = ByContent(store.computed / "scores", scoring_rules(self._names))
        scale = truth.dataset.family, truth.dataset.low, truth.dataset.high
        labels = hashlib.sha256(repr([scale, self._names, truth.split, truth.ids]).encode())
        labels.update(truth.labels.tobytes())
        self._labels = labels.hexdigest()

    def of(self, runs: Sequence[StoredRun]) -> list[ScoredRun]:
        """Predictions and scores of each run.

        Args:
            runs: Runs whose files are what their digests say.

        Raises:
            StoreError: As ``predictions_of`` and ``scores_of``.
        """
        listed = [run.sums.get(_TABLE) for run in runs]
        if not runs or None in listed:  # of before there were digests
            return [self._of(run) for run in runs]

        def compute() -> NDArray[np.float64]:
            found = [self._of(run) for run in runs]
            return np.stack([[*pred, *scores.values()] for pred, scores in found])

        clips, width = len(self.truth), len(self.truth) + len(self._names)
        content = [self._labels, *map(str, listed)]
        table = self._known.of(content, len(runs) * width, compute).reshape(len(runs), width)
        return [
            (row[:clips], dict(zip(self._names, row[clips:].tolist(), strict=True)))
            for row in table
        ]

    def _of(self, run: StoredRun) -> ScoredRun:
        pred = predictions_of(run, self.truth)
        return pred, scores_of(run, self.truth, pred)
