"""The cells of a suite, by what the store has of them: a run of today's source, of earlier ones."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from harness.errors import StoreError
from harness.runs.cell import Job
from harness.runs.driver import select_cells
from harness.runs.earlier import standing_for
from harness.runs.equivalence import Source, Sources
from harness.runs.judged import Judged
from harness.runs.plan import Plan
from harness.runs.store import RunStore

__all__ = ["CellRuns", "ChangeKey", "Found", "Wanted", "find"]

ChangeKey: TypeAlias = tuple[str, str, str]
"""System, earlier source and later one."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What was asked for; see ``harness.carry``."""

    only: tuple[str, ...]
    everything: bool
    every_seed: bool
    tolerance: float


@dataclass(frozen=True, kw_only=True)
class CellRuns:
    """A planned cell and its stored runs of earlier sources.

    Args:
        label: Its row.
        job: What executes it.
        runs: Key -> what is to know of it, of each sound one.
        change: The change that it is looked at under, where it waits for evidence.
    """

    label: str
    job: Job
    runs: Mapping[str, Source]
    change: ChangeKey = ("", "", "")

    @property
    def key(self) -> str:
        """That of its own run."""
        return self.job.spec.key

    @property
    def seconds(self) -> float:
        """Of the run that it is looked at."""
        _, code, _ = self.change
        return next(run.seconds for run in self.runs.values() if run.code == code)

    @property
    def words(self) -> str:
        """Which cell it is."""
        return f"{self.label} on {self.job.spec.corpus}, seed {self.job.spec.seed}"

    def of(self, old: str) -> ChangeKey:
        """The change that a run of an earlier source is before."""
        return self.job.spec.system, self.runs[old].code, self.job.spec.code


@dataclass(frozen=True, kw_only=True)
class Found:
    """The cells of a suite, by what the store has of them.

    Args:
        present: Those with a run of today's source.
        before: Keys of those that count by evidence already.
        without: How many have no sound run of any source.
        waiting: Those that ask for evidence.
    """

    present: Sequence[CellRuns]
    before: frozenset[str]
    without: int
    waiting: Sequence[CellRuns]

    @property
    def changes(self) -> tuple[ChangeKey, ...]:
        """What is asked about, in the order of the plan."""
        return tuple(dict.fromkeys(cell.change for cell in self.waiting))

    def both(self, change: ChangeKey) -> list[tuple[CellRuns, str]]:
        """Cells that have runs of both sources of a change, with the earlier one's key."""
        return [(c, old) for c in self.present for old in c.runs if c.of(old) == change]


def find(plan: Plan, store: RunStore, judged: Judged, wanted: Wanted) -> Found:
    """Sort the cells that were asked for."""
    asked = select_cells(plan, wanted.only)
    jobs = {cell.job.spec.key: cell.job for cell in asked if cell.job is not None}
    labels = {cell.job.spec.key: cell.label for cell in asked if cell.job is not None}
    sources = Sources(store)
    cells = {
        key: CellRuns(
            label=labels[key], job=job, runs=_sound_ones(sources.earlier(job.spec), judged)
        )
        for key, job in jobs.items()
    }
    present = {k for k in jobs if k in store and not judged.damage_of(store.get(k))}
    standing = frozenset(standing_for(plan, judged).keys() & jobs.keys())
    lacking = [
        cell
        for key, cell in cells.items()
        if cell.runs and key not in present and (wanted.everything or key not in standing)
    ]
    first = _preference(plan, store, lacking)
    return Found(
        present=[cells[key] for key in jobs if key in present],
        before=standing,
        without=sum(not cells[key].runs for key in jobs.keys() - present),
        waiting=[
            dataclasses.replace(cell, change=cell.of(min(cell.runs, key=partial(first, cell))))
            for cell in lacking
        ],
    )


def _sound_ones(runs: Mapping[str, Source], judged: Judged) -> dict[str, Source]:
    return {key: run for key, run in runs.items() if not judged.damage_of(judged.store.get(key))}


def _preference(
    plan: Plan, store: RunStore, lacking: Iterable[CellRuns]
) -> Callable[[CellRuns, str], tuple[bool, int, str]]:
    """Of several earlier sources, that of the suite's last plan, else that of most runs."""
    try:
        last = store.plan(plan.suite.name, written=True).keys
    except StoreError:
        last = frozenset()
    runs = Counter(run.code for cell in lacking for run in cell.runs.values())
    return lambda cell, old: (old not in last, -runs[cell.runs[old].code], old)
