"""Running a plan: execute what the store lacks, commit what comes back, remember what failed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness._util.printed import duration
from harness.errors import SpecError
from harness.runs.cell import Job
from harness.runs.cell_logs import CellLogs
from harness.runs.earlier import plan_to_store, runs_of_earlier_source, standing_for
from harness.runs.events import CellEvent, Hear, unheard
from harness.runs.executors import Done, Executor, heard_by
from harness.runs.inventory import Lack
from harness.runs.judged import Judged, judging
from harness.runs.looks import Look
from harness.runs.plan import Cell, Plan
from harness.runs.prediction_table import columns_of
from harness.runs.record import RunRecord
from harness.runs.selection import Selection
from harness.runs.soundness import contradictions
from harness.runs.store import RunStore

__all__ = ["RunReport", "carry_out", "commit", "is_sound", "select_cells"]

log = logging.getLogger(__name__)

_NAMED = 3  # rows that a line about something missing names


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """What a call of ``carry_out`` did, in cells."""

    planned: int
    present: int
    done: int
    failed: tuple[tuple[str, str], ...]
    """(cell, reason) of each failed cell."""
    failed_keys: tuple[str, ...] = ()
    """Of the failed cells, as in ``failed``: `msa runs show KEY` says where each broke."""
    carried: int = 0
    """Those of ``present`` whose run is of an earlier source and counts by evidence."""
    look: Look | None = None
    """Of a suite that adds seeds until it is decided, the last look that was done."""
    inputs: frozenset[tuple[str, str]] = frozenset()
    """(role, name) of what its cells read besides their corpora."""
    lacks: tuple[Lack, ...] = ()
    """What cells wait for that were asked for: it is not here."""

    @property
    def unanswered(self) -> tuple[Lack, ...]:
        """Those of ``lacks`` that do not answer: like failed cells, they leave a run to repeat."""
        return tuple(lack for lack in self.lacks if lack.failed)


def carry_out(
    plan: Plan,
    store: RunStore,
    executor: Executor,
    *,
    only: Sequence[str] = (),
    on_done: Callable[[Done], None] = lambda done: None,
    on_start: Callable[[int], None] = lambda cells: None,
    on_event: Hear = unheard,
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
        on_event: Called with what a worker says of its cell: that it took it up, each epoch.
    """
    asked = select_cells(plan, only)
    lacks = _lacks(asked)
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
    _tell_lacks(plan.suite.name, lacks)
    _tell(plan.suite.name, missing.values(), earlier.kept, store)
    _tell_of_cuts(plan.suite.name, asked)
    on_start(len(missing))
    failed, logs = [], CellLogs(store)

    def hear(job: Job, event: CellEvent) -> None:
        logs.add(job, event)
        on_event(job, event)

    for done in heard_by(executor, hear).run(missing.values()):
        reason = commit(store, done, logs.traceback_of(done.job))
        logs.end(done, reason)
        if reason:
            failed.append((done, reason))
        if done.record is not None and done.record.weights is not None:
            done.record.weights.discard()
        on_done(done)
    return RunReport(
        planned=len(chosen),
        present=len(chosen) - len(missing),
        done=len(missing) - len(failed),
        failed=tuple((done.job.title, reason) for done, reason in failed),
        failed_keys=tuple(done.job.spec.key for done, _ in failed),
        carried=len(carried.keys() & chosen.keys()),
        inputs=frozenset(
            (role, job.names.get(role, ""))
            for job in chosen.values()
            for role in {*job.spec.artifacts, *job.names}
        ),
        lacks=tuple(lacks),
    )


def _lacks(cells: Iterable[Cell]) -> dict[Lack, list[Cell]]:
    """What is not here -> the cells that wait for it, in plan order."""
    found: dict[Lack, list[Cell]] = {}
    for cell in cells:
        if cell.lack is not None:
            found.setdefault(cell.lack, []).append(cell)
    return found


def _tell_lacks(suite: str, lacks: Mapping[Lack, Sequence[Cell]]) -> None:
    """A line for each thing that is not here, and where to see what brings all of them."""
    for lack, cells in lacks.items():
        rows = list(dict.fromkeys(cell.label for cell in cells))
        log.warning(
            "not here: %s, for which %s: %s%s",
            *(lack.title, _waiting(rows), lack.reason, f"; next: {lack.hint}" if lack.hint else ""),
        )
    if lacks:
        log.warning("the other rows run; `msa doctor %s` lists what is not here", suite)


def select_cells(plan: Plan, only: Sequence[str]) -> list[Cell]:
    """Cells of the rows and corpora that patterns ask for (see ``Selection``).

    Raises:
        SpecError: When a pattern, or all together, match nothing.
    """
    rows = {entry.label: entry for entry in (*plan.suite.entries, *plan.unknown)}
    selection = Selection.of(only, rows.values(), plan.suite.corpora)
    asked = [cell for cell in plan.cells if selection.holds(cell.corpus, rows[cell.label])]
    if only and not asked:
        raise SpecError(
            f"--only {' --only '.join(only)}: none of these rows runs on these corpora",
            hint=f"msa run {plan.suite.name} --plan shows what runs where",
        )
    return asked


def _waiting(rows: Sequence[str]) -> str:
    """Rows that wait, the last of a suite first: it begins with references."""
    if len(rows) == 1:
        return f"row {rows[0]!r} waits"
    named = ", ".join(map(repr, rows[-_NAMED:]))
    more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
    return f"rows {named}{more} wait"


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


def _tell_of_cuts(suite: str, cells: Iterable[Cell]) -> None:
    """One line about rows whose schedules are longer than the suite allows, if there are any."""
    cut = dict.fromkeys(cell.label for cell in cells if cell.schedule is not None)
    if cut:
        log.warning(
            "max_epochs of %s ends %d row%s before their schedules (%s): `msa run %s --plan` says"
            " where",
            suite,
            len(cut),
            "" if len(cut) == 1 else "s",
            ", ".join(list(cut)[:3]) + (", …" if len(cut) > 3 else ""),
            suite,
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


def commit(store: RunStore, done: Done, traceback: str | None = None) -> str:
    """Store what came back of a job, or why there is nothing.

    Args:
        store: Where.
        done: What came back.
        traceback: Where it broke, if it did.

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
        store.fail(key, reason, traceback)
    return reason


def _flaws(store: RunStore, key: str, record: RunRecord) -> Iterator[str]:
    """Why a record would be damaged as soon as it is stored."""
    spec = record.manifest.spec
    if spec.key != key:
        yield f"the worker returned run {spec.key}"
    yield from contradictions(spec, columns_of(record.predictions), store.clips(spec.data))
