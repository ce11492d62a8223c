"""Where stored predictions meet stored labels: the one place that scores a committed run.

Shapes: N clips of the split.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from harness.data.datasets import Dataset
from harness.data.split_labels import SplitLabels
from harness.errors import StoreError, SubmissionError
from harness.metrics import score
from harness.runs.store import RunStore, StoredRun
from harness.spec import PredictionCell
from harness.spec.prediction_cell import COUNTED

__all__ = ["difference", "predictions_of", "predictions_under", "scores_of", "stored_labels"]

_AGAIN = "delete that run folder and run the suite again"


def stored_labels(store: RunStore, data: str, dataset: Dataset, split: str = "test") -> SplitLabels:
    """The labels of the corpus with fingerprint ``data``, as the runs on it saw them.

    Args:
        store: Where the runs are.
        data: Content fingerprint of their corpus.
        dataset: Which dataset's metrics apply.
        split: ``valid`` or ``test``.

    Raises:
        StoreError: When no run on that corpus was stored.
    """
    return SplitLabels.of_table(store.truth(data), dataset, split)


def predictions_of(
    run: StoredRun, truth: SplitLabels, cell: PredictionCell = COUNTED
) -> NDArray[np.float64]:
    """(N,) predictions of a run for exactly the labelled clips, in their order.

    Raises:
        StoreError: When the run predicted other clips, fewer, more, or in another order.
    """
    found = run.cell(truth.split, cell)
    ids, expected = found["id"], pa.chunked_array([pa.array(truth.ids, pa.large_string())])
    if not ids.cast(expected.type).equals(expected):
        raise StoreError(
            f"run {run.key} does not fit the {truth.split} labels:"
            f" {difference(truth.ids, ids.to_pylist())}",
            hint=_AGAIN,
        )
    return np.asarray(found["pred"].to_numpy(), dtype=np.float64)


def predictions_under(
    run: StoredRun, truth: SplitLabels, conditions: Sequence[str]
) -> NDArray[np.float64]:
    """(C, N) plain predictions of a run for the labelled clips under each of C conditions.

    Raises:
        StoreError: When the run lacks a condition, or a clip under one.
    """
    table = run.under(truth.split)
    lacking = [name for name in conditions if name not in table]
    table = table.reindex(index=list(truth.ids), columns=list(conditions))
    found = table.to_numpy(dtype=np.float64).T
    if lacking or np.isnan(found).any():
        what = f"condition {lacking[0]}" if lacking else "a clip under some condition"
        raise StoreError(
            f"run {run.key} has no {truth.split} prediction for {what}",
            hint=_AGAIN,
        )
    return found


def scores_of(run: StoredRun, truth: SplitLabels, pred: NDArray[np.float64]) -> dict[str, float]:
    """Every metric of the dataset, secondary ones included; NaN where undefined.

    Args:
        run: Whose predictions they are, for messages.
        truth: The labels.
        pred: (N,) its ``predictions_of``.

    Raises:
        StoreError: When they cannot be scored (not finite).
    """
    try:
        return score(pred, truth.labels, truth.dataset, secondary=True)
    except SubmissionError as error:
        raise StoreError(f"run {run.key} cannot be scored: {error}", hint=_AGAIN) from error


def difference(expected: Sequence[str], found: Sequence[str]) -> str:
    """How the clips that were predicted differ from those that are labelled, in words."""
    labelled, predicted = Counter(expected), Counter(found)
    if labelled == predicted:
        return "the clips are in another order"
    lacking, extra = (labelled - predicted).total(), (predicted - labelled).total()
    return f"{lacking} of {len(expected)} clips lack a prediction, {extra} are not expected"
