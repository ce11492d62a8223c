"""Prediction files: CSV, Parquet or JSON lines, checked on the way in and aligned with labels.

Columns: ``id``, or ``video_id`` and ``clip_id``; ``pred``; optionally ``seed`` and ``label``.
Identifiers are text: leading zeros and leading dashes are part of them.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.errors import SubmissionError

__all__ = ["Aligned", "align", "read_predictions"]

_READERS = (".csv", ".parquet", ".jsonl")


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
    table = _read(path)
    ids = _ids(table, path)
    columns = {"id": ids, "pred": _numbers(table, "pred", path, ids)}
    if "seed" in table:
        columns["seed"] = _numbers(table, "seed", path, ids).astype("int64")
    if "label" in table:
        columns["label"] = _numbers(table, "label", path, ids)
    checked = pd.DataFrame(columns)
    keys = [name for name in ("seed", "id") if name in checked]
    twice = checked[checked.duplicated(keys)]
    if len(twice):
        raise SubmissionError(f"{path.name}: clip {twice['id'].iloc[0]} is predicted twice")
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


def _read(path: Path) -> pd.DataFrame:
    if path.suffix not in _READERS:
        raise SubmissionError(
            f"predictions come as {', '.join(_READERS)}; found {path.name}",
            hint="columns: id (or video_id and clip_id), pred, optional seed and label",
        )
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        if path.suffix == ".jsonl":
            return pd.DataFrame(_json_lines(path))
        return _read_csv(path)
    except FileNotFoundError:
        raise SubmissionError(f"no such file: {path}") from None
    except (OSError, ValueError, csv.Error) as error:  # pyarrow's and json's errors are ValueErrors
        raise SubmissionError(f"{path.name} cannot be read: {error}") from error


def _read_csv(path: Path) -> pd.DataFrame:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise ValueError(f"line {number} has another number of cells than the header")
    return pd.DataFrame(rows)


def _json_lines(path: Path) -> Iterable[dict[str, object]]:
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
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
    if not isinstance(value, str) or not value:
        raise SubmissionError(
            f"{path.name}: clip ids must be text, found {value!r}",
            hint="numbers lose leading zeros; store ids as text",
        )
    return value


def _numbers(table: pd.DataFrame, column: str, path: Path, ids: list[str]) -> NDArray[np.float64]:
    if column not in table:
        found = ", ".join(map(str, table.columns))
        raise SubmissionError(f"{path.name}: expected a column {column}; found {found}")
    values = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=np.float64)
    broken = np.flatnonzero(~np.isfinite(values))
    if broken.size:
        first = int(broken[0])
        raise SubmissionError(
            f"{path.name}: {column} of clip {ids[first]} is not a finite number"
            f" ({table[column].iloc[first]!r}; {broken.size} such clips)",
            hint="leave a missing prediction out; it is shown as a hole",
        )
    return values
