"""``harness.carry``, which loads what it needs once it is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from harness._util.extras import explained
from harness.errors import SpecError
from harness.home import Home
from harness.runs.equivalence import LARGEST_TOLERANCE

if TYPE_CHECKING:
    from harness.runs.carrying.report import CarryReport
    from harness.runs.executors import Done, Executor
    from harness.spec import Suite

__all__ = ["TOLERANCE", "carry"]

TOLERANCE = 1e-6
"""On the label scale: metrics round predictions to as many decimals before they bin them."""


def carry(
    suite: Suite | str,
    home: Home | None = None,
    *,
    workers: int = 1,
    seeds: int | tuple[int, ...] | None = None,
    only: Sequence[str] = (),
    everything: bool = False,
    every_seed: bool = False,
    tolerance: float = TOLERANCE,
    plan_only: bool = False,
    device: str = "cpu",
    executor: Executor | None = None,
    cell_timeout: float | None = None,
    on_start: Callable[[int], None] = lambda cells: None,
    on_done: Callable[[Done], None] = lambda done: None,
) -> CarryReport:
    """Execute a sample of a suite's stored runs again; the others count if it comes out the same.

    Stored runs are those that differ from what the suite asks for in the code alone: never in
    data, protocol, parameters, artifacts or seed. The same call continues after an interruption.

    Args:
        suite: A suite, the name of one in ``home.suites``, or a path to a TOML file.
        home: Where corpora and runs live; ``Home.default()`` when None.
        workers: Worker processes, one thread each.
        seeds: The first so many of the protocol's list, or which; None for the suite's own.
        only: Patterns on rows, systems or corpora to look at; none means all.
        everything: Execute all of them, those that count already too.
        every_seed: Execute at least one of each seed for each changed system; else at least one of
            each seed in the whole sample.
        tolerance: Up to which differences are tolerated, on the label scale; at most 0.001.
        plan_only: Say what the sample would be, and change nothing.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        executor: Where cells are executed; None for worker processes on this machine.
        cell_timeout: Seconds that a cell may take on this machine; None for any time.
        on_start: Called with the number of cells to execute.
        on_done: Called after each.

    Raises:
        SpecError: For an invalid suite or tolerance.
        DataError: For a corpus or encoder that is not here.
        StoreError: When another driver holds the store.
        MissingExtra: Where the packages of the extra ``train`` are not installed.
    """
    with explained():
        from harness.runs.carrying.cells import Wanted
        from harness.runs.carrying.work import carry_over, look
        from harness.runs.holder import announced
        from harness.runs.plan import make_plan
        from harness.runs.pricing import AtHand
        from harness.runs.running import kind_of_device, workplace_of
        from harness.runs.store import RunStore
        from harness.runs.suite_files import find_suite
        from harness.runs.until import kept

    if not 0 <= tolerance <= LARGEST_TOLERANCE:
        raise SpecError(
            f"a tolerance is from 0 to {LARGEST_TOLERANCE:g} on the label scale, found"
            f" {tolerance:g}"
        )
    home = home or Home.default()
    chosen = find_suite(suite, home) if isinstance(suite, str) else suite
    chosen, store = chosen.with_seeds(seeds), RunStore(home.store)
    wanted = Wanted(
        only=tuple(only), everything=everything, every_seed=every_seed, tolerance=tolerance
    )
    if plan_only:
        plan = make_plan(
            chosen, home, device=kind_of_device(device), inventory=AtHand(home), only=only
        )
        return look(kept(plan, store), store, wanted)
    workplace = workplace_of(executor, workers, device, cell_timeout, store)
    with store.writing(), announced(store, chosen.name, workers if executor is None else None):
        plan = kept(make_plan(chosen, home, device=device, only=only), store)
        return carry_over(plan, store, wanted, workplace, on_start=on_start, on_done=on_done)
