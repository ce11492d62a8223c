"""Which driver is at work on a store, as it says itself; a killed one is told from a living one."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from harness._util import canonical
from harness._util.holding import ANNOUNCEMENT
from harness.runs.store import RunStore

__all__ = ["Running", "announced", "running"]


@dataclass(frozen=True, kw_only=True)
class Running:
    """A driver at work.

    Args:
        suite: What it runs.
        workers: Cells at once; None where a cluster or the memory of a GPU decides.
        process: Its process id.
        born: When that process began, which tells it from a later one of the same id.
        began: When the driver began, seconds since the epoch.
    """

    suite: str
    workers: int | None
    process: int
    born: float
    began: float

    @property
    def seconds(self) -> float:
        """For how long it has been running; never negative, whatever became of the clock."""
        return max(0.0, time.time() - self.began)


@contextlib.contextmanager
def announced(store: RunStore, suite: str, workers: int | None) -> Iterator[None]:
    """Say that this process runs a suite while the block lasts. The caller holds the store."""
    import psutil

    process = psutil.Process()
    about = Running(
        suite=suite,
        workers=workers,
        process=process.pid,
        born=process.create_time(),
        began=time.time(),
    )
    path = store.root / ANNOUNCEMENT
    with contextlib.suppress(OSError):  # a full disk will say so where it matters
        path.write_text(canonical.dumps(asdict(about)), "utf-8")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def running(store: RunStore) -> Running | None:
    """The driver at work on a store; None when there is none, or it was killed."""
    try:
        about = Running(**json.loads((store.root / ANNOUNCEMENT).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    import psutil

    try:
        process = psutil.Process(about.process)
        alive = abs(process.create_time() - about.born) < 1  # second
    except (OSError, ValueError, TypeError, psutil.Error):  # an id may be anything
        return None
    return about if alive else None
