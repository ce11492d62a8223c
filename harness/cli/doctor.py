"""``msa doctor``: whether this machine has what runs need."""

from __future__ import annotations

import dataclasses

import typer

from harness.cli._home import home_of
from harness.cli._output import JsonFlag, echo_json, echo_table

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(_doctor)


def _doctor(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Check Python, packages, devices, disk, encoders, corpora; exit 1 when runs cannot work."""
    from harness.checks.machine import examine

    rows = [dataclasses.asdict(found) for found in examine(home_of(context))]
    if as_json:
        echo_json(rows)
    else:
        echo_table(rows)
    if any(row["verdict"] == "fail" for row in rows):
        raise typer.Exit(1)
