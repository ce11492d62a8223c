"""``msa store``: the home as a whole."""

from __future__ import annotations

import typer

from harness.cli._home import home_of
from harness.cli._output import JsonFlag, echo_json

__all__ = ["register"]

_store = typer.Typer(help="Look after what is stored.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_store, name="store")


@_store.callback()
def _group() -> None:
    """Keep ``clean`` a named command though it is the only one."""


@_store.command("clean")
def _clean(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Free the disk of what was deleted, logs of cells that are no more, and what is remembered.

    Corpora, runs and plans that were deleted are gone for good then. What boards remember is
    computed again by the next one.
    """
    from harness.runs.removing import clean

    found = clean(home_of(context))
    if as_json:
        echo_json([vars(one) for one in found])
        return
    for one in found:
        if one.count:
            typer.echo(f"{one.what}: {one.count}, {one.size / 1e6:,.1f} MB")
    typer.echo(f"{sum(one.size for one in found) / 1e6:,.1f} MB freed")
