"""``msa reproduce``: a published table beside the stored runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._output import JsonFlag, echo_json, echo_table, echo_text, write_file
from harness.cli._tables import terminal_width

if TYPE_CHECKING:
    from harness.home import Home
    from leaderboards.studies.reproduce import ReproducedNumber

__all__ = ["register"]

_SUITE = "paper_baselines"
_SHOWN = 3  # commands that would run what was not run
_NUMBERS = frozenset(("published", "released code reaches", "ours"))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("reproduce")(_reproduce)


def _reproduce(
    context: typer.Context,
    table: Annotated[
        str, typer.Argument(metavar="TABLE", help="A published table: msa list tables.")
    ],
    dataset: Annotated[str | None, typer.Option(help="Only this dataset.")] = None,
    system: Annotated[str | None, typer.Option(help="Only this system.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write Markdown to this file.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Put published numbers, and what released code reaches, beside ours: verdict per number."""
    from harness.runs.store import RunStore
    from leaderboards.literature import table as published_table
    from leaderboards.studies import reproduce, reproduce_page

    home = home_of(context)
    rows = published_table(table, dataset, system)
    cells = reproduce.reproduce(RunStore(home.store), rows)
    at_hand = _at_hand(home)
    steps = reproduce_page.next_steps(cells, *at_hand)
    if out is not None:
        _write(out, reproduce_page.render(table, cells, steps))
    if as_json:
        following = [list(reproduce_page.next_steps([cell], *at_hand)) for cell in cells]
        records = zip(reproduce.as_records(cells), following, strict=True)
        echo_json([{**record, "next": commands} for record, commands in records])
        return
    if out is None:
        _echo_cells(cells)
        typer.echo()
        for line in reproduce_page.drift_lines(cells):
            echo_text(line)
    echo_text(reproduce_page.counts(cells))
    for step in steps[:_SHOWN]:
        typer.echo(f"next: {step}")
    if len(steps) > _SHOWN:
        typer.echo(f"and {len(steps) - _SHOWN} more: --out FILE lists them")


def _at_hand(home: Home) -> tuple[list[str], dict[str, frozenset[str]]]:
    """Stored corpora, and the systems of the suite that trains published ones."""
    from harness.data.store import CorpusStore
    from harness.runs.suite_files import find_suite

    entries = find_suite(_SUITE, home).entries if _SUITE in home.suite_files() else ()
    return CorpusStore(home.corpora).names(), {_SUITE: frozenset(e.system for e in entries)}


def _write(path: Path, page: str) -> None:
    write_file(path, page)
    typer.echo(f"reproduction: {path}", err=True)


def _echo_cells(cells: Sequence[ReproducedNumber]) -> None:
    """The table; in a terminal, a reason that several numbers share stands once below it."""
    rows = [_printed(cell) for cell in cells]
    notes: dict[str, int] = {}
    if terminal_width() is not None:
        given = Counter(reason for row in rows if (reason := _reason(row["verdict"])))
        shared = [reason for reason, count in given.items() if count > 1]
        notes = {reason: number for number, reason in enumerate(shared, start=1)}
    for row in rows:
        if number := notes.get(_reason(row["verdict"])):
            row["verdict"] = f"{row['verdict'].partition(': ')[0]} ({number})"
    echo_table(rows, right=_NUMBERS)
    for reason, number in notes.items():
        echo_text(f"({number}) {reason}")


def _reason(verdict: str) -> str:
    return verdict.partition(": ")[2]


def _printed(cell: ReproducedNumber) -> dict[str, str]:
    from leaderboards.studies import reproduce_page as page

    row, ours = cell.published, cell.ours
    return {
        "dataset": row.dataset,
        "system": page.named(row),
        "metric": row.metric,
        "published": page.number(row.value, row),
        "released code reaches": page.reached(cell),
        "ours": page.number(ours.mean, row) if ours else "",
        "gap, 95 % interval": page.interval(cell),
        "verdict": page.verdict_of(cell),
        "beside released code": page.code_verdict(cell),
    }
