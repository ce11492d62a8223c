"""Where stored predictions meet stored labels: the one place that scores a committed run.

Shapes: N clips of the split.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.data.datasets import Dataset
from harness.errors import StoreError, SubmissionError
from harness.metrics import score
from harness.runs.store import RunStore, StoredRun
from harness.spec import PredictionCell
from harness.spec.prediction_cell import COUNTED

__all__ = ["Truth"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Truth:
    """The labels of one split, as the runs on it saw the data.

    Args:
        dataset: Which dataset's metrics apply.
        split: ``valid`` or ``test``.
        ids: N clip ids, in the order of the corpus.
        videos: (N,) source video of each clip.
        labels: (N,) float64 labels.
    """

    dataset: Dataset
    split: str
    ids: tuple[str, ...]
    videos: NDArray[np.object_]
    labels: NDArray[np.float64]

    @classmethod
    def load(cls, store: RunStore, data: str, dataset: Dataset, split: str = "test") -> Truth:
        """The stored labels of the corpus with fingerprint ``data``.

        Raises:
            StoreError: When no run on that corpus was stored.
        """
        clips = store.truth(data)
        clips = clips[clips["split"] == split]
        return cls(
            dataset=dataset,
            split=split,
            ids=tuple(clips["id"]),
            videos=clips["video"].to_numpy(dtype=object),
            labels=clips["label"].to_numpy(dtype=np.float64),
        )

    def predictions(self, run: StoredRun, cell: PredictionCell = COUNTED) -> NDArray[np.float64]:
        """(N,) predictions of a run for exactly these clips, in this order.

        Raises:
            StoreError: When the run predicted other clips, fewer, more, or in another order.
        """
        found = run.predictions(self.split, cell)
        ids = tuple(found.index.tolist())
        if ids != self.ids:
            raise StoreError(
                f"run {run.key} does not fit the {self.split} labels: {self._difference(ids)}",
                hint="delete that run folder and run the suite again",
            )
        return found.to_numpy(dtype=np.float64)

    def under(self, run: StoredRun, conditions: Sequence[str]) -> NDArray[np.float64]:
        """(C, N) plain predictions of a run for these clips under each of C conditions.

        Raises:
            StoreError: When the run lacks a condition, or a clip under one.
        """
        table = run.under(self.split)
        lacking = [name for name in conditions if name not in table]
        table = table.reindex(index=list(self.ids), columns=list(conditions))
        found = table.to_numpy(dtype=np.float64).T
        if lacking or np.isnan(found).any():
            what = f"condition {lacking[0]}" if lacking else "a clip under some condition"
            raise StoreError(
                f"run {run.key} has no {self.split} prediction for {what}",
                hint="delete that run folder and run the suite again",
            )
        return found

    def _difference(self, ids: tuple[str, ...]) -> str:
        expected, found = Counter(self.ids), Counter(ids)
        if expected == found:
            return "the clips are in another order"
        lacking, extra = (expected - found).total(), (found - expected).total()
        return f"{lacking} of {len(self.ids)} clips lack a prediction, {extra} are not expected"

    def score(self, run: StoredRun, pred: NDArray[np.float64]) -> dict[str, float]:
        """Every metric of the dataset, secondary ones included; NaN where undefined.

        Args:
            run: Whose predictions they are, for messages.
            pred: (N,) its ``predictions``.

        Raises:
            StoreError: When they cannot be scored (not finite).
        """
        try:
            return score(pred, self.labels, self.dataset, secondary=True)
        except SubmissionError as error:
            raise StoreError(
                f"run {run.key} cannot be scored: {error}",
                hint="delete that run folder and run the suite again",
            ) from error
