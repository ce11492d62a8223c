"""How far planned suites are, also while they run: cells, what is left, and when it ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass

from harness._util.canonical import Json
from harness.home import Home
from harness.runs.costs import work_left
from harness.runs.holder import Running, running
from harness.runs.judged import Judged, judging
from harness.runs.store import RunStore

__all__ = ["SuiteProgress", "status"]


@dataclass(frozen=True, kw_only=True)
class SuiteProgress:
    """How far a suite is, in cells.

    Args:
        suite: Its name.
        cells: Those that apply.
        stored: Whole runs.
        failed: Tried, without a run.
        damaged: Runs that are not sound; ``msa verify`` says why.
        missing: Neither there nor failed.
        holes: Why cells cannot run -> how many; they are in none of the counts above.
        seconds_left: One worker's time for what is not stored, as stored runs tell.
        unpriced: Cells whose time nothing tells.
        driver: Who runs it now, None for nobody.
    """

    suite: str
    cells: int
    stored: int
    failed: int
    damaged: int
    missing: int
    holes: Mapping[str, int]
    seconds_left: float
    unpriced: int
    driver: Running | None

    @property
    def ends_in(self) -> float | None:
        """Seconds until the driver at work is done; None without one, or on a cluster."""
        if self.driver is None or self.driver.workers is None:
            return None
        return self.seconds_left / self.driver.workers

    def record(self) -> dict[str, Json]:
        """As JSON values."""
        return {
            "suite": self.suite,
            "cells": self.cells,
            "stored": self.stored,
            "failed": self.failed,
            "damaged": self.damaged,
            "missing": self.missing,
            "holes": dict(self.holes),
            "seconds_left": self.seconds_left,
            "unpriced": self.unpriced,
            "running": self._at_work(),
        }

    def _at_work(self) -> dict[str, Json] | None:
        if self.driver is None:
            return None
        return {
            "process": self.driver.process,
            "seconds": self.driver.seconds,
            "workers": self.driver.workers,
            "ends_in_seconds": self.ends_in,
        }


def status(suite: str | None = None, home: Home | None = None) -> list[SuiteProgress]:
    """How far a suite is, or every suite that was planned.

    Args:
        suite: Its name; None for all.
        home: Where runs are stored; ``Home.default()`` when None.

    Raises:
        StoreError: For a suite that was never run here, or a plan or failure that is damaged.
    """
    store = RunStore((home or Home.default()).store)
    names = store.plans() if suite is None else [suite]
    at_work = running(store)
    there = store.keys() if suite is None else None  # of one suite, its own keys are asked for
    with judging(store) as judged:
        return [_progress(judged, there, name, at_work) for name in names]


def _progress(
    judged: Judged, there: Set[str] | None, suite: str, at_work: Running | None
) -> SuiteProgress:
    store = judged.store
    plan = store.plan(suite)
    keys = plan.keys
    present = {key for key in keys if key in store} if there is None else keys & there
    sound = {key for key in present if judged.is_sound(key)}
    failed = {key for key in keys - present if store.failure(key) is not None}
    seconds = {key: judged.seconds_of(key) for key in sound}
    left = work_left(seconds, plan.cells)
    return SuiteProgress(
        suite=suite,
        cells=len(keys),
        stored=len(sound),
        failed=len(failed),
        damaged=len(present) - len(sound),
        missing=len(keys - present - failed),
        holes=Counter(cell.lacks or cell.reason or "" for cell in plan.cells if cell.key is None),
        seconds_left=left.seconds,
        unpriced=left.unpriced,
        driver=at_work if at_work is not None and at_work.suite == suite else None,
    )
