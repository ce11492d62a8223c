"""Executors carry out jobs somewhere and hand records back; they never write to the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from harness.runs.cell import Job
from harness.runs.events import Hear
from harness.runs.record import RunRecord

__all__ = ["Done", "Executor", "TellingExecutor", "heard_by", "local", "ray", "sharing"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Done:
    """What became of a job: a record, or the reason there is none."""

    job: Job
    record: RunRecord | None = None
    failure: str | None = None


class Executor(Protocol):
    """Runs jobs and yields each as it ends, in any order."""

    def run(self, jobs: Iterable[Job]) -> Iterator[Done]:
        """Carry out ``jobs``; closing the iterator stops what is still running."""
        ...


@runtime_checkable
class TellingExecutor(Executor, Protocol):
    """One whose workers say what they are doing meanwhile."""

    def heard_by(self, hear: Hear) -> Executor:
        """The same, of whose cells ``hear`` hears, in the thread that takes what ``run`` yields."""
        ...


def heard_by(executor: Executor, hear: Hear) -> Executor:
    """The executor with somebody to hear what it says of its cells, if it says anything."""
    return executor.heard_by(hear) if isinstance(executor, TellingExecutor) else executor
