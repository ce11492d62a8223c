"""Which stored runs an edit of the code asks for again, a sample of them executed, what follows.

A *change* is a system, the source that its stored runs are of, and today's. Evidence of it are the
cells that have runs of both.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from harness.errors import StoreError
from harness.runs.carrying.report import CarryReport, Change
from harness.runs.cell import Job
from harness.runs.driver import commit, is_sound, select_cells
from harness.runs.earlier import plan_to_store, standing_for
from harness.runs.equivalence import (
    Candidate,
    Carried,
    Equivalence,
    Replayed,
    Source,
    Sources,
    chosen,
    class_of,
    damage_of,
    discard,
    file_of,
    put,
    read,
    replayed,
)
from harness.runs.executors import Done, Executor
from harness.runs.judged import Judged, judging
from harness.runs.plan import Plan
from harness.runs.store import RunStore

__all__ = ["Wanted", "carry_over", "look"]

_Change: TypeAlias = tuple[str, str, str]
"""System, earlier source and later one."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What was asked for; see ``harness.carry``."""

    only: tuple[str, ...]
    everything: bool
    every_seed: bool
    tolerance: float


@dataclass(frozen=True, kw_only=True)
class _Cell:
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
    change: _Change = ("", "", "")

    @property
    def key(self) -> str:
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

    def of(self, old: str) -> _Change:
        """The change that a run of an earlier source is before."""
        return self.job.spec.system, self.runs[old].code, self.job.spec.code


@dataclass(frozen=True, kw_only=True)
class _Found:
    """The cells of a suite, by what the store has of them.

    Args:
        present: Those with a run of today's source.
        before: Keys of those that count by evidence already.
        without: How many have no sound run of any source.
        waiting: Those that ask for evidence.
    """

    present: Sequence[_Cell]
    before: frozenset[str]
    without: int
    waiting: Sequence[_Cell]

    @property
    def changes(self) -> tuple[_Change, ...]:
        """What is asked about, in the order of the plan."""
        return tuple(dict.fromkeys(cell.change for cell in self.waiting))

    def both(self, change: _Change) -> list[tuple[_Cell, str]]:
        """Cells that have runs of both sources of a change, with the earlier one's key."""
        return [(c, old) for c in self.present for old in c.runs if c.of(old) == change]


@dataclass
class _Outcome:
    """What is known of a change."""

    replayed: dict[str, Replayed] = field(default_factory=dict)
    sample: list[_Cell] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)

    def differs(self, tolerance: float) -> bool:
        """Whether any prediction is beyond the tolerance."""
        return not all(run.within(tolerance) for run in self.replayed.values())

    def verdict(self, tolerance: float) -> str:
        """In a word; empty where nothing was compared."""
        if self.differs(tolerance):
            return "different"
        if self.failures:
            return "failed"
        if not self.replayed:
            return ""
        changed = any(run.changed for run in self.replayed.values())
        return "within tolerance" if changed else "identical"


def look(plan: Plan, store: RunStore, wanted: Wanted) -> CarryReport:
    """What ``carry_over`` would execute; nothing is executed, and no run or record is written."""
    found = _found(plan, store, Judged(store), wanted)
    outcomes = _sampled(found, store, wanted)
    return _report(plan, found, outcomes, wanted, {})


def carry_over(
    plan: Plan,
    store: RunStore,
    wanted: Wanted,
    executor: Executor,
    *,
    on_start: Callable[[int], None],
    on_done: Callable[[Done], None],
) -> CarryReport:
    """Execute a sample, write what it shows, and store the plan. The caller holds the store.

    Each cell is committed as it ends: stopped at any moment, the same call goes on.
    """
    with judging(store) as judged:
        found = _found(plan, store, judged, wanted)
        outcomes = _sampled(found, store, wanted)
        jobs = {one.key: one for outcome in outcomes.values() for one in outcome.sample}
        for key in jobs:
            is_sound(judged, key)  # a damaged run of today's source is in the way of its replay
    on_start(len(jobs))
    for done in executor.run([one.job for one in jobs.values()]):
        cell = jobs[done.job.spec.key]
        reason = commit(store, done)
        if reason:
            outcomes[cell.change].failures.append((cell.words, reason))
        else:
            for old in cell.runs:
                if cell.of(old) in outcomes:
                    outcomes[cell.of(old)].replayed[old] = _compared(store, old, cell)
        on_done(done)
    for change, outcome in outcomes.items():
        _conclude(store, change, outcome, wanted.tolerance)
    with judging(store) as judged:
        carried = standing_for(plan, judged)
    if outcomes:
        store.put_plan(plan.suite.name, plan_to_store(plan, (), store, carried).plan)
    return _report(plan, found, outcomes, wanted, carried)


# Before anything is executed


def _found(plan: Plan, store: RunStore, judged: Judged, wanted: Wanted) -> _Found:
    """Sort the cells that were asked for."""
    asked = list(select_cells(plan, wanted.only))
    jobs = {cell.job.spec.key: cell.job for cell in asked if cell.job is not None}
    labels = {cell.job.spec.key: cell.label for cell in asked if cell.job is not None}
    sources = Sources(store)
    cells = {
        key: _Cell(label=labels[key], job=job, runs=_sound_ones(sources.earlier(job.spec), judged))
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
    return _Found(
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
    plan: Plan, store: RunStore, lacking: Iterable[_Cell]
) -> Callable[[_Cell, str], tuple[bool, int, str]]:
    """Of several earlier sources, that of the suite's last plan, else that of most runs."""
    try:
        last = store.plan(plan.suite.name, written=True).keys
    except StoreError:
        last = frozenset()
    runs = Counter(run.code for cell in lacking for run in cell.runs.values())
    return lambda cell, old: (old not in last, -runs[cell.runs[old].code], old)


def _sampled(found: _Found, store: RunStore, wanted: Wanted) -> dict[_Change, _Outcome]:
    """What is known of each change without executing anything, and what to execute."""
    outcomes = {change: _Outcome() for change in found.changes}
    for change, outcome in outcomes.items():
        for cell, old in found.both(change):
            outcome.replayed[old] = _compared(store, old, cell)
    undecided = {c for c, outcome in outcomes.items() if not outcome.differs(wanted.tolerance)}
    waiting = {cell.key: cell for cell in found.waiting if cell.change in undecided}
    candidates = [_candidate(cell, undecided) for cell in waiting.values()]
    if wanted.everything:
        taken = sorted(candidates, key=lambda one: (one.seconds, one.key))
    else:
        seen = [_candidate(cell, undecided) for cell in found.present]
        taken = chosen(candidates, seen, every_seed=wanted.every_seed)
    for one in taken:
        outcomes[waiting[one.key].change].sample.append(waiting[one.key])
    return outcomes


def _candidate(cell: _Cell, changes: Container[_Change]) -> Candidate:
    spec = cell.job.spec
    return Candidate(
        key=cell.key,
        changes=tuple(change for old in cell.runs if (change := cell.of(old)) in changes),
        data=spec.data,
        kind=class_of(spec),
        seed=spec.seed,
        seconds=min((run.seconds for run in cell.runs.values()), default=0.0),
    )


def _compared(store: RunStore, old: str, cell: _Cell) -> Replayed:
    return replayed(store.get(old), store.get(cell.key))


# After it


def _conclude(store: RunStore, change: _Change, outcome: _Outcome, tolerance: float) -> None:
    """Write what a change came to; a record that its own evidence contradicts is taken away."""
    record = Equivalence(
        system=change[0],
        old=change[1],
        new=change[2],
        tolerance=tolerance,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        runs=(),
    )
    known: tuple[Replayed, ...] = ()
    if file_of(store, record.name).is_file() and not damage_of(store, record.name):
        known = read(store, record.name).runs
    outcome.replayed = {run.old: run for run in known} | outcome.replayed
    if outcome.differs(tolerance):
        discard(store, record.name)
    elif outcome.replayed and not outcome.failures:
        runs = tuple(outcome.replayed[key] for key in sorted(outcome.replayed))
        put(store, dataclasses.replace(record, runs=runs))


def _report(
    plan: Plan,
    found: _Found,
    outcomes: Mapping[_Change, _Outcome],
    wanted: Wanted,
    carried: Mapping[str, Carried],
) -> CarryReport:
    return CarryReport(
        suite=plan.suite.name,
        tolerance=wanted.tolerance,
        present=len(found.present),
        before=len(found.before),
        without=found.without,
        changes=tuple(
            _change(change, found, outcome, wanted.tolerance, carried)
            for change, outcome in outcomes.items()
        ),
    )


def _change(
    change: _Change,
    found: _Found,
    outcome: _Outcome,
    tolerance: float,
    carried: Mapping[str, Carried],
) -> Change:
    system, old, new = change
    waiting = {cell.key: cell for cell in found.waiting if cell.change == change}
    done = {run.new for run in outcome.replayed.values()}
    counted = [cell for key, cell in waiting.items() if key in carried]
    return Change(
        system=system,
        old=old,
        new=new,
        stored=len(waiting.keys() | done),
        sample=tuple(cell.words for cell in outcome.sample),
        sample_seconds=sum(cell.seconds for cell in outcome.sample),
        verdict=outcome.verdict(tolerance),
        replayed=tuple(outcome.replayed[key] for key in sorted(outcome.replayed)),
        carried=len(counted),
        carried_seconds=sum(cell.seconds for cell in counted),
        again=len(waiting.keys() - carried.keys() - done),
        failures=tuple(outcome.failures),
    )
