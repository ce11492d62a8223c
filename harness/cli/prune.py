"""``msa prune``: what no suite asks for any more is listed, then taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._output import JsonFlag, echo_json, echo_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.runs.prune import Leftover

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("prune")(_prune)


def _prune(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Take them away.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List stored runs that no plan and no board names; with --yes, delete them."""
    from harness.runs.prune import leftovers, prune

    home = home_of(context)
    found = prune(home) if yes else leftovers(home)
    if as_json:
        echo_json({"deleted": yes, "found": [item.record() for item in found]})
        return
    if found and not yes:
        echo_table(_rows(found), right=frozenset({"KB"}))
    typer.echo(_summary(found, yes))


def _rows(found: Sequence[Leftover]) -> list[dict[str, object]]:
    return [
        {"run": item.key[:12], "what": item.what, "KB": f"{item.size / 1000:,.0f}"}
        for item in found
    ]


def _summary(found: Sequence[Leftover], yes: bool) -> str:
    runs = sum(not item.failed for item in found)
    size = sum(item.size for item in found) / 1e6
    counted = f"{runs} runs and {len(found) - runs} failures, {size:,.1f} MB"
    if not found:
        return "every stored run is named by a plan or a board"
    return f"deleted: {counted}" if yes else f"{counted}; msa prune --yes deletes them"
