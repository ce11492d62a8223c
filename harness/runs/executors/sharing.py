"""Which cells share a GPU: those whose memory fits it together, by what runs like them took.

Of a system on a corpus that was never measured there, one cell runs first and has the device to
itself. Nothing keeps a cell from taking more than its like did.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from harness.data.residency import free_bytes
from harness.runs.cell import Job
from harness.runs.costs import Cost, cost_of
from harness.runs.executors.resources import Measured
from harness.runs.record import RunRecord

__all__ = ["Foretold", "Room", "cores", "room_on"]


@dataclass(frozen=True, kw_only=True)
class Foretold:
    """How many workers share a device.

    Args:
        workers: At once, of the cells that take most.
        alone: Cells that run before the others, one at a time, because none like them was measured.
        why: In words.
    """

    workers: int
    alone: int
    why: str


class Room:
    """A device's memory, and who may have of it at once.

    Args:
        free: Bytes.
        cores: Of this machine, for as many workers.
        measured: What the like of the cells took; learns of those that end.
    """

    def __init__(self, free: int, cores: int, measured: Measured) -> None:
        self.free, self.cores, self._measured = free, cores, measured

    def in_order(self, jobs: Iterable[Job]) -> list[Job]:
        """Cells that have to be measured first, then the others as they come."""
        waiting = list(jobs)
        pilots = self._pilots(waiting)
        first = {id(job) for job in pilots}
        return [*pilots, *(job for job in waiting if id(job) not in first)]

    def _pilots(self, jobs: Iterable[Job]) -> list[Job]:
        """One cell of each system on each corpus that nothing is known of."""
        found: dict[tuple[str, str], Job] = {}
        for job in jobs:
            if self._measured.needed(job) is None:
                found.setdefault((job.spec.system, job.spec.data), job)
        return list(found.values())

    def admits(self, job: Job, running: Sequence[Job]) -> bool:
        """Whether a cell may start beside those that run."""
        if not running:
            return True
        needs = [self._measured.needed(each) for each in (job, *running)]
        if len(running) >= self.cores or None in needs:
            return False
        return sum(filter(None, needs)) <= self.free

    def learn(self, record: RunRecord) -> None:
        """Take in what a cell took that ended."""
        self._measured.add(cost_of(record.manifest))

    def foretold(self, jobs: Iterable[Job]) -> Foretold:
        """What is to be expected of these cells."""
        waiting = list(jobs)
        known = [need for job in waiting if (need := self._measured.needed(job)) is not None]
        largest = max(known, default=0)
        workers = max(1, min(self.cores, self.free // largest)) if largest else 1
        parts = [f"{self.cores} cores, {self.free / 2**30:.1f} GiB free"]
        if largest:
            parts.append(f"the largest known cell takes {largest / 2**30:.1f} GiB")
        alone = len(self._pilots(waiting))
        if alone:
            parts.append(
                f"{alone} cells run alone first, one of each system and corpus not yet measured"
            )
        return Foretold(workers=workers, alone=alone, why="; ".join(parts))


def room_on(device: str, costs: Iterable[Cost]) -> Room:
    """The room of a device that is here.

    Args:
        device: ``cuda`` or ``cuda:N``.
        costs: Of stored runs.
    """
    free = free_bytes(torch.device(device))
    assert free is not None
    return Room(free, cores(), Measured(costs))


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
