"""The boundary of a worker and a plug-in system: whatever goes wrong inside becomes a reason."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch

from harness._util.redaction import redacted
from harness._util.shown import LONGEST_LINE, bounded
from harness.errors import HarnessError, RunFailed
from harness.runs.cell import Job, execute
from harness.runs.events import Began, Broke, CellEvent, Tell, Trained
from harness.runs.executors.hearing import heard
from harness.runs.executors.tracing import package_of, place_of, traced
from harness.runs.record import RunRecord
from harness.system import Epoch, systems

__all__ = ["Answer", "answer", "measured", "overdue", "told", "within"]

_GRACE = 30.0  # seconds for code that is interrupted to end

Answer = tuple[RunRecord | None, str | None]
"""A record, or the reason there is none."""


def told(job: Job, work: Callable[[], RunRecord], tell: Tell, *, worker: str) -> Answer:
    """The answer of a worker that says what it is doing meanwhile.

    Args:
        job: The cell.
        work: Carries it out.
        tell: Says something of it.
        worker: Which one this is, in words.
    """
    with heard(tell):
        tell(Began(worker=worker, device=job.device))
        return answer(work, tell, system=job.spec.system)


def answer(
    work: Callable[[], RunRecord], tell: Tell = lambda event: None, *, system: str = ""
) -> Answer:
    """What ``work`` returns, or why it failed, without secrets of this node; never an exception.

    Args:
        work: The cell.
        tell: Told where it broke, if it did.
        system: Whose code comes first in a traceback.
    """
    try:
        return work(), None
    except Exception as error:  # noqa: BLE001 - the boundary of a plug-in system: any fault is a reason
        own = package_of(systems.module_of(system)) if system in systems else ""
        tell(Broke(traceback=traced(error, own)))
        return None, bounded(redacted(_reason(error, own)), LONGEST_LINE)


def _reason(error: Exception, own: str) -> str:
    """Why, on one line; of what nobody raised on purpose also where."""
    if isinstance(error, HarnessError):
        return str(error)
    if isinstance(error, MemoryError):
        return "out of memory"
    said = str(error).strip().partition("\n\n")[0]  # without a library's advice on debugging it
    return f"{type(error).__name__}: {said} ({place_of(error, own)})"


def measured(job: Job, tell: Tell | None = None) -> RunRecord:
    """Execute a job and note the device memory it took, which decides how many share a device.

    Args:
        job: The cell.
        tell: Told of each epoch.
    """
    watch = None if tell is None else _epochs_to(tell)
    if torch.device(job.device).type != "cuda":
        return execute(job, watch)
    torch.cuda.reset_peak_memory_stats(job.device)
    try:
        record = execute(job, watch)
        taken = torch.cuda.max_memory_reserved(job.device)
    finally:
        gc.collect()
        torch.cuda.empty_cache()  # others share the device, whatever comes next here
    manifest = record.manifest
    cost = replace(manifest.cost, peak_device_memory_bytes=taken)
    return replace(record, manifest=replace(manifest, cost=cost))


def _epochs_to(tell: Callable[[CellEvent], None]) -> Callable[[Epoch, int], None]:
    def watch(epoch: Epoch, of: int) -> None:
        tell(Trained(epoch=epoch, of=of))

    return watch


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
