"""Runs of an earlier source of the code, and what a plan keeps of them.

A key contains the code that computes its run, so changed code asks for all runs anew. Where a part
of a suite is run (``only``), the other rows stay what they were: their cells go on naming the runs
that the store has, as long as these differ from what is planned in the code alone, and say so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from harness.errors import StoreError
from harness.runs.plan import Cell, Plan
from harness.runs.store import RunStore
from harness.runs.stored_plan import PlannedCell, StoredPlan
from harness.spec import RunSpec

__all__ = ["Earlier", "carried_over"]


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """A plan to store, and how many of its cells have runs of an earlier source.

    Args:
        plan: What is stored.
        kept: Cells of rows not asked for, which keep such a run.
        again: Cells that were asked for and are run again.
    """

    plan: StoredPlan
    kept: int = 0
    again: int = 0


class _Place(NamedTuple):
    corpus: str
    label: str
    seed: int


def carried_over(plan: Plan, asked: Collection[Cell], store: RunStore) -> Earlier:
    """The plan to store for a run of some cells: all others keep what the last plan had of them.

    Args:
        plan: The suite's plan.
        asked: Its cells that are to run now.
        store: Where the last plan and the runs are.
    """
    planned = plan.record()
    before = _last(plan, store)
    if before is None:
        return Earlier(plan=planned)
    stored = {_place(c): c.key for c in before.cells if c.key is not None and c.key in store}
    wanted = {_place(cell) for cell in asked}
    cells: list[PlannedCell] = []
    kept = again = 0
    for cell, record in zip(plan.cells, planned.cells, strict=True):
        key = stored.get(_place(cell))
        if not _is_earlier(cell, key, store):
            cells.append(record)
        elif _place(cell) in wanted:
            cells.append(record)
            again += 1
        else:
            cells.append(dataclasses.replace(record, key=key, other_source=True))
            kept += 1
    extra = list(_further_seeds(plan, before, wanted, store))
    whole = dataclasses.replace(
        planned,
        cells=_in_order([*cells, *extra]),
        seeds=tuple(sorted({*planned.seeds, *(cell.seed for cell in extra)})),
    )
    return Earlier(plan=whole if kept or extra else planned, kept=kept, again=again)


def _last(plan: Plan, store: RunStore) -> StoredPlan | None:
    """The stored plan; None where there is none, or it is damaged."""
    try:
        return store.plan(plan.suite.name)
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
        if cell.key in store and _same_but_for_code(spec, cell.key, store):
            other = True if store.get(cell.key).spec.code != spec.code else None
            yield dataclasses.replace(cell, other_source=other)


def _in_order(cells: list[PlannedCell]) -> tuple[PlannedCell, ...]:
    """Corpus by corpus and row by row as they first come."""
    rows: dict[tuple[str, str], list[PlannedCell]] = {}
    for cell in cells:
        rows.setdefault((cell.corpus, cell.label), []).append(cell)
    return tuple(cell for row in rows.values() for cell in row)
