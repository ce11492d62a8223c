"""A table of reported numbers as a file: read row by row, every row checked by arithmetic."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from harness._util.printed import read_numbers
from harness.checks.reported_numbers.constants import Constants, binary_constants, label_constants
from harness.checks.reported_numbers.lint import LintFinding, lint
from harness.checks.reported_numbers.reported import Reported, canonical_names
from harness.data.datasets import Dataset, datasets
from harness.data.known_labels import official_source
from harness.data.readers.predictions import read_predictions_table
from harness.data.store import CorpusStore
from harness.errors import SubmissionError
from harness.home import Home
from harness.submissions.tables.rows import refuse_twice

__all__ = ["Linted", "ReportedLine", "ReportedReading", "counted", "lint_table"]

_COLUMNS = ("system", "metric", "value")
_NOT_A_ROW = (*_COLUMNS, "dataset", "note", "runs")
_NAMED = 10
"""So many cells are named; of more, only the number is said."""


@dataclass(frozen=True)
class ReportedLine:
    """One system's numbers, as far as one table row goes.

    Args:
        title: The system, and what else tells the row from others.
        runs: Runs behind each number, None where nobody says.
        values: Metric -> the number reported.
    """

    title: str
    runs: int | None
    values: dict[str, Reported] = field(default_factory=dict)


@dataclass(frozen=True)
class ReportedReading:
    """What was read of a table, and what was not.

    Args:
        lines: Rows of the printed table that hold numbers.
        absent: Cells that say that there is no number.
        refused: What is wrong with each cell that was not understood.
        unknown: Printed metric -> cells passed over, because it is none of the dataset's metrics
            or does not say which.
    """

    lines: list[ReportedLine] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True)
class Linted:
    """A table and what is wrong with its numbers.

    Args:
        name: The file's.
        dataset: The dataset that the numbers are for.
        rows: (row, findings) of every row that holds numbers, in the order of the file.
        cells: Number of values for the dataset, understood or not.
        reading: What was read.
    """

    name: str
    dataset: Dataset
    rows: list[tuple[ReportedLine, list[LintFinding]]]
    cells: int
    reading: ReportedReading

    @property
    def understood(self) -> int:
        """Number of values understood, those among them that say that there is none."""
        return self.cells - len(self.reading.refused) - self.reading.unknown.total()

    @property
    def verdicts(self) -> Counter[str]:
        """How many findings have which verdict."""
        return Counter(finding.verdict for _, findings in self.rows for finding in findings)

    def refuse_misread(self) -> None:
        """Raise ``SubmissionError`` naming the cells that were not understood, if there are any."""
        _check_all(self.reading, self.name)


def lint_table(
    path: Path | str, dataset: Dataset | str, *, runs: int | None = None, home: Home | None = None
) -> Linted:
    """Find reported numbers that cannot be.

    Args:
        path: A ``.csv`` with the columns ``system, metric, value``, numbers as printed, optionally
            ``dataset`` and ``runs``; further columns tell rows of one system apart.
        dataset: The dataset whose numbers are looked at, or its name.
        runs: Runs behind each number; default: the column ``runs``, else unknown.
        home: Where stored corpora tell what constant predictors score; ``Home.default()`` when
            None.

    Raises:
        SubmissionError: For another file, or one without a single number for the dataset.
        SpecError: For an unknown dataset.
    """
    known, file = datasets[dataset] if isinstance(dataset, str) else dataset, Path(path)
    cells = _read(file, known)
    read = _lines(cells, known, runs)
    _check_some(read, file.name, known)
    constants = _constants(known, home or Home.default())
    return Linted(
        name=file.name,
        dataset=known,
        rows=[
            (line, lint(line.values, known, runs=line.runs, constants=constants))
            for line in read.lines
        ],
        cells=len(cells),
        reading=read,
    )


def counted(names: Counter[str]) -> str:
    """Names with the number of cells that have them."""
    return ", ".join(f"{name!r} ({count} cells)" for name, count in names.items())


def _read(path: Path, dataset: Dataset) -> pd.DataFrame:
    if path.suffix.lower() != ".csv":
        raise SubmissionError(f"a reported table is a .csv file; found {path.name}")
    cells = read_predictions_table(path).frame
    cells.columns = [_column(name) for name in cells.columns]
    refuse_twice(path, cells.columns)
    lacking = [name for name in _COLUMNS if name not in cells]
    if lacking:
        found = ", ".join(cells.columns)
        raise SubmissionError(
            f"{path.name} lacks the columns {', '.join(lacking)}; it has {found}",
            hint="one number per line: system, metric, value, optional dataset and runs",
        )
    if "dataset" in cells:
        names = {_plain_dataset(dataset.name), _plain_dataset(dataset.title)}
        cells = cells[cells["dataset"].map(_plain_dataset).isin(names)]
    if cells.empty:
        raise SubmissionError(f"{path.name} holds no numbers for {dataset.title}")
    return cells


def _column(name: str) -> str:
    plain = name.strip().lower()
    return plain if plain in _NOT_A_ROW else name.strip()


def _plain_dataset(name: str) -> str:
    """A dataset's name without case, punctuation, ``CMU``, ``CH`` or the ``(s)`` of v2."""
    letters = re.sub(r"[^a-z0-9]", "", name.lower())
    return re.sub(r"(?<=v2)s$", "", re.sub(r"^(cmu|ch)(?=mos|sims)", "", letters))


def _lines(cells: pd.DataFrame, dataset: Dataset, runs: int | None) -> ReportedReading:
    """Rows of the printed table: neighbouring numbers of one system, until a metric recurs."""
    read = ReportedReading()
    key: list[str] | None = None
    others = [name for name in cells if name not in _NOT_A_ROW]
    records = cells.to_dict("records")
    for place, cell in zip(cells.index, records, strict=True):
        found = canonical_names(cell["metric"], dataset)
        if found is None:
            read.unknown[cell["metric"].strip()] += 1
            continue
        names, hundredfold = found
        where = f"row {place + 1} ({cell['system'].strip()}, {cell['metric'].strip()}), value"
        numbers = _numbers(names, cell["value"], where, read, hundredfold=hundredfold)
        here = [cell["system"].strip(), *(cell[other].strip() for other in others)]
        if here != key or any(name in read.lines[-1].values for name in names):
            key = here
            read.lines.append(ReportedLine(", ".join(filter(None, here)), _runs(cell, runs, place)))
        read.lines[-1].values.update(numbers)
    read.lines[:] = [line for line in read.lines if line.values]
    return read


def _numbers(
    names: tuple[str, ...], text: str, where: str, read: ReportedReading, *, hundredfold: bool
) -> dict[str, Reported]:
    """The numbers of one cell by metric; what there is not is noted in ``read``."""
    try:
        numbers = read_numbers(text, len(names), where)
    except SubmissionError as error:
        read.refused.append(str(error))
        return {}
    if None in numbers:
        read.absent.append(where)
    return {
        name: Reported.of(name, number, hundredfold=hundredfold)
        for name, number in zip(names, numbers, strict=True)
        if number is not None
    }


def _check_some(read: ReportedReading, name: str, dataset: Dataset) -> None:
    """Raise ``SubmissionError`` when not one number was read."""
    if read.lines:
        return
    _check_all(read, name)
    if read.absent:
        raise SubmissionError(
            f"{name} holds no number for {dataset.title}: {len(read.absent)} cells say that"
            f" there is none, the first is {read.absent[0]}"
        )
    raise SubmissionError(
        f"{name} holds no metric of {dataset.title}; it has {counted(read.unknown)}",
        hint="msa list metrics; Acc-2 and F1 say which clips they count, such as acc2_non0",
    )


def _check_all(read: ReportedReading, name: str) -> None:
    """Raise ``SubmissionError`` naming the cells that were not understood."""
    if not read.refused:
        return
    named = "; ".join(read.refused[:_NAMED])
    more = f"; and {len(read.refused) - _NAMED} more" if len(read.refused) > _NAMED else ""
    raise SubmissionError(
        f"{name}: not understood: {named}{more}",
        hint="write 0.712 or 0.712 ± 0.010, and - where there is none; two numbers in one cell need"
        " a metric such as Acc-2 has0/non0",
    )


def _runs(cell: Mapping[Hashable, str], given: int | None, place: int) -> int | None:
    stated = cell.get("runs", "").strip()
    if given is not None or not stated:
        return given
    if not re.fullmatch("[1-9][0-9]{0,5}", stated):
        raise SubmissionError(
            f"row {place + 1}: runs of {cell['system']!r} should be a count, found {stated!r}",
            hint="leave it empty where nobody says",
        )
    return int(stated)


def _constants(dataset: Dataset, home: Home) -> Constants:
    found = official_source(dataset, CorpusStore(home.corpora))
    if found is None:
        return binary_constants(dataset)
    train, test = found.of("train").labels, found.of("test").labels
    return {**binary_constants(dataset), **label_constants(train, test, dataset)}
