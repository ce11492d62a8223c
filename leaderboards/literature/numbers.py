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
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, get_args

from harness._util.printed import Printed, read_number
from harness.data.datasets import datasets
from harness.errors import DataError, HarnessError, SpecError, SubmissionError
from harness.metrics import CONVENTIONS, Score, metrics
from leaderboards.literature.parameters import COUNTS_FILE

__all__ = [
    "PublishedRow",
    "for_board",
    "lines",
    "literature",
    "of_conditions",
    "read",
    "table",
    "tables",
]

Selection = Literal["validation", "test", "best run", "none", ""]
Reliability = Literal["authors' file", "paper", "re-run", "third-party summary"]

_FOLDER = Path(__file__).parent
_CLEAN = "clean"
_CORRUPTED = ("mean over missing rates", "missing rate", "noise")
"""How the condition of a number on corrupted test clips begins."""
_NEEDED = ("source", "title", "condition", "clips")
_CONVENTIONS = {convention.name: convention for convention in CONVENTIONS}


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """One printed number.

    Args:
        table: Name of the published table.
        source: Where it is printed.
        year: Of the source, None when it does not say.
        dataset: Registered name.
        system: Name under which this harness registers, or will register, the system; empty for
            systems it does not have.
        title: The system as printed.
        metric: Registered name.
        printed: The number as printed.
        value: In the metric's own unit: a fraction where per cent is printed.
        convention: Whose metric code, a name of ``CONVENTIONS``; empty when not stated.
        selection: What chose the checkpoint; ``none`` where nothing is trained, empty when not
            stated. ``best run`` is the best of several runs, whatever chose the epoch.
        seeds: Number of runs averaged, None when not stated.
        text: How text enters, as boards print it; empty when not stated.
        features: Feature set, or what a prompted model was shown; empty when not stated.
        side_info: What the system knows of a clip, or was trained on, besides the usual; empty for
            nothing.
        condition: ``clean``, or what sets the test data or the system apart.
        clips: ``all`` test clips, or which of them.
        reliability: Who vouches for the digits.
        note: Anything else a reader must know.
    """

    table: str
    source: str
    year: int | None
    dataset: str
    system: str
    title: str
    metric: str
    printed: str
    value: float
    convention: str
    selection: Selection
    seeds: int | None
    text: str
    features: str
    side_info: str
    condition: str
    clips: str
    reliability: Reliability
    note: str

    @property
    def definition(self) -> Score:
        """The metric as the source computes it, by canonical definition where it does not say.

        It takes predictions and labels as they come.

        Raises:
            SpecError: When the dataset, metric or convention is unknown, or the convention has no
                such metric.
        """
        dataset = datasets[self.dataset]
        canonical = metrics[self.metric]
        canonical.on(dataset)
        if not self.convention:
            return functools.partial(canonical, dataset=dataset)
        convention = _CONVENTIONS.get(self.convention)
        if convention is None or dataset.family not in convention.rules:
            raise SpecError(f"no convention {self.convention!r} scores {self.dataset}")
        functions = convention.functions(dataset)
        if self.metric not in functions:
            raise SpecError(f"convention {self.convention!r} has no metric {self.metric!r}")
        return functions[self.metric]

    @functools.cached_property
    def number(self) -> Printed:
        """What is printed, read.

        Raises:
            SubmissionError: When it is no number.
        """
        found = read_number(self.printed, "printed")
        if found is None:
            raise SubmissionError(f"printed should be a number, found {self.printed!r}")
        return found

    @property
    def rounding(self) -> float:
        """Half a unit of the last printed digit, in the unit of ``value``."""
        return 0.5 * 10.0**-self.number.decimals / (100.0 if self.times_100 else 1.0)

    @property
    def shown(self) -> str:
        """The number in the unit of a board, to the last digit its source prints."""
        factor = 100.0 if metrics[self.metric].percent else 1.0
        decimals = max(0, round(-math.log10(2.0 * self.rounding * factor)))
        return f"{factor * self.value:z.{decimals}f}"

    @property
    def times_100(self) -> bool:
        """Whether the source prints the number times 100."""
        return not math.isclose(self.value, float(self.number.value), abs_tol=1e-12)

    @property
    def line(self) -> tuple[str, ...]:
        """What rows on one printed line have in common; with the metric it is unique."""
        return (
            *(self.table, self.source, self.dataset, self.title, self.features),
            *(self.side_info, self.condition),
        )


@functools.cache
def literature() -> tuple[PublishedRow, ...]:
    """Every published number, tables in alphabetical order, rows in file order."""
    return read(_FOLDER)


def tables() -> tuple[str, ...]:
    """Names of the published tables.

    Example:
        >>> "mmsa" in tables()
        True
    """
    return tuple(dict.fromkeys(row.table for row in literature()))


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
    rows = tuple(row for row in literature() if row.table == name)
    if dataset is not None:
        _known(f"dataset of table {name}", dataset, [row.dataset for row in rows])
        rows = tuple(row for row in rows if row.dataset == dataset)
    if system is not None:
        names = [name for row in rows for name in (row.system, row.title) if name]
        _known(f"system of table {name}", system, names)
        rows = tuple(row for row in rows if system in (row.system, row.title))
    return rows


def _known(noun: str, name: str, names: Iterable[str]) -> None:
    choices = tuple(dict.fromkeys(names))
    if name not in choices:
        close = difflib.get_close_matches(name, choices, n=3)
        guess = f"; did you mean {' or '.join(close)}?" if close else ""
        raise SpecError(f"unknown {noun}: {name!r}{guess}", hint="msa list tables")


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
    files = sorted(path for path in folder.glob("*.csv") if path.name != COUNTS_FILE.name)
    return tuple(row for path in files for row in _read_table(path))


def _read_table(path: Path) -> Iterator[PublishedRow]:
    columns = [field.name for field in dataclasses.fields(PublishedRow)][1:]
    first: dict[tuple[str, ...], int] = {}
    with path.open(encoding="utf-8", newline="") as file:
        records = csv.DictReader(file, strict=True)
        try:
            if records.fieldnames != columns:
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
    for problem in _problems(row):
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


def _problems(row: PublishedRow) -> Iterator[str]:
    yield from (f"{column} is empty" for column in _NEEDED if not getattr(row, column))
    for column, allowed in (("selection", Selection), ("reliability", Reliability)):
        if getattr(row, column) not in get_args(allowed):
            yield f"{column} {getattr(row, column)!r} is none of {', '.join(get_args(allowed))}"
    _ = row.definition  # unknown names raise
    metric, printed = metrics[row.metric], float(row.number.value)
    if not metric.low <= row.value <= metric.high:
        yield f"{row.metric} lies in [{metric.low:g}, {metric.high:g}], found {row.value:g}"
    scales = (100.0,) if metric.percent else (1.0, 100.0)
    if not any(math.isclose(row.value * scale, printed, abs_tol=1e-12) for scale in scales):
        yield f"value {row.value:g} is not the printed {row.printed}"
