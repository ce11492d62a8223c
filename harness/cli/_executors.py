"""Which executor ``--executor`` means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import SpecError

if TYPE_CHECKING:
    from harness.home import Home
    from harness.runs.executors import Executor

__all__ = ["choose"]


def choose(name: str, home: Home, *, jobs: int, address: str | None) -> Executor | None:
    """The executor called ``name``; None for workers on this machine.

    Args:
        name: ``local`` or ``ray``.
        home: Where corpora, encoders and stored runs are.
        jobs: Worker processes on this machine.
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
        return RayExecutor(home=home, address=address, workers=jobs, costs=costs)
    raise SpecError(f"--executor takes local or ray; found {name!r}")
