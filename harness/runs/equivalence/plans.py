"""Stored plans whose cells are carried over: what of them still holds."""

from __future__ import annotations

import dataclasses
import logging

from harness.runs.equivalence.reading import Carried, Equivalences
from harness.runs.store import RunStore
from harness.runs.stored_plan import PlannedCell, StoredPlan

__all__ = ["settled"]

log = logging.getLogger(__name__)


def settled(plan: StoredPlan, store: RunStore) -> StoredPlan:
    """A stored plan in which cells that nothing carries over any more name the run of their own.

    So whoever reads plans finds a carried run where it counts, and a missing one where it does not.

    Args:
        plan: As it was written.
        store: Where its runs and records are.
    """
    if all(cell.carried is None for cell in plan.cells):
        return plan
    known = Equivalences(store)
    cells = tuple(_settled(cell, known) for cell in plan.cells)
    lost = sum(new is not old for new, old in zip(cells, plan.cells, strict=True))
    if not lost:
        return plan
    log.warning(
        "%d cells of suite %s were carried over by what does not hold any more: msa verify says"
        " why, msa carry %s looks again",
        lost,
        plan.suite,
        plan.suite,
    )
    return dataclasses.replace(plan, cells=cells)


def _settled(cell: PlannedCell, known: Equivalences) -> PlannedCell:
    if cell.carried is None or cell.key is None:
        return cell
    if known.holds(Carried(cell.key, cell.carried)):
        return cell
    return dataclasses.replace(cell, key=cell.planned, planned=None, carried=None)
