"""``msa lint``: the arithmetic of reported tables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._labels import official_corpus
from harness.cli._output import JsonFlag, echo_json
from harness.errors import SubmissionError

if TYPE_CHECKING:
    import pandas as pd

    from harness.arithmetic import Constants, Finding, Reported
    from harness.data.datasets import Dataset

__all__ = ["register"]

_COLUMNS = ("system", "metric", "value")
_NOT_A_ROW = (*_COLUMNS, "dataset", "note", "runs")


@dataclass(frozen=True)
class _Line:
    """One system's numbers, as far as one table row goes."""

    title: str
    runs: int | None
    values: dict[str, Reported] = field(default_factory=dict)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("lint")(_lint)


def _lint(
    table: Annotated[Path, typer.Argument(help="A .csv with the columns system, metric, value.")],
    dataset: Annotated[str, typer.Option(help="mosi, mosei, sims or simsv2.")],
    runs: Annotated[
        int | None,
        typer.Option(help="Runs behind each number; default: a column runs, else unknown.", min=1),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Find reported numbers that cannot be: no k/n, contradictions, a constant predictor's."""
    from harness.arithmetic import lint
    from harness.data.datasets import datasets

    known = datasets[dataset]
    cells = _read(table, known)
    lines = list(_lines(cells, known, runs))
    constants = _constants(known)
    found = [
        (line, lint(line.values, known, runs=line.runs, constants=constants)) for line in lines
    ]
    values = sum(len(line.values) for line in lines)
    if as_json:
        echo_json([_record(line, findings) for line, findings in found])
    else:
        _show(found)
        typer.echo(f"{known.title}: {len(lines)} rows, {values} of {len(cells)} values understood")
        typer.echo(_tally(found))
    if any(finding.verdict == "impossible" for _, findings in found for finding in findings):
        raise typer.Exit(1)


# Reading


def _read(path: Path, dataset: Dataset) -> pd.DataFrame:
    from harness.predictions import read_predictions_table

    if path.suffix != ".csv":
        raise SubmissionError(f"a reported table is a .csv file; found {path.name}")
    cells = read_predictions_table(path).frame
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


def _plain_dataset(name: str) -> str:
    """A dataset's name without case, punctuation, ``CMU``, ``CH`` or the ``(s)`` of v2."""
    letters = re.sub(r"[^a-z0-9]", "", name.lower())
    return re.sub(r"(?<=v2)s$", "", re.sub(r"^(cmu|ch)(?=mos|sims)", "", letters))


def _lines(cells: pd.DataFrame, dataset: Dataset, runs: int | None) -> Iterator[_Line]:
    """Rows of the printed table: neighbouring numbers of one system, until a metric recurs."""
    from harness.arithmetic import Reported, canonical_name

    key: list[str] | None = None
    line = _Line("", None)
    others = [name for name in cells if name not in _NOT_A_ROW]
    for cell in cells.to_dict("records"):
        name = canonical_name(cell["metric"], dataset)
        if name is None:
            continue
        number = Reported.parse(name[0], cell["value"], hundredfold=name[1])
        here = [cell["system"], *(cell[other] for other in others)]
        if here != key or name[0] in line.values:
            if line.values:
                yield line
            key, line = here, _Line(", ".join(filter(None, here)), _runs(cell, runs))
        if number is not None:
            line.values[name[0]] = number
    if line.values:
        yield line


def _runs(cell: Mapping[Hashable, str], given: int | None) -> int | None:
    stated = cell.get("runs", "").strip()
    if given is not None or not stated:
        return given
    if not re.fullmatch("[1-9][0-9]{0,5}", stated):
        raise SubmissionError(f"runs of {cell['system']!r} should be a count, found {stated!r}")
    return int(stated)


def _constants(dataset: Dataset) -> Constants:
    from harness.arithmetic import binary_constants, label_constants

    corpus = official_corpus(dataset)
    if corpus is None:
        return binary_constants(dataset)
    train, test = corpus.split("train").labels, corpus.split("test").labels
    return {**binary_constants(dataset), **label_constants(train, test, dataset)}


# Report


def _record(line: _Line, findings: list[Finding]) -> dict[str, object]:
    return {
        "row": line.title,
        "runs": line.runs,
        "values": {name: number.text for name, number in line.values.items()},
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
