"""``msa study selection``: what choosing the epoch as released is worth, beside the protocol."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._output import JsonFlag, echo_json, echo_table, echo_text, write_file

if TYPE_CHECKING:
    from harness.metrics import Metric
    from harness.stats import Comparison
    from leaderboards.studies.selection import CorpusSelection, RowSelection

__all__ = ["register"]

_Suite = Annotated[str, typer.Argument(metavar="SUITE", help="A suite that was run here.")]
_Other = Annotated[
    str, typer.Argument(metavar="OTHER", help="The same rows under the other protocol.")
]
_Rows = Annotated[list[str] | None, typer.Option(help="Only this row; repeatable.")]
_Metric = Annotated[str, typer.Option(help="Shown as text; JSON and the page have all.")]
_Out = Annotated[Path | None, typer.Option(help="Markdown file to write.")]

_NUMBERS = frozenset({"seeds", "protocol", "released", "difference", "95 % interval", "p"})


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("selection")(_selection)


def _selection(
    context: typer.Context,
    suite: _Suite,
    other: _Other,
    row: _Rows = None,
    metric: _Metric = "mae",
    out: _Out = None,
    as_json: JsonFlag = False,
) -> None:
    """Released choice of epochs against the protocol's: epochs, and the difference, by seed."""
    from harness.metrics import metrics
    from harness.runs.store import RunStore
    from leaderboards.studies import selection_page
    from leaderboards.studies.selection import study_selection

    shown = metrics[metric]
    studies = study_selection(RunStore(home_of(context).store), suite, other, row or ())
    if out is not None:
        _write(out, selection_page.render((suite, other), studies))
    if as_json:
        echo_json({"suites": [suite, other], "corpora": [_facts(study) for study in studies]})
        return
    for study in studies:
        _print(study, shown)
    echo_text("\n".join(selection_page.NOTE))


def _print(study: CorpusSelection, metric: Metric) -> None:
    from leaderboards.studies.selection_page import remarks

    dataset = study.corpus.dataset.title
    where = f"SYNTHETIC TWIN of {dataset}" if study.corpus.twin else dataset
    typer.echo(f"{where} ({study.corpus.name}): {metric.title}\n")
    compared = [row for row in study.rows if row.differences]
    if compared and metric in study.metrics:
        echo_table([_line(row, metric) for row in compared], right=_NUMBERS)
    elif compared:
        names = ", ".join(one.name for one in study.metrics)
        typer.echo(f"{metric.name} is not among its metrics: {names}")
    else:
        typer.echo("no pair of runs")
    for row in study.rows:
        for remark in remarks(row):
            echo_text(f"{row.label}: {remark}")
    typer.echo()


def _line(row: RowSelection, metric: Metric) -> dict[str, object]:
    from leaderboards.studies.selection_page import difference, epochs_line

    seeds, ours, theirs, same = epochs_line(row.epochs)
    protocol, released, effect, interval, p = difference(row, metric)
    return {
        "row": row.label,
        "seeds": seeds,
        "epoch, protocol": ours,
        "epoch, released": theirs,
        "same": same,
        "protocol": protocol,
        "released": released,
        "difference": effect,
        "95 % interval": interval,
        "p": p,
    }


def _facts(study: CorpusSelection) -> dict[str, object]:
    return {
        "corpus": study.corpus.name,
        "dataset": study.corpus.dataset.name,
        "twin": study.corpus.twin,
        "rows": [
            {
                "row": row.label,
                "system": row.system,
                "rule": row.rule,
                "left_out": row.left_out,
                "differs_besides": list(row.besides),
                "epochs": [dataclasses.asdict(pair) for pair in row.epochs],
                "metrics": dict(_compared(row)),
            }
            for row in study.rows
        ],
    }


def _compared(row: RowSelection) -> Iterator[tuple[str, dict[str, object]]]:
    for name, found in row.differences.items():
        yield name, _comparison(found) | {"p_adjusted": row.adjusted[name]}


def _comparison(found: Comparison) -> dict[str, object]:
    return {
        "protocol": found.b,
        "released": found.a,
        "difference": found.effect,
        "low": found.low,
        "high": found.high,
        "p_value": found.p_value,
        "standard_error": found.standard_error,
        "conditional_on_one_run": found.conditional_on_one_run,
    }


def _write(path: Path, page: str) -> None:
    write_file(path, page)
    typer.echo(f"written: {path}", err=True)
