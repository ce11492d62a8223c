"""Which stored runs an edit of the code asks for again, a sample of them executed, what follows.

A *change* is a system, the source that its stored runs are of, and today's. Evidence of it are the
cells that have runs of both.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from harness.errors import StoreError
from harness.runs.carrying.report import CarryReport, Change
from harness.runs.cell import Job
from harness.runs.driver import commit, describe, is_sound, select_cells
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
class _Pair:
    """A planned cell and its stored run of an earlier source."""

    job: Job
    old: str
    source: Source

    @property
    def key(self) -> str:
        return self.job.spec.key

    @property
    def change(self) -> _Change:
        return self.job.spec.system, self.source.code, self.job.spec.code

    @property
    def candidate(self) -> Candidate:
        spec = self.job.spec
        return Candidate(
            key=spec.key,
            change=self.change,
            data=spec.data,
            kind=class_of(spec),
            seed=spec.seed,
            seconds=self.source.seconds,
        )


@dataclass(frozen=True, kw_only=True)
class _Found:
    """The cells of a suite, by what the store has of them.

    Args:
        present: Keys of those with a run of today's source.
        before: Keys of those that count by evidence already.
        without: How many have no sound run of any source.
        waiting: Change -> cells that ask for evidence.
        both: Change -> cells that have runs of both sources.
    """

    present: frozenset[str]
    before: frozenset[str]
    without: int
    waiting: Mapping[_Change, Sequence[_Pair]]
    both: Mapping[_Change, Sequence[_Pair]]


@dataclass
class _Outcome:
    """What is known of a change."""

    replayed: dict[str, Replayed] = field(default_factory=dict)
    sample: list[_Pair] = field(default_factory=list)
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
        pair = jobs[done.job.spec.key]
        reason = commit(store, done)
        if reason:
            outcomes[pair.change].failures.append((describe(done.job), reason))
        else:
            outcomes[pair.change].replayed[pair.old] = _compared(store, pair)
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
    cells = select_cells(plan, wanted.only)
    jobs = {cell.job.spec.key: cell.job for cell in cells if cell.job is not None}
    sources = Sources(store)
    present = {k for k in jobs if k in store and not judged.damage_of(store.get(k))}
    standing = standing_for(plan, judged).keys() & jobs.keys()
    olds = {key: _sound_ones(sources.earlier(job.spec), judged) for key, job in jobs.items()}
    pick = _preference(plan, store, [olds[key] for key in jobs.keys() - present])
    waiting: dict[_Change, list[_Pair]] = defaultdict(list)
    for key, job in jobs.items():
        counts = key in present or (key in standing and not wanted.everything)
        if not counts and olds[key]:
            old = min(olds[key], key=lambda one: pick(one, olds[key][one]))
            pair = _Pair(job=job, old=old, source=olds[key][old])
            waiting[pair.change].append(pair)
    both: dict[_Change, list[_Pair]] = defaultdict(list)
    for key in sorted(present):
        for old, source in olds[key].items():
            pair = _Pair(job=jobs[key], old=old, source=source)
            if pair.change in waiting:
                both[pair.change].append(pair)
    return _Found(
        present=frozenset(present),
        before=frozenset(standing),
        without=sum(not olds[key] for key in jobs.keys() - present - standing),
        waiting=waiting,
        both=both,
    )


def _sound_ones(runs: Mapping[str, Source], judged: Judged) -> dict[str, Source]:
    return {key: run for key, run in runs.items() if not judged.damage_of(judged.store.get(key))}


def _preference(
    plan: Plan, store: RunStore, lacking: Iterable[Mapping[str, Source]]
) -> Callable[[str, Source], tuple[bool, int, str]]:
    """Of several earlier sources, that of the suite's last plan, else that of most runs."""
    try:
        last = store.plan(plan.suite.name, written=True).keys
    except StoreError:
        last = frozenset()
    runs = Counter(source.code for found in lacking for source in found.values())
    return lambda key, source: (key not in last, -runs[source.code], source.code)


def _sampled(found: _Found, store: RunStore, wanted: Wanted) -> dict[_Change, _Outcome]:
    """What is known of each change without executing anything, and what to execute."""
    outcomes = {change: _Outcome() for change in found.waiting}
    for change, outcome in outcomes.items():
        for pair in found.both.get(change, ()):
            outcome.replayed[pair.old] = _compared(store, pair)
    open_ones = {c for c, outcome in outcomes.items() if not outcome.differs(wanted.tolerance)}
    waiting = {p.key: p for change in open_ones for p in found.waiting[change]}
    candidates = [pair.candidate for pair in waiting.values()]
    seen = [pair.candidate for change in open_ones for pair in found.both.get(change, ())]
    if wanted.everything:
        taken = sorted(candidates, key=lambda one: (one.seconds, one.key))
    else:
        taken = chosen(candidates, seen, every_seed=wanted.every_seed)
    for one in taken:
        outcomes[one.change].sample.append(waiting[one.key])
    return outcomes


def _compared(store: RunStore, pair: _Pair) -> Replayed:
    return replayed(store.get(pair.old), store.get(pair.key))


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
    waiting = {pair.key: pair for pair in found.waiting[change]}
    done = {run.new for run in outcome.replayed.values()}
    counted = [pair for key, pair in waiting.items() if key in carried]
    return Change(
        system=system,
        old=old,
        new=new,
        stored=len(waiting) + len(found.both.get(change, ())),
        sample=tuple(describe(pair.job) for pair in outcome.sample),
        sample_seconds=sum(pair.source.seconds for pair in outcome.sample),
        verdict=outcome.verdict(tolerance),
        replayed=tuple(outcome.replayed[key] for key in sorted(outcome.replayed)),
        carried=len(counted),
        carried_seconds=sum(pair.source.seconds for pair in counted),
        again=len(waiting.keys() - carried.keys() - done),
        failures=tuple(outcome.failures),
    )
