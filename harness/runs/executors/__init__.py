"""Executors carry out jobs somewhere and hand records back; they never write to the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from harness.runs.cell import Job
from harness.runs.record import RunRecord

__all__ = ["Done", "Executor", "local", "ray"]


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
