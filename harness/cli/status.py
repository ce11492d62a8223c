"""``msa status``: how far suites are, also while they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._output import JsonFlag, echo_json, echo_table, echo_text
from harness.cli._plan import duration

if TYPE_CHECKING:
    from harness.runs.progress import SuiteProgress

__all__ = ["register"]

_NUMBERS = frozenset({"cells", "stored", "failed", "damaged", "missing", "holes"})


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status")(_status)


def _status(
    context: typer.Context,
    suite: Annotated[
        str | None, typer.Argument(metavar="SUITE", help="Default: every suite planned here.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """How far each planned suite is, also while it runs: cells, what is left, and when it ends."""
    from harness.runs.progress import status

    found = status(suite, home_of(context))
    if as_json:
        echo_json([progress.record() for progress in found])
    else:
        echo_table([_in_words(progress) for progress in found], right=_NUMBERS)
        for progress in found:
            for reason, count in progress.holes.items():
                echo_text(f"{progress.suite}: {count} holes: {reason}")


def _in_words(found: SuiteProgress) -> dict[str, object]:
    """One worker's time for what is not stored, as far as stored runs of the same rows tell."""
    parts = [duration(found.seconds_left)] if found.seconds_left else []
    parts += [f"{found.unpriced} cells not known"] if found.unpriced else []
    return {
        "suite": found.suite,
        "cells": found.cells,
        "stored": found.stored,
        "failed": found.failed,
        "damaged": found.damaged,
        "missing": found.missing,
        "holes": sum(found.holes.values()),
        "left": " + ".join(parts),
        "running": _described(found),
    }


def _described(found: SuiteProgress) -> str:
    if found.driver is None:
        return ""
    text = f"process {found.driver.process}, for {duration(found.driver.seconds)}"
    if found.ends_in is None:
        return text
    if found.unpriced and not found.seconds_left:
        return f"{text}; nothing like the rest was ever run"
    return f"{text}, {'at least' if found.unpriced else 'about'} {duration(found.ends_in)} to go"
