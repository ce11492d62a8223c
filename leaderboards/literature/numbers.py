"""Published numbers, one CSV per published table beside this module, each digit with its source.

A file's name is the table's; its columns are the other fields of ``PublishedRow``. What a table
quotes unchanged from another one listed here is kept once, where it was measured. Left out is what
nobody could run again: numbers without a dataset, a system, or a known metric (scores of class
labels; on CMU-MOSI and CMU-MOSEI an Acc-2 or F1 that does not say which clips it counts).
"""

from __future__ import annotations

import csv
import dataclasses
import difflib
import functools
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, get_args

from harness._util.printed import read_number
from harness.data.datasets import datasets
from harness.errors import DataError, HarnessError, SpecError
from leaderboards.literature.parameters import COUNTS_FILE
from leaderboards.literature.reference import REFERENCE_FILE, reference_runs
from leaderboards.literature.rows import PublishedRow, Reliability, problems

__all__ = [
    "for_board",
    "lines",
    "literature",
    "of_conditions",
    "read",
    "table",
    "tables",
]

_FOLDER = Path(__file__).parent
_CLEAN = "clean"
_CORRUPTED = ("mean over missing rates", "missing rate", "noise")
"""How the condition of a number on corrupted test clips begins."""


@functools.cache
def literature() -> tuple[PublishedRow, ...]:
    """Every published number, tables in alphabetical order, rows in file order."""
    return read(_FOLDER)


def tables() -> tuple[str, ...]:
    """Names of the published tables, and of the means of reference runs.

    Example:
        >>> "mmsa" in tables(), "reference_runs" in tables()
        (True, True)
    """
    return tuple(sorted({REFERENCE_FILE.stem, *(row.table for row in literature())}))


def table(
    name: str, dataset: str | None = None, system: str | None = None
) -> tuple[PublishedRow, ...]:
    """The rows of one published table, or those of one dataset or system.

    Args:
        name: The table.
        dataset: Registered name.
        system: Registered name, or the name as printed.

    Raises:
        SpecError: For a name that is unknown or not in the table.

    Example:
        >>> row = table("mmsa", "mosi", "tfn")[0]
        >>> row.metric, row.printed, row.value
        ('acc2_has0', '77.99', 0.7799)
    """
    _known("published table", name, tables())
    rows = tuple(row for row in _every() if row.table == name)
    if dataset is not None:
        _known(f"dataset of table {name}", dataset, [row.dataset for row in rows])
        rows = tuple(row for row in rows if row.dataset == dataset)
    if system is not None:
        names = [name for row in rows for name in (row.system, row.title) if name]
        shown = [row.system or row.title for row in rows]
        _known(f"system of table {name}", system, names, shown)
        rows = tuple(row for row in rows if system in (row.system, row.title))
    return rows


def _every() -> tuple[PublishedRow, ...]:
    """Published numbers, and the means of reference runs."""
    return (*literature(), *(row for runs in reference_runs() for row in runs.rows()))


def _known(noun: str, name: str, names: Iterable[str], shown: Iterable[str] = ()) -> None:
    choices = tuple(dict.fromkeys(names))
    if name not in choices:
        close = difflib.get_close_matches(name, choices, n=3)
        guess = f"; did you mean {' or '.join(close)}?" if close else ""
        there = ", ".join(dict.fromkeys(shown or choices))
        raise SpecError(
            f"unknown {noun}: {name!r}{guess} (there are: {there})", hint="msa list tables"
        )


def for_board(dataset: str) -> tuple[PublishedRow, ...]:
    """What is published on a dataset's whole test set, complete and without ablations.

    Such rows stand apart on a board, unranked: nobody can check them against predictions.

    Returns:
        Rows of one ``line`` together; authors' files first, summaries by others last, then by year,
        source and system. Undated sources come first.

    Raises:
        SpecError: For an unknown dataset.
    """
    name = datasets[dataset].name
    shown = (
        row
        for row in literature()
        if row.dataset == name and row.condition == _CLEAN and row.clips == "all"
    )
    return tuple(sorted(shown, key=_board_place))


def of_conditions(dataset: str) -> tuple[PublishedRow, ...]:
    """What is published on a dataset's corrupted test clips, in the order of ``for_board``.

    Raises:
        SpecError: For an unknown dataset.
    """
    name = datasets[dataset].name
    shown = (
        row for row in literature() if row.dataset == name and row.condition.startswith(_CORRUPTED)
    )
    return tuple(sorted(shown, key=_board_place))


def _board_place(row: PublishedRow) -> tuple[int, int, tuple[str, ...]]:
    trust = get_args(Reliability).index(row.reliability)
    return trust, row.year or 0, (row.source, row.title.casefold(), *row.line)


def lines(rows: Iterable[PublishedRow]) -> tuple[tuple[PublishedRow, ...], ...]:
    """Neighbouring rows that belong on one printed line."""
    return tuple(tuple(group) for _, group in groupby(rows, key=lambda row: row.line))


def read(folder: Path) -> tuple[PublishedRow, ...]:
    """The tables of a folder, checked.

    Args:
        folder: Holds ``<table>.csv`` files.

    Raises:
        DataError: Naming file and line, for a wrong column, an unknown name, a value that is not
            the printed one or cannot be, or a number listed twice.
    """
    others = (COUNTS_FILE.name, REFERENCE_FILE.name)
    files = sorted(path for path in folder.glob("*.csv") if path.name not in others)
    return tuple(row for path in files for row in _read_table(path))


def _read_table(path: Path) -> Iterator[PublishedRow]:
    fields = dataclasses.fields(PublishedRow)[1:]
    columns = [field.name for field in fields if field.default is dataclasses.MISSING]
    further = {field.name for field in fields}.difference(columns)
    first: dict[tuple[str, ...], int] = {}
    with path.open(encoding="utf-8", newline="") as file:
        records = csv.DictReader(file, strict=True)
        try:
            found = list(records.fieldnames or ())
            if found[: len(columns)] != columns or not further.issuperset(found[len(columns) :]):
                raise ValueError(f"expected columns {columns}, found {records.fieldnames}")
            for record in records:
                row = _row(path.stem, record)
                earlier = first.setdefault((*row.line, row.metric), records.line_num)
                if earlier != records.line_num:
                    raise ValueError(f"{row.title}, {row.metric} repeats line {earlier}")
                yield row
        except (ValueError, csv.Error, HarnessError) as error:
            raise DataError(f"{path.name}, line {records.line_num}: {error}") from error


def _row(name: str, record: Mapping[str, Any]) -> PublishedRow:
    if None in record or None in record.values():
        raise ValueError("expected one cell per column")
    typed = {
        "value": _value(record["value"]),
        "year": _count(record["year"]),
        "seeds": _count(record["seeds"]),
    }
    row = PublishedRow(table=name, **{**record, **typed})
    for problem in problems(row):
        raise ValueError(problem)
    return row


def _value(cell: str) -> float:
    found = read_number(cell, "value")
    if found is None or found.spread is not None or found.percent:
        raise ValueError(f"value should be one number and no percentage, found {cell!r}")
    return float(found.value)


def _count(cell: str) -> int | None:
    if not cell:
        return None
    if not cell.isdecimal() or not int(cell):
        raise ValueError(f"expected a positive whole number, found {cell!r}")
    return int(cell)
