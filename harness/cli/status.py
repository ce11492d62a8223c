"""``msa status``: how far suites are, also while they run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli._output import JsonFlag, echo_json, echo_table
from harness.cli._quote import duration

if TYPE_CHECKING:
    from harness.runs.holder import Running
    from harness.runs.store import RunStore

__all__ = ["register"]

_NUMBERS = frozenset({"cells", "stored", "failed", "damaged", "missing"})


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status")(_status)


def _status(
    suite: Annotated[str | None, typer.Argument(metavar="[SUITE]")] = None,
    as_json: JsonFlag = False,
) -> None:
    """How far each planned suite is, also while it runs: cells, what is left, and when it ends."""
    from harness.home import Home
    from harness.runs.holder import running
    from harness.runs.store import RunStore

    store = RunStore(Home.default().store)
    names = store.plans() if suite is None else [suite]
    at_work = running(store)
    rows = [_progress_of(store, name, at_work) for name in names]
    if as_json:
        echo_json(rows)
    else:
        echo_table([_in_words(row) for row in rows], right=_NUMBERS)


def _progress_of(store: RunStore, suite: str, at_work: Running | None) -> dict[str, object]:
    from harness.runs.costs import work_left

    plan = store.plan(suite)
    keys = plan.keys
    present = {key for key in keys if key in store}
    damaged = {key for key in present if store.get(key).damage}
    failed = {key for key in keys - present if store.failure(key) is not None}
    left = work_left(store, plan.cells)
    return {
        "suite": suite,
        "cells": len(keys),
        "stored": len(present - damaged),
        "failed": len(failed),
        "damaged": len(damaged),
        "missing": len(keys - present - failed),
        "seconds_left": left.seconds,
        "unpriced": left.unpriced,
        "running": _driver(at_work, suite, left.seconds),
    }


def _driver(at_work: Running | None, suite: str, left: float) -> dict[str, object] | None:
    if at_work is None or at_work.suite != suite:
        return None
    workers = at_work.workers
    return {
        "process": at_work.process,
        "seconds": at_work.seconds,
        "workers": workers,
        "ends_in_seconds": None if workers is None else left / workers,
    }


def _in_words(row: Mapping[str, Any]) -> dict[str, object]:
    """One worker's time for what is not stored, as far as stored runs of the same rows tell."""
    shown = dict(row)
    seconds, unpriced, driver = (shown.pop(k) for k in ("seconds_left", "unpriced", "running"))
    parts = [duration(seconds)] if seconds else []
    parts += [f"{unpriced} cells not known"] if unpriced else []
    return {**shown, "left": " + ".join(parts), "running": _said(driver, unpriced)}


def _said(driver: Mapping[str, Any] | None, unpriced: int) -> str:
    if driver is None:
        return ""
    said = f"process {driver['process']}, for {duration(driver['seconds'])}"
    ends = driver["ends_in_seconds"]
    if ends is None:
        return said
    return f"{said}, {'at least' if unpriced else 'about'} {duration(ends)} to go"
