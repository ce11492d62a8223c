"""What a cell asks of a node: one CPU for its one thread, memory as measured, a share of a GPU.

A share is what runs like it took of a device's memory, so small networks share a GPU and large ones
do not. Shares are bookkeeping, not isolation: they are rounded up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from harness._util import canonical
from harness.runs.cell import Job
from harness.runs.costs import Cost

__all__ = ["Demand", "Measured", "kind_of", "share"]

_MARGIN = 1.2  # runs of other seeds take a little more or less
_CONTEXT = 600 * 2**20  # bytes that CUDA takes per process, which its allocator does not count
_STEPS = 16  # at most so many processes share a device; beyond, they wait for each other


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What one cell needs while it runs.

    Args:
        cpus: Cores; a worker has one thread.
        gpus: Devices, or the share of one.
        memory: Bytes of the node; None when nothing like it was measured.
        pilot: Whether it takes a whole device because its share is not known yet.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    memory: int | None = None
    pilot: bool = False


def kind_of(job: Job) -> str:
    """What cells of equal cost have in common: all but the seed."""
    spec = job.spec
    return _kind(spec.system, spec.data, spec.params, torch.device(job.device).type)


class Measured:
    """Memory of what was run before, and so what its like will need.

    Args:
        costs: Of stored runs.
    """

    def __init__(self, costs: Iterable[Cost] = ()) -> None:
        self._memory: dict[str, int] = {}
        self._device: dict[str, int] = {}
        self._alike: dict[tuple[str, str], int] = {}  # whatever the hyper-parameters
        for cost in costs:
            self.add(cost)

    def add(self, cost: Cost) -> None:
        """Learn from one run."""
        kind = _kind(cost.system, cost.data, cost.params, cost.device)
        self._memory[kind] = max(cost.memory, self._memory.get(kind, 0))
        if cost.device_memory is not None:
            self._device[kind] = max(cost.device_memory, self._device.get(kind, 0))
            alike = (cost.system, cost.data)
            self._alike[alike] = max(cost.device_memory, self._alike.get(alike, 0))

    def needed(self, job: Job) -> int | None:
        """Bytes of a device that a cell will take; None while none like it was measured.

        Without a run of its hyper-parameters, those of others on the same corpus tell.
        """
        taken = self._device.get(kind_of(job), self._alike.get((job.spec.system, job.spec.data)))
        return None if taken is None else _reserved(taken)

    def demand(self, job: Job, device_bytes: int | None) -> Demand:
        """What a cell needs.

        Args:
            job: The cell.
            device_bytes: Memory of the smallest device of the cluster; None without devices.
        """
        kind = kind_of(job)
        memory = self._memory.get(kind)
        requested = None if memory is None else math.ceil(memory * _MARGIN)
        if torch.device(job.device).type != "cuda":
            return Demand(memory=requested)
        taken = self._device.get(kind)
        if taken is None or device_bytes is None:
            return Demand(gpus=1.0, memory=requested, pilot=taken is None)
        return Demand(gpus=share(taken, device_bytes), memory=requested)


def share(taken: int, device_bytes: int) -> float:
    """The part of a device that a cell reserves, in sixteenths, rounded up.

    Args:
        taken: Peak device memory of its like, bytes.
        device_bytes: Memory of the device.

    Example:
        >>> share(2 * 2**30, 80 * 2**30), share(60 * 2**30, 80 * 2**30)
        (0.0625, 0.9375)
    """
    part = _reserved(taken) / device_bytes
    return min(1.0, math.ceil(part * _STEPS) / _STEPS)


def _reserved(taken: int) -> int:
    return math.ceil(taken * _MARGIN + _CONTEXT)


def _kind(system: str, data: str, params: Mapping[str, object], device: str) -> str:
    return canonical.digest([system, data, params, device])
