"""Prediction files: CSV, Parquet or JSON lines, checked on the way in and aligned with labels.

Columns: ``id``, or ``video_id`` and ``clip_id``; ``pred``; optionally ``seed`` and ``label``.
Identifiers are text: leading zeros and leading dashes are part of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.data.readers.tables import InputTable, read_table
from harness.data.spellings import explain
from harness.data.split_labels import SplitLabels
from harness.errors import SubmissionError

__all__ = [
    "Aligned",
    "align",
    "check_predictions",
    "read_predictions",
    "read_predictions_table",
    "refuse_misspelt",
]

_LARGEST_SEED = 2**53  # beyond it, neighbouring integers are one float64
_HOLE = "leave a missing prediction out; it is shown as a hole"


@dataclass(frozen=True, eq=False, kw_only=True)
class Aligned:
    """Predictions beside labels, one clip per place.

    Args:
        truth: The labels of the n scored clips, in the order of all labels.
        pred: (n,) float64.
        missing: Labelled clips without a prediction.
        extra: Predicted clips that carry no label.
    """

    truth: SplitLabels
    pred: NDArray[np.float64]
    missing: list[str]
    extra: list[str]


def read_predictions(path: Path) -> pd.DataFrame:
    """Read and check a predictions file.

    Args:
        path: A ``.csv``, ``.parquet`` or ``.jsonl`` file.

    Returns:
        Columns ``id`` (text, ``video_clip``), ``pred`` (float64) and, where the file has them,
        ``seed`` (int64) and ``label`` (float64).

    Raises:
        SubmissionError: Naming the file, the line and what was expected there.
    """
    return check_predictions(read_predictions_table(path))


def read_predictions_table(path: Path) -> InputTable:
    """A table of predictions of any columns, cells as the file has them.

    Raises:
        SubmissionError: For another format, a missing or damaged file, or a repeated column.
    """
    return read_table(
        path,
        error=SubmissionError,
        what="predictions",
        hint="columns: id (or video_id and clip_id), pred, optional seed and label",
    )


def check_predictions(table: InputTable) -> pd.DataFrame:
    """Check a table of predictions as read; see ``read_predictions`` for what comes back.

    Raises:
        SubmissionError: Naming the file, the clip and what was expected there.
    """
    ids = table.ids()
    columns = {"id": ids, "pred": table.numbers("pred", ids, hint=_HOLE)}
    if "seed" in table.frame:
        columns["seed"] = _seeds(table, ids)
    if "label" in table.frame:
        columns["label"] = table.numbers("label", ids)
    checked = pd.DataFrame(columns)
    keys = [name for name in ("seed", "id") if name in checked]
    twice = checked[checked.duplicated(keys)]
    if len(twice):
        raise SubmissionError(
            f"{table.name}: clip {twice['id'].iloc[0]} is predicted twice"
            f" ({twice['id'].nunique()} such clips)",
            hint="one row per clip and run; a column seed tells runs apart",
        )
    return checked


def align(pred: Mapping[str, float], truth: SplitLabels) -> Aligned:
    """Put predictions, clip id -> value, beside labels by clip id.

    Raises:
        SubmissionError: When not one id is known, or an unknown one is a labelled clip's in another
            spelling.
    """
    refuse_misspelt(pred, truth.ids)
    ids = [clip for clip in truth.ids if clip in pred]
    if not ids:
        ours, theirs = next(iter(truth.ids), "none"), next(iter(pred), "none")
        raise SubmissionError(
            f"no clip id of the predictions is among the labels (labels: {ours!r},"
            f" predictions: {theirs!r})",
            hint="ids are video and clip joined by an underscore; check --dataset and --split",
        )
    return Aligned(
        truth=truth.only(ids),
        pred=np.array([pred[clip] for clip in ids], dtype=np.float64),
        missing=[clip for clip in truth.ids if clip not in pred],
        extra=[clip for clip in pred if clip not in truth.by_id],
    )


def refuse_misspelt(predicted: Collection[str], labelled: Iterable[str], where: str = "") -> None:
    """Refuse ids that are those of labelled clips without a prediction, but for their spelling.

    Args:
        predicted: Clips with a prediction.
        labelled: Clips with a label.
        where: The file, to begin the message with.

    Raises:
        SubmissionError: Saying how many there are and what happened to them.
    """
    known = set(labelled)
    unknown = [clip for clip in dict.fromkeys(predicted) if clip not in known]
    found = explain(unknown, known.difference(predicted)) if unknown else None
    if found is not None:
        raise SubmissionError(
            f"{where}{': ' if where else ''}{len(found.ids)} of {len(set(predicted))} ids are no"
            f" clips of the labels: {found.cause} (first {found.ids[0]!r})",
            hint=found.hint,
        )


def _seeds(table: InputTable, ids: list[str]) -> NDArray[np.int64]:
    values = table.numbers("seed", ids, hint="a seed is an integer from 0, on every row")
    broken = np.flatnonzero((values < 0) | (values > _LARGEST_SEED) | (values % 1 != 0))
    if broken.size:
        first = int(broken[0])
        raise SubmissionError(
            f"{table.name}: seed of clip {ids[first]} should be an integer from 0 to 2^53,"
            f" found {values[first]:g}"
        )
    return values.astype(np.int64)
