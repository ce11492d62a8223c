"""Prediction files: CSV, Parquet or JSON lines, checked on the way in and aligned with labels.

Columns: ``id``, or ``video_id`` and ``clip_id``; ``pred``; optionally ``seed`` and ``label``.
Identifiers are text: leading zeros and leading dashes are part of them.
"""

from __future__ import annotations

import csv
import json
import math
import re
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.errors import SubmissionError
from harness.parquet import read_parquet

__all__ = ["Aligned", "align", "check_predictions", "read_predictions", "read_table"]

_HALF_PAIR = re.compile("[\ud800-\udfff]")  # JSON can spell half a UTF-16 pair, UTF-8 cannot
_LARGEST_SEED = 2**53  # beyond it, neighbouring integers are one float64


@dataclass(frozen=True, eq=False, kw_only=True)
class Aligned:
    """Predictions beside labels, one clip per place.

    Args:
        ids: The scored clips, in the order of the labels.
        pred: (n,) float64.
        truth: (n,) float64.
        missing: Labelled clips without a prediction.
        extra: Predicted clips that carry no label.
    """

    ids: list[str]
    pred: NDArray[np.float64]
    truth: NDArray[np.float64]
    missing: list[str]
    extra: list[str]


def read_predictions(path: Path) -> pd.DataFrame:
    """Read and check a predictions file.

    Args:
        path: A ``.csv``, ``.parquet`` or ``.jsonl`` file.

    Returns:
        Columns ``id`` (text), ``pred`` (float64) and, where the file has them, ``seed`` (int64) and
        ``label`` (float64).

    Raises:
        SubmissionError: Naming the file, the line and what was expected there.
    """
    return check_predictions(read_table(path), path)


def read_table(path: Path) -> pd.DataFrame:
    """Any table in one of the three formats, cells as the file has them (text in CSV).

    Raises:
        SubmissionError: For another format, a missing or damaged file, or a repeated column.
    """
    readers = {".csv": _read_csv, ".parquet": read_parquet, ".jsonl": _read_json_lines}
    if path.suffix not in readers:
        raise SubmissionError(
            f"predictions come as {', '.join(readers)}; found {path.name}",
            hint="columns: id (or video_id and clip_id), pred, optional seed and label",
        )
    try:
        table = readers[path.suffix](path)
    except FileNotFoundError:
        raise SubmissionError(f"no such file: {path}") from None
    except (OSError, ValueError, csv.Error, RecursionError) as error:
        raise SubmissionError(f"{path.name} cannot be read: {error}") from error
    if table.columns.has_duplicates:
        twice = table.columns[table.columns.duplicated()][0]
        raise SubmissionError(f"{path.name} has two columns {twice}")
    return table


def check_predictions(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Check a table of predictions as read; see ``read_predictions`` for what comes back.

    Args:
        table: Cells as the file has them.
        path: The file, for messages.

    Raises:
        SubmissionError: Naming the file, the clip and what was expected there.
    """
    ids = _ids(table, path)
    columns = {"id": ids, "pred": _numbers(table, "pred", path, ids)}
    if "seed" in table:
        columns["seed"] = _seeds(_numbers(table, "seed", path, ids), path, ids)
    if "label" in table:
        columns["label"] = _numbers(table, "label", path, ids)
    checked = pd.DataFrame(columns)
    keys = [name for name in ("seed", "id") if name in checked]
    twice = checked[checked.duplicated(keys)]
    if len(twice):
        raise SubmissionError(
            f"{path.name}: clip {twice['id'].iloc[0]} is predicted twice",
            hint="one row per clip and run; a column seed tells runs apart",
        )
    return checked


def align(pred: Mapping[str, float], truth: Mapping[str, float]) -> Aligned:
    """Put predictions beside labels by clip id.

    Raises:
        SubmissionError: When not one id is known.
    """
    ids = [clip for clip in truth if clip in pred]
    if not ids:
        ours, theirs = next(iter(truth), "none"), next(iter(pred), "none")
        raise SubmissionError(
            f"no clip id of the predictions is among the labels (labels: {ours!r},"
            f" predictions: {theirs!r})",
            hint="ids are video and clip joined by an underscore; check --dataset and --split",
        )
    return Aligned(
        ids=ids,
        pred=np.array([pred[clip] for clip in ids], dtype=np.float64),
        truth=np.array([truth[clip] for clip in ids], dtype=np.float64),
        missing=[clip for clip in truth if clip not in pred],
        extra=[clip for clip in pred if clip not in truth],
    )


def _read_csv(path: Path) -> pd.DataFrame:
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, strict=True)
        header = next(lines, [])
        rows = []
        for row in filter(None, lines):
            if len(row) != len(header):
                raise ValueError(
                    f"line {lines.line_num} has {len(row)} cells, the header {len(header)}"
                )
            rows.append(row)
    return pd.DataFrame(rows, columns=header)


def _read_json_lines(path: Path) -> pd.DataFrame:
    return pd.DataFrame(_json_lines(path), dtype=object)  # numbers and ids stay as they are written


def _json_lines(path: Path) -> Iterable[dict[str, object]]:
    lines = path.read_text("utf-8-sig").split("\n")  # str.splitlines would also cut inside texts
    for number, line in enumerate(lines, start=1):
        if line.strip():
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is not a JSON object")
            yield row


def _ids(table: pd.DataFrame, path: Path) -> list[str]:
    if not len(table):
        raise SubmissionError(f"{path.name} holds no predictions")
    if "id" in table:
        return [_text(value, path) for value in table["id"]]
    if {"video_id", "clip_id"} <= set(table.columns):
        pairs = zip(table["video_id"], table["clip_id"], strict=True)
        return [f"{_text(video, path)}_{_text(clip, path)}" for video, clip in pairs]
    found = ", ".join(map(str, table.columns)) or "none"
    raise SubmissionError(
        f"{path.name}: expected a column id, or video_id and clip_id; found {found}"
    )


def _text(value: object, path: Path) -> str:
    if not isinstance(value, str) or not value or _HALF_PAIR.search(value):
        raise SubmissionError(
            f"{path.name}: clip ids must be text, found {value!r}",
            hint="numbers lose leading zeros; store ids as text",
        )
    return value


def _numbers(table: pd.DataFrame, column: str, path: Path, ids: list[str]) -> NDArray[np.float64]:
    if column not in table:
        found = ", ".join(map(str, table.columns))
        raise SubmissionError(f"{path.name}: expected a column {column}; found {found}")
    values = np.array([_number(cell) for cell in table[column]], dtype=np.float64)
    broken = np.flatnonzero(~np.isfinite(values))
    if broken.size:
        first = int(broken[0])
        raise SubmissionError(
            f"{path.name}: {column} of clip {ids[first]} is not a finite number"
            f" ({reprlib.repr(table[column].iloc[first])}; {broken.size} such clips)",
            hint="leave a missing prediction out; it is shown as a hole",
        )
    return values


def _number(cell: object) -> float:
    """The number in a cell, NaN for anything else: booleans, dates, ids that look like numbers."""
    if isinstance(cell, bool) or not isinstance(cell, str | Real | Decimal):
        return math.nan
    if isinstance(cell, str) and "_" in cell:  # Python reads the id 12_3 as 123
        return math.nan
    try:
        return float(cell)
    except (ValueError, OverflowError):
        return math.nan


def _seeds(values: NDArray[np.float64], path: Path, ids: list[str]) -> NDArray[np.int64]:
    broken = np.flatnonzero((values < 0) | (values > _LARGEST_SEED) | (values % 1 != 0))
    if broken.size:
        first = int(broken[0])
        raise SubmissionError(
            f"{path.name}: seed of clip {ids[first]} should be an integer from 0 to 2^53,"
            f" found {values[first]:g}"
        )
    return values.astype(np.int64)
