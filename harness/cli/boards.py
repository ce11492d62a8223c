"""``msa board``: leaderboards from stored runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli._home import home_of
from harness.cli._output import JsonFlag, echo_json
from harness.errors import SpecError, StoreError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("board")(_board)


def _board(
    context: typer.Context,
    suite: Annotated[
        str | None, typer.Argument(metavar="SUITE", help="Default: all run here.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write here instead (one suite only).")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare with the written board; fail on any drift.")
    ] = False,
    figures: Annotated[
        bool,
        typer.Option(
            "--figures", help="Draw ranks, seeds, metrics and costs beside it, as PDF, PNG and SVG."
        ),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Rebuild boards from stored predictions."""
    import leaderboards
    from harness.runs.store import RunStore

    if out is not None and suite is None:
        raise SpecError("--out takes one board", hint="msa board SUITE --out FILE")
    home = home_of(context)
    store = RunStore(home.store)
    suites = store.plans() if suite is None else [suite]
    if not suites:
        raise StoreError("no suite has been run here", hint="msa run demo")
    if as_json:
        echo_json({name: leaderboards.as_records(store, name) for name in suites})
        return
    drift = 0
    for name in suites:
        path = out or home.boards / f"{name}.md"
        if not check:
            typer.echo(f"board: {leaderboards.write(store, name, path)}")
            for drawn in leaderboards.draw(store, name, path.parent) if figures else ():
                typer.echo(f"figure: {drawn}")
            continue
        lines = leaderboards.check(store, name, path)
        drift += bool(lines)
        typer.echo("\n".join(lines) if lines else f"unchanged: {path}")
    if drift:
        raise StoreError(f"{drift} of {len(suites)} boards drifted", hint="msa board")
