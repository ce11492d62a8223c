"""A suite by name, run to its end: planned, what is missing executed, committed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from harness._util.extras import explained
from harness.errors import SpecError
from harness.home import Home

if TYPE_CHECKING:
    from harness.runs.driver import RunReport
    from harness.runs.executors import Done, Executor
    from harness.spec import Suite

__all__ = ["find_executor", "kind_of_device", "run"]


def run(
    suite: Suite | str,
    home: Home | None = None,
    *,
    workers: int = 1,
    seeds: int | tuple[int, ...] | None = None,
    only: Sequence[str] = (),
    device: str = "cpu",
    executor: Executor | None = None,
    on_start: Callable[[int], None] = lambda cells: None,
    on_done: Callable[[Done], None] = lambda done: None,
) -> RunReport:
    """Run what is missing of a suite; the same call continues after an interruption.

    Args:
        suite: A suite, the name of one in ``home.suites``, or a path to a TOML file.
        home: Where corpora and runs live; ``Home.default()`` when None.
        workers: Worker processes, one thread each.
        seeds: The first so many of the protocol's list, or which; None for the suite's own.
        only: Patterns on rows, systems or corpora to run now; none means all.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        executor: Where cells are executed; None for worker processes on this machine.
        on_start: Called with the number of cells to run.
        on_done: Called after each cell is committed or recorded as failed.

    Raises:
        SpecError: For an invalid suite, or a device that is not there.
        DataError: For a corpus or encoder that is not here.
        StoreError: When another driver holds the store.
        MissingExtra: Where the packages of the extra ``train`` are not installed.
    """
    with explained():
        from harness.data.store import CorpusStore
        from harness.runs.driver import carry_out
        from harness.runs.executors.local import LocalExecutor
        from harness.runs.holder import announced
        from harness.runs.plan import find_suite, make_plan
        from harness.runs.store import RunStore

    home = home or Home.default()
    chosen = find_suite(suite, home) if isinstance(suite, str) else suite
    chosen, store = chosen.with_seeds(seeds), RunStore(home.store)
    if executor is None:
        _refuse_absent(device)
    with store.writing():
        CorpusStore(home.corpora).sweep()
        plan = make_plan(chosen, home, device=device)
        with announced(store, chosen.name, workers if executor is None else None):
            return carry_out(
                *(plan, store, executor or LocalExecutor(workers)),
                only=only,
                on_start=on_start,
                on_done=on_done,
            )


def find_executor(name: str, home: Home, *, workers: int, address: str | None) -> Executor | None:
    """The executor called ``name``; None for workers on this machine.

    Args:
        name: ``local`` or ``ray``.
        home: Where corpora, encoders and stored runs are.
        workers: Worker processes on this machine.
        address: Of a Ray cluster; None: one of its own.

    Raises:
        SpecError: For another name.
        MissingExtra: For ``ray`` where that is not installed.
    """
    if name == "local":
        return None
    if name == "ray":
        from harness.runs.costs import known_costs
        from harness.runs.executors.ray import RayExecutor
        from harness.runs.store import RunStore

        costs = tuple(known_costs(RunStore(home.store)))
        return RayExecutor(home=home, address=address, workers=workers, costs=costs)
    raise SpecError(f"--executor takes local or ray; found {name!r}")


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


def _refuse_absent(device: str) -> None:
    """Refuse a device that is not there, rather than falling back to another."""
    import torch

    if kind_of_device(device) == "cuda" and not torch.cuda.is_available():
        raise SpecError("no CUDA device is available here", hint="msa run SUITE --device cpu")
