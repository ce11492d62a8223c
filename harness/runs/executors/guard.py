"""The boundary of a worker and a plug-in system: whatever goes wrong inside becomes a reason."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch

from harness._util.redaction import redacted
from harness._util.shown import LONGEST_LINE, bounded
from harness.errors import HarnessError, RunFailed
from harness.runs.cell import Job, execute
from harness.runs.record import RunRecord

__all__ = ["Answer", "answer", "measured", "overdue", "within"]

_GRACE = 30.0  # seconds for code that is interrupted to end

Answer = tuple[RunRecord | None, str | None]
"""A record, or the reason there is none."""


def answer(work: Callable[[], RunRecord]) -> Answer:
    """What ``work`` returns, or why it failed, without secrets of this node; never an exception."""
    record, failure = _tried(work)
    return record, None if failure is None else bounded(redacted(failure), LONGEST_LINE)


def _tried(work: Callable[[], RunRecord]) -> Answer:
    try:
        return work(), None
    except HarnessError as error:
        return None, str(error)
    except MemoryError:
        return None, "out of memory"
    except Exception as error:  # noqa: BLE001 - the boundary of a plug-in system: any fault is a reason
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{os.path.basename(where.filename)}:{where.lineno}"  # noqa: PTH119 - a bare string
        said = str(error).strip().partition("\n\n")[0]  # without a library's advice on debugging it
        return None, f"{type(error).__name__}: {said} ({place})"


def measured(job: Job) -> RunRecord:
    """Execute a job and note the device memory it took, which decides how many share a device."""
    if torch.device(job.device).type != "cuda":
        return execute(job)
    torch.cuda.reset_peak_memory_stats(job.device)
    record = execute(job)
    manifest, taken = record.manifest, torch.cuda.max_memory_reserved(job.device)
    cost = replace(manifest.cost, peak_device_memory_bytes=taken)
    return replace(record, manifest=replace(manifest, cost=cost))


def overdue(seconds: float) -> str:
    """Why a cell failed that took longer than it may."""
    return f"stopped: it took longer than {seconds:g} s"


@contextlib.contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """Interrupt the block after some time, in the main thread of a worker nobody else watches.

    Where the interruption does not get through, because the block is in compiled code or catches
    everything, the process ends half a minute later.

    Args:
        seconds: What the block may take; None for any time.

    Raises:
        RunFailed: When it took longer.
    """
    if seconds is None:
        yield
        return

    def stop(*_: object) -> None:
        raise RunFailed(overdue(seconds))

    last = threading.Timer(seconds + _GRACE, os._exit, [1])
    last.daemon = True
    before = signal.signal(signal.SIGALRM, stop)
    try:
        last.start()
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        last.cancel()
