"""The boundary of a worker and a plug-in system: whatever goes wrong inside becomes a reason."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from dataclasses import replace

import torch

from harness.errors import HarnessError
from harness.runs.cell import Job, execute
from harness.runs.record import RunRecord

__all__ = ["Answer", "answer", "measured"]

Answer = tuple[RunRecord | None, str | None]
"""A record, or the reason there is none."""


def answer(work: Callable[[], RunRecord]) -> Answer:
    """What ``work`` returns, or why it failed; never an exception."""
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
