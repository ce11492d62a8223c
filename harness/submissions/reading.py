"""Foreign prediction files in the harness's columns, as a manifest says they are to be read."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from harness.data.readers.predictions import (
    cells_of,
    check_predictions,
    read_predictions_table,
)
from harness.data.readers.tables import InputTable
from harness.errors import SubmissionError
from harness.submissions.manifest import SubmissionManifest

__all__ = ["read_submission"]


def read_submission(path: Path, manifest: SubmissionManifest) -> pd.DataFrame:
    """Read a predictions file: pick rows, name columns, map cells to numbers, scale.

    Args:
        path: A ``.csv``, ``.parquet`` or ``.jsonl`` file.
        manifest: Its ``where``, ``columns``, ``values`` and ``scale`` are applied in that order. A
            ``condition`` or ``variant`` that ``where`` chooses is what its authors submit.

    Returns:
        As ``harness.data.readers.predictions.read_predictions``.

    Raises:
        SubmissionError: Naming the file, the clip or column, and what was expected there.
    """
    whole = read_predictions_table(path)
    table = whole.frame
    for column, wanted in manifest.where.items():
        table = _rows(table, column, wanted, path)
    table = _named(table, manifest.columns, path)
    _require(table, "pred", 'say which it is in a manifest: [columns] pred = "..."', path)
    if manifest.values:
        table = table.assign(pred=_numbers(table["pred"], manifest.values, path))
    chosen = [column for column in ("condition", "variant") if column in manifest.where]
    named = dataclasses.replace(whole, frame=table.drop(columns=chosen))
    _refuse_several(named)
    checked = check_predictions(named)
    return checked.assign(pred=checked["pred"] * manifest.scale)


def _refuse_several(table: InputTable) -> None:
    """Boards show one prediction of a clip by a run; which it is, the manifest has to say."""
    found = [str(cell) for cell in dict.fromkeys(cells_of(table))]
    if len(found) > 1:
        raise SubmissionError(
            f"{table.name} has predictions of {len(found)} conditions or variants: {_few(found)}",
            hint='say which are submitted in a manifest: [where] condition = "…", variant = "…"',
        )


def _rows(table: pd.DataFrame, column: str, wanted: str, path: Path) -> pd.DataFrame:
    _require(table, column, "correct [where] in the manifest", path)
    cells = table[column].map(str)
    chosen = table[cells == wanted]
    if chosen.empty:
        raise SubmissionError(
            f"{path.name}: no row has {column} = {wanted!r}; found {_few(cells.unique())}",
            hint="correct [where] in the manifest",
        )
    return chosen


def _named(table: pd.DataFrame, columns: Mapping[str, str], path: Path) -> pd.DataFrame:
    for theirs in columns.values():
        _require(table, theirs, "correct [columns] in the manifest", path)
    kept = table.drop(columns=[name for name in columns if name in table])
    return kept.assign(**{ours: table[theirs] for ours, theirs in columns.items()})


def _require(table: pd.DataFrame, column: str, hint: str, path: Path) -> None:
    if column not in table:
        raise SubmissionError(
            f"{path.name} has no column {column!r}; found {_few(table.columns)}", hint=hint
        )


def _numbers(cells: pd.Series, values: Mapping[str, float], path: Path) -> list[float]:
    texts = cells.map(str)
    unknown = texts[~texts.isin(list(values))]
    if len(unknown):
        raise SubmissionError(
            f"{path.name}: {len(unknown)} outputs are not among the values of the manifest:"
            f" {_few(unknown.unique())}",
            hint="give each a number under [values], or leave those rows out: they become holes",
        )
    return [values[text] for text in texts]


def _few(items: Iterable[object], limit: int = 6) -> str:
    names = [repr(str(item)[:40]) for item in items]
    return ", ".join(names[:limit]) + (", ..." if len(names) > limit else "")
