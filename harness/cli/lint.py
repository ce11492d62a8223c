"""``msa lint``: the arithmetic of reported tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._memory import MemoryOption
from harness.cli._output import JsonFlag, echo_json, echo_text

if TYPE_CHECKING:
    from harness.checks.reported_numbers import LintFinding
    from harness.checks.reported_numbers.table import Linted, ReportedLine, ReportedReading
    from harness.data.datasets import Dataset

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("lint")(_lint)


def _lint(
    context: typer.Context,
    table: Annotated[
        Path,
        typer.Argument(
            metavar="TABLE",
            help="A .csv with the columns system, metric, value, numbers as printed.",
        ),
    ],
    dataset: Annotated[str, typer.Option(help="As `msa list datasets` names it, such as mosi.")],
    runs: Annotated[
        int | None,
        typer.Option(help="Runs behind each number; default: a column runs, else unknown.", min=1),
    ] = None,
    memory: MemoryOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Find reported numbers that cannot be: no k/n, contradictions, a constant predictor's."""
    from harness.checks.reported_numbers.table import lint_table

    found = lint_table(table, dataset, runs=runs, home=home_of(context))
    if as_json:
        echo_json([_record(line, findings) for line, findings in found.rows])
    else:
        _show(found.rows)
        echo_text(
            f"{found.dataset.title}: {len(found.rows)} rows, {found.understood} of {found.cells}"
            " values understood"
        )
        echo_text(_tally(found))
    _say_passed_over(found.reading, found.dataset, err=as_json)
    found.refuse_misread()
    if found.verdicts["impossible"]:
        raise typer.Exit(1)


def _record(line: ReportedLine, findings: list[LintFinding]) -> dict[str, object]:
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


def _show(found: list[tuple[ReportedLine, list[LintFinding]]]) -> None:
    for line, findings in found:
        if findings:
            typer.echo(line.title)
            for finding in findings:
                echo_text(f"  {finding.verdict:10}  {finding.text}")


def _tally(found: Linted) -> str:
    counts = found.verdicts
    clean = sum(not findings for _, findings in found.rows)
    verdicts = ", ".join(f"{counts[v]} {v}" for v in ("impossible", "suspicious", "note"))
    return f"{verdicts}; {clean} rows without a finding"


def _say_passed_over(read: ReportedReading, dataset: Dataset, *, err: bool) -> None:
    from harness.checks.reported_numbers.table import counted

    if read.absent:
        typer.echo(f"no number in {len(read.absent)} cells", err=err)
    if read.unknown:
        typer.echo(
            f"not checked, for no metric of {dataset.title} or not saying which: "
            + counted(read.unknown),
            err=err,
        )
