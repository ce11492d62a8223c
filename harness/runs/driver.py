"""Running a plan: execute what the store lacks, commit what comes back, remember what failed."""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from harness._util.printed import duration
from harness.errors import SpecError
from harness.runs.cell import Job
from harness.runs.earlier import plan_to_store, runs_of_earlier_source, standing_for
from harness.runs.executors import Done, Executor
from harness.runs.judged import Judged, judging
from harness.runs.looks import Look
from harness.runs.plan import Cell, Plan
from harness.runs.prediction_table import columns_of
from harness.runs.record import RunRecord
from harness.runs.soundness import contradictions
from harness.runs.store import RunStore

__all__ = ["RunReport", "carry_out", "commit", "is_sound", "select_cells"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """What a call of ``carry_out`` did, in cells."""

    planned: int
    present: int
    done: int
    failed: tuple[tuple[str, str], ...]
    """(cell, reason) of each failed cell."""
    carried: int = 0
    """Those of ``present`` whose run is of an earlier source and counts by evidence."""
    look: Look | None = None
    """Of a suite that adds seeds until it is decided, the last look that was done."""
    inputs: frozenset[tuple[str, str]] = frozenset()
    """(role, name) of what its cells read besides their corpora."""


def carry_out(
    plan: Plan,
    store: RunStore,
    executor: Executor,
    *,
    only: Sequence[str] = (),
    on_done: Callable[[Done], None] = lambda done: None,
    on_start: Callable[[int], None] = lambda cells: None,
) -> RunReport:
    """Run the missing cells of a plan. The caller holds ``store.writing()``.

    Each finished cell is committed at once, so stopping at any moment loses only cells in flight.

    Args:
        plan: The suite's plan.
        store: Where runs go.
        executor: Where jobs run.
        only: Patterns on rows or corpora; none means all. Other cells keep the runs that they have,
            those of an earlier source of the code too.
        on_done: Called after each cell is committed or recorded as failed.
        on_start: Called with the number of cells to run.
    """
    asked = list(select_cells(plan, only))
    with judging(store) as judged:
        carried = standing_for(plan, judged)
        earlier = plan_to_store(plan, asked, store, carried)
        store.put_plan(plan.suite.name, earlier.plan)
        for corpus in plan.corpora:
            store.put_truth(corpus)
        chosen = {cell.job.spec.key: cell.job for cell in asked if cell.job}
        missing = {
            key: job
            for key, job in chosen.items()
            if key not in carried and not is_sound(judged, key)
        }
    _tell(plan.suite.name, missing.values(), earlier.kept, store)
    on_start(len(missing))
    failed = []
    for done in executor.run(missing.values()):
        reason = commit(store, done)
        if reason:
            failed.append((_describe(done), reason))
        on_done(done)
    return RunReport(
        planned=len(chosen),
        present=len(chosen) - len(missing),
        done=len(missing) - len(failed),
        failed=tuple(failed),
        carried=len(carried.keys() & chosen.keys()),
        inputs=frozenset(
            (role, job.names.get(role, ""))
            for job in chosen.values()
            for role in {*job.spec.artifacts, *job.names}
        ),
    )


def select_cells(plan: Plan, only: Sequence[str]) -> Iterator[Cell]:
    """Cells whose row label, system or corpus matches any pattern (``*`` and ``?`` allowed).

    Raises:
        SpecError: When a pattern matches nothing.
    """
    for pattern in only:
        if not any(_matches(cell, pattern) for cell in plan.cells):
            rows = ", ".join(dict.fromkeys(cell.label for cell in plan.cells))
            raise SpecError(f"--only {pattern} matches no row or corpus (rows: {rows})")
    for cell in plan.cells:
        if not only or any(_matches(cell, pattern) for pattern in only):
            yield cell


def _tell(suite: str, missing: Iterable[Job], kept: int, store: RunStore) -> None:
    """One line about runs of an earlier source, if there are any."""
    again = runs_of_earlier_source(list(missing), store)
    if not (kept or again):
        return
    parts = (
        (len(again), "are run again"),
        (kept, f"keep them until `msa run {suite}`"),
    )
    worth = duration(sum(run.seconds for run in again))
    log.warning(
        "the code has changed since: of %d cells with runs of its earlier source %s%s",
        kept + len(again),
        ", ".join(f"{count} {what}" for count, what in parts if count),
        f" ({worth} of work then; `msa carry {suite}` tells by a sample whether they have to be)"
        if again
        else "",
    )


def is_sound(judged: Judged, key: str) -> bool:
    """Whether a run is there and sound; a damaged one is set aside."""
    store = judged.store
    if key not in store:
        return False
    damage = judged.damage_of(store.get(key))
    if damage:
        log.warning("run %s is damaged (%s): set aside, run again", key, "; ".join(damage))
        store.set_aside(key)
    return not damage


def commit(store: RunStore, done: Done) -> str:
    """Store what came back of a job, or why there is nothing.

    Returns:
        The reason of a failure; empty for a committed run.
    """
    key = done.job.spec.key
    reason = done.failure or "no reason given"
    if done.record is not None:
        reason = "; ".join(_flaws(store, key, done.record))
    if done.record is not None and not reason:
        store.commit(done.record)
    else:
        store.fail(key, reason)
    return reason


def _flaws(store: RunStore, key: str, record: RunRecord) -> Iterator[str]:
    """Why a record would be damaged as soon as it is stored."""
    spec = record.manifest.spec
    if spec.key != key:
        yield f"the worker returned run {spec.key}"
    yield from contradictions(spec, columns_of(record.predictions), store.clips(spec.data))


def _matches(cell: Cell, pattern: str) -> bool:
    names = [cell.label, cell.corpus]
    if cell.job is not None:
        names.append(cell.job.spec.system)
    return any(fnmatch.fnmatchcase(name, pattern) for name in names)


def _describe(done: Done) -> str:
    spec = done.job.spec
    return f"{spec.system} on {spec.corpus}, seed {spec.seed}"
