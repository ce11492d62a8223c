"""Runs of an earlier source of the code, and what a plan keeps of them.

A key contains the code that computes its run, so changed code asks for all runs anew. Where a part
of a suite is run (``only``), the other rows stay what they were: their cells go on naming the runs
that the store has, as long as these differ from what is planned in the code alone, and say so. So
do cells of what is no longer here (a corpus, an encoder, a plug-in), as long as suite and protocol
ask for the same. Runs that count by evidence (``harness.runs.equivalence``) stand in the plan for
those of today's source.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from harness.errors import StoreError
from harness.runs.cell import Job
from harness.runs.equivalence import Carried, Equivalences, Source, Sources
from harness.runs.identity import code_of
from harness.runs.judged import Judged
from harness.runs.plan import Cell, Plan
from harness.runs.store import RunStore
from harness.runs.stored_plan import PlannedCell, PlannedRow, StoredPlan
from harness.spec import Entry, RunSpec

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
    if before is not None and any(cell.lack for cell in plan.cells):
        whole = _with_what_was_here(whole, plan, before, store)
    return Earlier(plan=whole, kept=kept)


def _with_what_was_here(
    whole: StoredPlan, plan: Plan, before: StoredPlan, store: RunStore
) -> StoredPlan:
    """A plan whose holes are filled by the runs that the last plan had in their place."""
    if before.protocol != whole.protocol:
        return whole
    rows = {row.label: row for row in before.rows}
    unknown = {entry.system for entry in plan.unknown}
    entries = {entry.label: entry for entry in (*plan.suite.entries, *plan.unknown)}
    planned = {row.label: row for row in whole.rows}
    last = {_place(cell): cell for cell in before.cells}
    cells: list[PlannedCell] = []
    for cell in whole.cells:
        was, row = last.get(_place(cell)), rows.get(cell.label)
        asked_again = (
            *(cell.lacks is not None, was is not None, row is not None),
            row == planned.get(cell.label, row) and _asks_for(entries.get(cell.label), row, plan),
        )
        if all(asked_again) and was is not None and was.key is not None and was.key in store:
            cells.append(dataclasses.replace(was, other_source=_other_source(was, store, unknown)))
        else:
            cells.append(cell)
    used = {cell.label for cell in cells if cell.key is not None}
    places = {cell.corpus for cell in cells if cell.key is not None}
    corpora = {corpus.name: corpus for corpus in (*before.corpora, *whole.corpora)}
    kept = {corpus.name for corpus in whole.corpora} | (places & corpora.keys())
    shown = {**{label: row for label, row in rows.items() if label in used}, **planned}
    order = [*planned, *(label for label in shown if label not in planned)]
    return dataclasses.replace(
        whole,
        corpora=tuple(corpora[name] for name in plan.suite.corpora if name in kept),
        rows=tuple(shown[label] for label in order),
        cells=tuple(cells),
    )


def _asks_for(entry: Entry | None, row: PlannedRow | None, plan: Plan) -> bool:
    """Whether the suite still asks for a row as it was planned, as far as can be told."""
    if entry is None or row is None or entry.system != row.system:
        return False
    defaults = {k: v for k, v in plan.suite.defaults.items() if k in row.changed}
    return entry not in plan.unknown or dict(row.changed) == {**defaults, **entry.params}


def _other_source(was: PlannedCell, store: RunStore, unknown: Collection[str]) -> bool | None:
    """Whether the run of a cell that cannot be planned is of an earlier source of the code."""
    if was.key is None or was.planned is not None:
        return was.other_source
    spec = store.get(was.key).spec
    if spec.system in unknown:
        return was.other_source
    return True if code_of(spec.system, spec.params, spec.protocol) != spec.code else None


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
