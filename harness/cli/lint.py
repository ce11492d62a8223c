"""``msa lint``: the arithmetic of reported tables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._output import JsonFlag, echo_json
from harness.errors import SubmissionError

if TYPE_CHECKING:
    import pandas as pd

    from harness.checks.reported_numbers import Constants, Finding, Reported
    from harness.data.datasets import Dataset
    from harness.home import Home

__all__ = ["register"]

_COLUMNS = ("system", "metric", "value")
_NOT_A_ROW = (*_COLUMNS, "dataset", "note", "runs")
_NAMED = 10
"""So many cells are named; of more, only the number is said."""


@dataclass(frozen=True)
class _Line:
    """One system's numbers, as far as one table row goes."""

    title: str
    runs: int | None
    values: dict[str, Reported] = field(default_factory=dict)


@dataclass(frozen=True)
class _Reading:
    """What was read of a table, and what was not.

    Args:
        lines: Rows of the printed table that hold numbers.
        absent: Cells that say that there is no number.
        refused: What is wrong with each cell that was not understood.
        unknown: Printed metric -> cells passed over, because it is none of the dataset's metrics
            or does not say which.
    """

    lines: list[_Line] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("lint")(_lint)


def _lint(
    context: typer.Context,
    table: Annotated[
        Path,
        typer.Argument(help="A .csv with the columns system, metric, value, numbers as printed."),
    ],
    dataset: Annotated[str, typer.Option(help="mosi, mosei, sims or simsv2.")],
    runs: Annotated[
        int | None,
        typer.Option(help="Runs behind each number; default: a column runs, else unknown.", min=1),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Find reported numbers that cannot be: no k/n, contradictions, a constant predictor's."""
    from harness.checks.reported_numbers import lint
    from harness.data.datasets import datasets

    known = datasets[dataset]
    cells = _read(table, known)
    read = _lines(cells, known, runs)
    _check_some(read, table, known)
    constants = _constants(known, home_of(context))
    found = [
        (line, lint(line.values, known, runs=line.runs, constants=constants)) for line in read.lines
    ]
    if as_json:
        echo_json([_record(line, findings) for line, findings in found])
    else:
        _show(found)
        understood = len(cells) - len(read.refused) - read.unknown.total()
        typer.echo(
            f"{known.title}: {len(found)} rows, {understood} of {len(cells)} values understood"
        )
        typer.echo(_tally(found))
    _say_passed_over(read, known, err=as_json)
    _check_all(read, table)
    if any(finding.verdict == "impossible" for _, findings in found for finding in findings):
        raise typer.Exit(1)


# Reading


def _read(path: Path, dataset: Dataset) -> pd.DataFrame:
    from harness.data.readers.predictions import read_predictions_table
    from harness.submissions.tables.rows import refuse_twice

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


def _lines(cells: pd.DataFrame, dataset: Dataset, runs: int | None) -> _Reading:
    """Rows of the printed table: neighbouring numbers of one system, until a metric recurs."""
    from harness.checks.reported_numbers import canonical_names

    read = _Reading()
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
            read.lines.append(_Line(", ".join(filter(None, here)), _runs(cell, runs, place)))
        read.lines[-1].values.update(numbers)
    read.lines[:] = [line for line in read.lines if line.values]
    return read


def _numbers(
    names: tuple[str, ...], text: str, where: str, read: _Reading, *, hundredfold: bool
) -> dict[str, Reported]:
    """The numbers of one cell by metric; what there is not is noted in ``read``."""
    from harness._util.printed import read_numbers
    from harness.checks.reported_numbers import Reported

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


def _check_some(read: _Reading, path: Path, dataset: Dataset) -> None:
    """Raise ``SubmissionError`` when not one number was read."""
    if read.lines:
        return
    _check_all(read, path)
    if read.absent:
        raise SubmissionError(
            f"{path.name} holds no number for {dataset.title}: {len(read.absent)} cells say that"
            f" there is none, the first is {read.absent[0]}"
        )
    raise SubmissionError(
        f"{path.name} holds no metric of {dataset.title}; it has {_counted(read.unknown)}",
        hint="msa list metrics; Acc-2 and F1 say which clips they count, such as acc2_non0",
    )


def _check_all(read: _Reading, path: Path) -> None:
    """Raise ``SubmissionError`` naming the cells that were not understood."""
    if not read.refused:
        return
    named = "; ".join(read.refused[:_NAMED])
    more = f"; and {len(read.refused) - _NAMED} more" if len(read.refused) > _NAMED else ""
    raise SubmissionError(
        f"{path.name}: not understood: {named}{more}",
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
    from harness.checks.reported_numbers import binary_constants, label_constants
    from harness.data.known_labels import official_clips
    from harness.data.store import CorpusStore

    store = CorpusStore(home.corpora)
    found = official_clips(dataset, store)
    if found is None:
        return binary_constants(dataset)
    corpus = store.load(found.name)
    train, test = corpus.split("train").labels, corpus.split("test").labels
    return {**binary_constants(dataset), **label_constants(train, test, dataset)}


# Report


def _record(line: _Line, findings: list[Finding]) -> dict[str, object]:
    return {
        "row": line.title,
        "runs": line.runs,
        "values": {name: number.text for name, number in line.values.items()},
        "spreads": {
            name: None if number.spread is None else float(number.spread)
            for name, number in line.values.items()
        },
        "findings": [
            {"kind": f.kind, "verdict": f.verdict, "metrics": list(f.metrics), "text": f.text}
            for f in findings
        ],
    }


def _show(found: list[tuple[_Line, list[Finding]]]) -> None:
    for line, findings in found:
        if findings:
            typer.echo(line.title)
            for finding in findings:
                typer.echo(f"  {finding.verdict:10}  {finding.text}")


def _tally(found: list[tuple[_Line, list[Finding]]]) -> str:
    counted = Counter(finding.verdict for _, findings in found for finding in findings)
    clean = sum(not findings for _, findings in found)
    verdicts = ", ".join(f"{counted[v]} {v}" for v in ("impossible", "suspicious", "note"))
    return f"{verdicts}; {clean} rows without a finding"


def _say_passed_over(read: _Reading, dataset: Dataset, *, err: bool) -> None:
    if read.absent:
        typer.echo(f"no number in {len(read.absent)} cells", err=err)
    if read.unknown:
        typer.echo(
            f"not checked, for no metric of {dataset.title} or not saying which: "
            + _counted(read.unknown),
            err=err,
        )


def _counted(names: Counter[str]) -> str:
    return ", ".join(f"{name!r} ({count} cells)" for name, count in names.items())
