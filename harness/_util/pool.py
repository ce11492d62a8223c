"""A plain function over many items in spawned processes, one thread each."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from harness._util.streams import guard_streams
from harness.errors import RunFailed

__all__ = ["THREADS", "each"]

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Environment variables that limit the threads of numerical libraries."""

In = TypeVar("In")
Out = TypeVar("Out")


def each(function: Callable[[In], Out], items: Sequence[In], workers: int) -> Iterator[Out]:
    """``function`` of every item, as they are done, in any order.

    Args:
        function: At the top level of a module, so that another process can find it.
        items: What it is called with.
        workers: Processes; one: this very process.

    Raises:
        RunFailed: When a process is killed or crashes; what was yielded before is not lost.
    """
    if workers == 1:
        yield from map(function, items)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_settle) as pool:
        futures = [pool.submit(function, item) for item in items]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool:
            raise RunFailed(
                "a worker process was killed or crashed",
                hint="the same command continues; fewer --jobs take less memory",
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _settle() -> None:
    """What a worker does first; numerical libraries read the variables when they load."""
    guard_streams()
    os.environ.update(dict.fromkeys(THREADS, "1"))
