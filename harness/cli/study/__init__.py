"""``msa study``: studies of the measurements themselves."""

from __future__ import annotations

import typer

from harness.cli.study import (
    calibration,
    fidelity,
    parity,
    quality,
    reliability,
    selection,
    variance,
)

__all__ = ["register"]

_study = typer.Typer(
    help="Study variance, optimism, the tests and the systems.", no_args_is_help=True
)
for command in (calibration, fidelity, parity, quality, reliability, selection, variance):
    command.register(_study)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_study, name="study")
