"""Runs of an earlier source of the code, and what a plan keeps of them.

A key contains the code that computes its run, so changed code asks for all runs anew. Where a part
of a suite is run (``only``), the other rows stay what they were: their cells go on naming the runs
that the store has, as long as these differ from what is planned in the code alone, and say so. Runs
that count by evidence (``harness.runs.equivalence``) stand in the plan for those of today's source.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from harness.errors import StoreError
from harness.runs.cell import Job
from harness.runs.equivalence import Carried, Equivalences, Source, Sources
from harness.runs.judged import Judged
from harness.runs.plan import Cell, Plan
from harness.runs.store import RunStore
from harness.runs.stored_plan import PlannedCell, StoredPlan
from harness.spec import RunSpec

__all__ = ["Earlier", "plan_to_store", "runs_of_earlier_source", "standing_for"]


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """A plan to store, and how many of its cells have runs of an earlier source.

    Args:
        plan: What is stored.
        kept: Cells of rows not asked for, which keep such a run.
    """

    plan: StoredPlan
    kept: int = 0


class _Place(NamedTuple):
    corpus: str
    label: str
    seed: int


def standing_for(plan: Plan, judged: Judged) -> dict[str, Carried]:
    """Planned key -> the sound run of an earlier source that counts as it, by evidence.

    Cells whose own run is there have none.
    """
    store = judged.store
    known = Equivalences(store)
    found = {
        key: carried
        for key, job in plan.jobs.items()
        if key not in store and (carried := known.standing_for(job.spec)) is not None
    }
    return {k: one for k, one in found.items() if not judged.damage_of(store.get(one.key))}


def runs_of_earlier_source(jobs: Sequence[Job], store: RunStore) -> list[Source]:
    """Of each job without a run of its own that has runs of an earlier source, the cheapest."""
    lacking = [job for job in jobs if job.spec.key not in store]
    if not lacking:
        return []
    sources = Sources(store)
    found = [sources.earlier(job.spec).values() for job in lacking]
    return [min(runs, key=lambda run: run.seconds) for runs in found if runs]


def plan_to_store(
    plan: Plan, asked: Collection[Cell], store: RunStore, carried: Mapping[str, Carried]
) -> Earlier:
    """The plan to store for a run of some cells: all others keep what the last plan had of them.

    Args:
        plan: The suite's plan.
        asked: Its cells that are to run now.
        store: Where the last plan and the runs are.
        carried: As ``standing_for`` gives it.
    """
    planned = plan.record()
    before = _last(plan, store)
    last = () if before is None else before.cells
    stored = {_place(c): c.key for c in last if c.key is not None and c.key in store}
    wanted = {_place(cell) for cell in asked}
    cells: list[PlannedCell] = []
    kept = 0
    for cell, record in zip(plan.cells, planned.cells, strict=True):
        key = stored.get(_place(cell))
        if record.key is not None and record.key in carried:
            cells.append(_by_evidence(record, carried[record.key]))
        elif _place(cell) not in wanted and _is_earlier(cell, key, store):
            cells.append(dataclasses.replace(record, key=key, other_source=True))
            kept += 1
        else:
            cells.append(record)
    extra = [] if before is None else list(_further_seeds(plan, before, wanted, store))
    whole = dataclasses.replace(
        planned,
        cells=_in_order([*cells, *extra]) if kept or extra else tuple(cells),
        seeds=tuple(sorted({*planned.seeds, *(cell.seed for cell in extra)})),
    )
    return Earlier(plan=whole, kept=kept)


def _by_evidence(record: PlannedCell, carried: Carried) -> PlannedCell:
    return dataclasses.replace(record, key=carried.key, planned=record.key, carried=carried.records)


def _last(plan: Plan, store: RunStore) -> StoredPlan | None:
    """The stored plan; None where there is none, or it is damaged."""
    try:
        return store.plan(plan.suite.name, written=True)
    except StoreError:
        return None


def _place(cell: Cell | PlannedCell) -> _Place:
    return _Place(cell.corpus, cell.label, cell.seed)


def _is_earlier(cell: Cell, key: str | None, store: RunStore) -> bool:
    """Whether a stored run is the cell's but for the code, and the cell's own is not there."""
    if cell.job is None or key is None or cell.job.spec.key in store:
        return False
    return _same_but_for_code(cell.job.spec, key, store)


def _same_but_for_code(spec: RunSpec, key: str, store: RunStore) -> bool:
    try:
        found = store.get(key).spec
    except StoreError:
        return False
    return dataclasses.replace(found, code=spec.code).key == spec.key


def _further_seeds(
    plan: Plan, before: StoredPlan, wanted: Collection[_Place], store: RunStore
) -> Iterator[PlannedCell]:
    """Stored runs of rows not asked for whose seeds are not planned this time."""
    rows = {(place.corpus, place.label) for place in wanted}
    specs = {(c.corpus, c.label): c.job.spec for c in plan.cells if c.job is not None}
    planned = {_place(cell) for cell in plan.cells}
    for cell in before.cells:
        row = (cell.corpus, cell.label)
        if row in rows or row not in specs or _place(cell) in planned or cell.key is None:
            continue
        spec = dataclasses.replace(specs[row], seed=cell.seed)
        if cell.planned == spec.key:
            yield cell
        elif cell.key in store and _same_but_for_code(spec, cell.key, store):
            other = True if store.get(cell.key).spec.code != spec.code else None
            yield dataclasses.replace(cell, other_source=other, planned=None, carried=None)


def _in_order(cells: list[PlannedCell]) -> tuple[PlannedCell, ...]:
    """Corpus by corpus and row by row as they first come."""
    rows: dict[tuple[str, str], list[PlannedCell]] = {}
    for cell in cells:
        rows.setdefault((cell.corpus, cell.label), []).append(cell)
    return tuple(cell for row in rows.values() for cell in row)
