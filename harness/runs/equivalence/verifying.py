"""What is wrong with an equivalence record, or with a plan that relies on one.

Nothing is believed: both sides of each run are read, and everything that a record says of them is
computed again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from harness.errors import StoreError
from harness.runs.equivalence.record import LARGEST_TOLERANCE, Equivalence, Replayed, replayed
from harness.runs.equivalence.sources import cell_of, class_of
from harness.runs.equivalence.storing import file_of, read
from harness.runs.store import RunStore
from harness.runs.stored_plan import PlannedCell

__all__ = ["cells_in_doubt", "damage_of"]

_SHOWN = 3  # sentences about the runs of a record


def damage_of(store: RunStore, name: str) -> tuple[str, ...]:
    """What is wrong with a record, one sentence each; empty for one that holds.

    Args:
        store: Where it is, and the runs that it is about.
        name: Of the record.
    """
    try:
        record = read(store, name)
    except StoreError as error:
        return (str(error),)
    found = list(_wrong_with(store, record))
    more = len(found) - _SHOWN
    return (*found[:_SHOWN], *([f"and so on, {more} more"] if more > 0 else ()))


def _wrong_with(store: RunStore, record: Equivalence) -> Iterator[str]:
    if not 0 <= record.tolerance <= LARGEST_TOLERANCE:
        yield (
            f"its tolerance should be from 0 to {LARGEST_TOLERANCE:g}, found {record.tolerance:g}"
        )
    if not record.runs:
        yield "it names no run that was executed again"
    if record.old == record.new:
        yield "it is about one source"
    for run in record.runs:
        try:
            yield from _wrong_with_run(store, record, run)
        except StoreError as error:
            yield str(error)


def _wrong_with_run(store: RunStore, record: Equivalence, run: Replayed) -> Iterator[str]:
    old, new = store.get(run.old), store.get(run.new)
    found = [(spec.system, spec.code) for spec in (old.spec, new.spec)]
    if found != [(record.system, record.old), (record.system, record.new)]:
        yield f"runs {run.old} and {run.new} are not of the system and the sources that it names"
        return
    if cell_of(old.spec) != cell_of(new.spec):
        yield f"runs {run.old} and {run.new} differ in more than the code"
        return
    computed = replayed(old, new)
    if computed != dataclasses.replace(run, more={}):
        yield f"what it says of runs {run.old} and {run.new} is not what their predictions give"
    if not computed.within(record.tolerance):
        yield f"the predictions of runs {run.old} and {run.new} are different"


def cells_in_doubt(store: RunStore, suite: str) -> Iterator[str]:
    """Why cells of a plan are not carried over by what it names, one sentence each.

    Records that are there and damaged are left to ``damage_of``.

    Raises:
        StoreError: For a damaged plan.
    """
    cells = [cell for cell in store.plan(suite, written=True).cells if cell.carried is not None]
    used = {name for cell in cells for name in cell.carried or ()}
    absent = sorted(name for name in used if not file_of(store, name).is_file())
    for name in absent:
        yield f"equivalence record {name}, which it relies on, is not in the store"
    sound = {name: read(store, name) for name in used - set(absent) if not damage_of(store, name)}
    for cell in cells:
        try:
            chain = [sound[name] for name in cell.carried or ()]
        except KeyError:
            continue  # told above, or by damage_of
        if cell.key is not None and cell.key in store and not _follows(store, cell, chain):
            yield (
                f"run {cell.key} does not stand for {cell.label} on {cell.corpus}, seed"
                f" {cell.seed}, by the records that are named"
            )


def _follows(store: RunStore, cell: PlannedCell, chain: list[Equivalence]) -> bool:
    """Whether the run of a cell, with the later source, is the one that was planned."""
    if cell.key is None or not chain:
        return False
    try:
        spec = store.get(cell.key).spec
        for record in chain:
            evidence = [store.get(run.old).spec for run in record.runs]
            if (
                (spec.system, spec.code) != (record.system, record.old)
                or spec.data not in {one.data for one in evidence}
                or class_of(spec) not in {class_of(one) for one in evidence}
            ):
                return False
            spec = dataclasses.replace(spec, code=record.new)
    except StoreError:
        return True  # told of the run
    return spec.key == cell.planned
