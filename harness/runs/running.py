"""A suite by name, run to its end: planned, what is missing executed, committed."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from harness._util.atomic import sweep
from harness._util.extras import explained
from harness.errors import RunFailed, SpecError
from harness.home import Home

if TYPE_CHECKING:
    from harness.runs.driver import RunReport
    from harness.runs.events import Hear
    from harness.runs.executors import Done, Executor
    from harness.runs.looks import Look, Until
    from harness.runs.store import RunStore
    from harness.spec import Suite

__all__ = [
    "check_timeout",
    "find_executor",
    "kind_of_device",
    "refuse_absent",
    "run",
    "workplace_of",
]


_NAMED = 5  # failed cells in one message


def run(
    suite: Suite | str,
    home: Home | None = None,
    *,
    workers: int | None = None,
    seeds: int | tuple[int, ...] | None = None,
    only: Sequence[str] = (),
    until: Until | None = None,
    device: str = "cpu",
    weights: str | None = None,
    executor: Executor | None = None,
    on_look: Callable[[Look], None] = lambda look: None,
    cell_timeout: float | None = None,
    on_start: Callable[[int], None] = lambda cells: None,
    on_done: Callable[[Done], None] = lambda done: None,
    on_event: Hear = lambda job, event: None,
    failures: Literal["raise", "report"] = "raise",
) -> RunReport:
    """Run what is missing of a suite; the same call continues after an interruption.

    Works in scripts and notebooks as they are: workers do not execute the script again.

    Args:
        suite: A suite, the name of one in ``home.suites``, or a path to a TOML file.
        home: Where corpora and runs live; ``Home.default()`` when None.
        workers: Worker processes, one thread each; None for one on the CPU, and on a GPU for as
            many as its memory has room for, by what runs like theirs took.
        seeds: The first so many of the protocol's list, or which; None for the suite's own.
        only: Patterns on rows, systems or corpora to run now: those rows on those corpora; none
            means all.
        until: Add seeds until it is decided, at looks declared before the first run; then neither
            ``seeds`` nor ``only``.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        weights: ``selected`` or ``none``: which weights of networks to keep; None for the suite's
            own choice.
        executor: Where cells are executed; None for worker processes on this machine.
        cell_timeout: Seconds that a cell may take on this machine, without the start of its worker;
            one that takes longer is stopped and failed. None for any time. Another executor has its
            own.
        on_look: Called before and after each look of ``until``.
        on_start: Called with the number of cells to run, at each look anew.
        on_done: Called after each cell is committed or recorded as failed.
        on_event: Called with the job and what its worker says: ``harness.runs.events`` lists what.
        failures: ``raise`` where a cell failed or what it asks did not answer, once all others are
            done; or ``report`` it only.

    Raises:
        RunFailed: Naming the cells that failed, each with its reason, or what did not answer.
        SpecError: For an invalid suite, weights that are no choice, a device that is not there, a
            time limit that is none, or seeds other than those of the look that a suite with
            declared looks has reached.
        NotHere: When nothing of what is asked for can run with the corpora, encoders and systems
            that are here. Otherwise what is not here leaves holes, named in ``RunReport.lacks``.
        DataError: For a corpus or encoder that is damaged.
        StoreError: When another driver holds the store.
        MissingExtra: Where the packages of the extra ``train`` are not installed.
    """
    with explained():
        from harness.data.store import CorpusStore
        from harness.runs.driver import carry_out
        from harness.runs.holder import announced
        from harness.runs.plan import make_plan
        from harness.runs.store import RunStore
        from harness.runs.suite_files import find_suite
        from harness.runs.until import kept, run_until

    if until is not None and (seeds is not None or only):
        raise SpecError("seeds are added to all rows until it is decided: give no others, no part")
    home = home or Home.default()
    chosen = find_suite(suite, home) if isinstance(suite, str) else suite
    chosen, store = chosen.with_seeds(seeds).with_weights(weights), RunStore(home.store)
    workplace = workplace_of(executor, workers, device, cell_timeout, store)
    carry = functools.partial(
        carry_out,
        store=store,
        executor=workplace,
        only=only,
        on_start=on_start,
        on_done=on_done,
        on_event=on_event,
    )
    at_once = workers or (None if kind_of_device(device) == "cuda" else 1)
    with store.writing(), announced(store, chosen.name, at_once if executor is None else None):
        CorpusStore(home.corpora).sweep()
        sweep(home.cache, shared=True)
        if until is None:
            report = carry(kept(make_plan(chosen, home, device=device, only=only), store))
        else:
            report = run_until(
                chosen, until, home, store, device=device, carry=carry, on_look=on_look
            )
    if failures == "raise" and (report.failed or report.unanswered):
        raise RunFailed(_told(report), hint="the others are stored; the same call tries them again")
    return report


def _told(report: RunReport) -> str:
    """Which cells failed and why, the first few; else what did not answer."""
    if not report.failed:
        return "; ".join(f"{lack.title}: {lack.reason}" for lack in report.unanswered)
    cells = [f"{cell}: {reason}" for cell, reason in report.failed[:_NAMED]]
    if more := len(report.failed) - len(cells):
        cells.append(f"and {more} more")
    return f"{len(report.failed)} cells failed: {'; '.join(cells)}"


def workplace_of(
    executor: Executor | None,
    workers: int | None,
    device: str,
    cell_timeout: float | None,
    store: RunStore,
) -> Executor:
    """Where cells are executed: on the executor given, else by worker processes on this machine.

    Raises:
        SpecError: For a device that is not there, or a time limit that is none or is given besides
            an executor.
    """
    from harness.runs.costs import known_costs
    from harness.runs.executors.local import LocalExecutor
    from harness.runs.executors.sharing import room_on
    from harness.runs.remembered_costs import stored_costs

    check_timeout(cell_timeout)
    if executor is None:
        refuse_absent(device)
        if workers is None and kind_of_device(device) == "cuda":
            costs = stored_costs(store, known_costs)
            return LocalExecutor(cell_timeout=cell_timeout, room=room_on(device, costs))
        return LocalExecutor(workers or 1, cell_timeout)
    if cell_timeout is not None:
        raise SpecError("cell_timeout goes with workers on this machine", hint="set the executor's")
    return executor


def find_executor(
    name: str,
    home: Home,
    *,
    workers: int,
    address: str | None,
    cell_timeout: float | None = None,
) -> Executor | None:
    """The executor called ``name``; None for workers on this machine.

    Args:
        name: ``local`` or ``ray``.
        home: Where corpora, encoders and stored runs are.
        workers: Worker processes on this machine.
        address: Of a Ray cluster; None: one of its own.
        cell_timeout: Seconds that a cell may take on a node; None for any time.

    Raises:
        SpecError: For another name, or a time limit that is none.
        MissingExtra: For ``ray`` where that is not installed.
    """
    check_timeout(cell_timeout)
    if name == "local":
        return None
    if name == "ray":
        from harness.runs.costs import known_costs
        from harness.runs.executors.ray import RayExecutor
        from harness.runs.remembered_costs import stored_costs
        from harness.runs.store import RunStore

        costs = tuple(stored_costs(RunStore(home.store), known_costs))
        return RayExecutor(
            home=home, address=address, workers=workers, costs=costs, cell_timeout=cell_timeout
        )
    raise SpecError(f"--executor takes local or ray; found {name!r}")


def check_timeout(seconds: float | None) -> None:
    """Refuse a time limit of a cell that is none.

    Raises:
        SpecError: For anything but a positive number of seconds that a clock can count.
    """
    if seconds is not None and not 0 < seconds <= threading.TIMEOUT_MAX:
        raise SpecError(
            f"the time limit of a cell is a positive number of seconds, found {seconds:g}"
        )


def kind_of_device(device: str) -> str:
    """``cpu`` or ``cuda``.

    Raises:
        SpecError: For another device.
    """
    import torch

    try:
        kind = torch.device(device).type
    except RuntimeError:
        kind = ""
    if kind not in ("cpu", "cuda"):
        raise SpecError(f"--device takes cpu, cuda or cuda:N; found {device!r}")
    return kind


def refuse_absent(device: str) -> None:
    """Refuse a device that is not there, rather than falling back to another.

    Raises:
        SpecError: For another kind of device, or CUDA where there is none.
    """
    import torch

    if kind_of_device(device) == "cuda" and not torch.cuda.is_available():
        raise SpecError("no CUDA device is available here", hint="--device cpu")
