"""Predictions into a file of the project's format: CSV, Parquet or JSON lines, by its suffix."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd

from harness._util.atomic import write_atomic
from harness.errors import SpecError, StoreError

__all__ = ["need_format", "write"]

_FORMATS = (".csv", ".parquet", ".jsonl")


def need_format(path: Path) -> None:
    """Refuse a file that predictions cannot be written to, before any work.

    Raises:
        SpecError: For another suffix, or a folder.
    """
    if path.suffix.lower() not in _FORMATS:
        raise SpecError(
            f"predictions are written as {', '.join(_FORMATS)}; found {path.name}",
            hint="--to predictions.csv",
        )
    if path.is_dir():
        raise SpecError(f"{path} is a folder", hint="--to predictions.csv")


def write(path: Path, table: pd.DataFrame) -> None:
    """Write predictions; every digit of a number is kept.

    Args:
        path: The file, replaced whole.
        table: Columns ``id``, ``pred`` and others.

    Raises:
        SpecError: For another suffix.
        StoreError: When the disk refuses.
    """
    need_format(path)
    try:
        write_atomic(path, _content(path.suffix.lower(), table))
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror or error}",
            hint="name another one with --to",
        ) from error


def _content(suffix: str, table: pd.DataFrame) -> str | bytes:
    if suffix == ".csv":
        return table.to_csv(index=False, lineterminator="\n")
    if suffix == ".jsonl":
        rows = table.to_dict("records")
        return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    sink = io.BytesIO()
    table.to_parquet(sink, index=False)
    return sink.getvalue()
