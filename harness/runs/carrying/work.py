"""Which stored runs an edit of the code asks for again, a sample of them executed, what follows.

A *change* is a system, the source that its stored runs are of, and today's. Evidence of it are the
cells that have runs of both.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field

from harness.runs.carrying.cells import CellRuns, ChangeKey, Found, Wanted, find
from harness.runs.carrying.report import CarryReport, Change
from harness.runs.driver import commit, is_sound
from harness.runs.earlier import plan_to_store, standing_for
from harness.runs.equivalence import (
    Candidate,
    Carried,
    Equivalence,
    Replayed,
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

__all__ = ["carry_over", "look"]


@dataclass
class _Outcome:
    """What is known of a change."""

    replayed: dict[str, Replayed] = field(default_factory=dict)
    sample: list[CellRuns] = field(default_factory=list)
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
    found = find(plan, store, Judged(store), wanted)
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
        found = find(plan, store, judged, wanted)
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


def _sampled(found: Found, store: RunStore, wanted: Wanted) -> dict[ChangeKey, _Outcome]:
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


def _candidate(cell: CellRuns, changes: Container[ChangeKey]) -> Candidate:
    spec = cell.job.spec
    return Candidate(
        key=cell.key,
        changes=tuple(change for old in cell.runs if (change := cell.of(old)) in changes),
        data=spec.data,
        kind=class_of(spec),
        seed=spec.seed,
        seconds=min((run.seconds for run in cell.runs.values()), default=0.0),
    )


def _compared(store: RunStore, old: str, cell: CellRuns) -> Replayed:
    return replayed(store.get(old), store.get(cell.key))


# After it


def _conclude(store: RunStore, change: ChangeKey, outcome: _Outcome, tolerance: float) -> None:
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
    found: Found,
    outcomes: Mapping[ChangeKey, _Outcome],
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
    change: ChangeKey,
    found: Found,
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
