"""``msa paper``: a board as a paper cites it, in LaTeX."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._output import complain

if TYPE_CHECKING:
    from leaderboards.model import Board
    from leaderboards.paper import Work

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("paper")(_paper)


def _paper(
    context: typer.Context,
    suite: Annotated[str, typer.Argument(metavar="SUITE", help="A suite that was run here.")],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Default: <suite>.paper among the boards.", file_okay=False
        ),
    ] = None,
    corpora: Annotated[
        list[str] | None,
        typer.Option("--corpus", metavar="NAME", help="Show this corpus only; repeatable."),
    ] = None,
    shows: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", metavar="NAME", help="Show this metric; repeatable. Default: primary ones."
        ),
    ] = None,
) -> None:
    """Write tables, a methods paragraph and references in LaTeX."""
    from harness.runs.store import RunStore
    from leaderboards.model import gather
    from leaderboards.paper import write_paper

    home = home_of(context)
    board = gather(RunStore(home.store), suite)
    written = write_paper(
        board,
        out or home.boards / f"{suite}.paper",
        works=_works(board),
        corpora=corpora or (),
        shows=shows or (),
    )
    for path in written:
        typer.echo(f"written: {path}")
    typer.echo("next: latexmk -pdf paper.tex there, or \\input{tables} in a paper of yours")


def _works(board: Board) -> dict[str, Work]:
    """The papers of the board's systems, as far as the systems are installed and have one."""
    from harness.system import systems
    from leaderboards.paper import Work

    names = dict.fromkeys(row.system for grid in board.grids for row in grid.rows)
    _warn(name for name in names if name not in systems)
    cards = {name: systems[name].card for name in names if name in systems}
    return {
        name: Work(named=card.paper, title=card.title, year=card.year, url=card.url)
        for name, card in cards.items()
        if card.year is not None
    }


def _warn(absent: Iterable[str]) -> None:
    for name in absent:
        complain(f"no reference for {name}: no such system is installed here", colour="yellow")
