"""Prediction files: CSV, Parquet or JSON, checked on the way in and aligned with labels.

Columns: ``id``, or ``video_id`` and ``clip_id``; ``pred``; optionally ``seed`` and ``label``, and
``condition`` and ``variant``, which say what a prediction was made under (``PredictionCell``).
Identifiers are text: leading zeros and leading dashes are part of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.data.labels import LabelNotice
from harness.data.readers.tables import InputTable, read_table
from harness.data.spellings import explain
from harness.data.split_labels import SplitLabels
from harness.errors import SpecError, SubmissionError
from harness.spec import PredictionCell
from harness.spec.prediction_cell import COUNTED

__all__ = [
    "Aligned",
    "align",
    "cells_of",
    "check_predictions",
    "others_than",
    "read_predictions",
    "read_predictions_table",
    "refuse_misspelt",
    "rows_of",
]

_LARGEST_SEED = 2**53  # beyond it, neighbouring integers are one float64
_CELL = ("condition", "variant")
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


def read_predictions(path: Path, cell: PredictionCell = COUNTED) -> pd.DataFrame:
    """Read and check a predictions file.

    Args:
        path: A file in one of the formats of ``read_table``.
        cell: Which of its predictions, where it tells them apart; all others are left out.

    Returns:
        Columns ``id`` (text, ``video_clip``), ``pred`` (float64) and, where the file has them,
        ``seed`` (int64) and ``label`` (float64).

    Raises:
        SubmissionError: Naming the file, the line and what was expected there.
    """
    return check_predictions(read_predictions_table(path), cell)


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


def check_predictions(table: InputTable, cell: PredictionCell = COUNTED) -> pd.DataFrame:
    """Check a table of predictions as read; see ``read_predictions`` for what comes back.

    Raises:
        SubmissionError: Naming the file, the clip and what was expected there.
    """
    table = rows_of(table, cell)
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


def cells_of(table: InputTable) -> list[PredictionCell]:
    """(n,) what the prediction of each row was made under.

    A table without the columns, and an empty cell of one, mean clean clips and the plain variant. A
    column ``condition`` alone is that of earlier versions, which held both.

    Raises:
        SubmissionError: For a condition that is none.
    """
    told = [column for column in _CELL if column in table.frame]
    if not told:
        return [COUNTED] * len(table.frame)
    ids = table.ids()
    rows = list(zip(*(table.texts(column, ids) for column in told), strict=True))
    try:
        known = {row: _cell(dict(zip(told, row, strict=True))) for row in dict.fromkeys(rows)}
    except SpecError as error:
        raise SubmissionError(f"{table.name}: {error}", hint=error.hint) from error
    return [known[row] for row in rows]


def _cell(told: Mapping[str, str]) -> PredictionCell:
    stated = {column: text.strip() for column, text in told.items() if text.strip()}
    if stated and "variant" not in told:
        return PredictionCell.named(stated["condition"])
    return PredictionCell(**stated)


def rows_of(table: InputTable, cell: PredictionCell = COUNTED) -> InputTable:
    """The rows of a table that are of one cell.

    Raises:
        SubmissionError: When there are none.
    """
    if cell == COUNTED and not set(_CELL) & set(table.frame):
        return table
    cells = cells_of(table)
    if cell not in cells:
        raise SubmissionError(
            f"{table.name} has no predictions of condition {cell.condition!r}, variant"
            f" {cell.variant!r}; found {_few(cells)}",
            hint="choose others, or rename a column condition or variant of another meaning",
        )
    return dataclasses.replace(table, frame=table.frame[[own == cell for own in cells]])


def others_than(cell: PredictionCell, table: InputTable) -> list[LabelNotice]:
    """A notice when a table has predictions of other cells, which are left out."""
    others = [own for own in cells_of(table) if own != cell]
    if not others:
        return []
    text = (
        f"{len(others)} of {len(table.frame)} rows of {table.name} are of another condition or"
        f" variant than {cell.condition}, {cell.variant}, and are left out: {_few(others)}"
    )
    return [LabelNotice("other-cells", text)]


def _few(cells: Iterable[PredictionCell], most: int = 6) -> str:
    names = [str(cell) for cell in dict.fromkeys(cells)]
    return "; ".join(names[:most]) + ("; …" if len(names) > most else "")


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
