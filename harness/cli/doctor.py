"""``msa doctor``: whether this machine has what runs need."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._output import JsonFlag, echo_json, echo_table

if TYPE_CHECKING:
    from harness.checks.needs import Need

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(_doctor)


def _doctor(
    context: typer.Context,
    suite: Annotated[
        str | None,
        typer.Argument(metavar="SUITE", help="Also: what this suite names and is not here."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Check Python, packages, devices, disk, encoders, corpora; exit 1 when runs cannot work.

    With a suite: what of it is not here, which rows wait for it, and the command that brings it.
    """
    if suite is not None:
        _echo_needs(context, suite, as_json=as_json)
        return
    from harness.checks.machine import examine

    rows = [dataclasses.asdict(found) for found in examine(home_of(context))]
    if as_json:
        echo_json(rows)
    else:
        echo_table(rows)
    if any(row["verdict"] == "fail" for row in rows):
        raise typer.Exit(1)


def _echo_needs(context: typer.Context, suite: str, *, as_json: bool) -> None:
    from harness._util.extras import explained
    from harness.runs.suite_files import find_suite

    with explained():
        from harness.checks.needs import needs_of

    home = home_of(context)
    needs = needs_of(find_suite(suite, home), home)
    if as_json:
        echo_json([dataclasses.asdict(need) for need in needs])
    elif not needs:
        typer.echo(f"everything that suite {suite} names is here")
    else:
        echo_table([_in_words(need) for need in needs])
        absent = sum(need.state == "absent" for need in needs)
        typer.echo(
            f"{absent} not here: their rows wait, all others run; {len(needs) - absent} come by"
            " themselves"
        )


def _in_words(need: Need) -> dict[str, object]:
    return {
        "not here": need.what,
        "rows": _counted(need.rows),
        "found": need.found,
        "next": need.next,
    }


def _counted(rows: Sequence[str]) -> str:
    """One row by its label, more as a number."""
    return rows[0] if len(rows) == 1 else str(len(rows))
