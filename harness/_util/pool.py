"""Spawned processes, and a plain function over many items in them, one thread each."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from types import ModuleType
from typing import TypeVar

from harness._util.own_files import said_by_the_driver
from harness._util.streams import guard_streams
from harness.errors import RunFailed

__all__ = ["THREADS", "each", "not_the_script"]

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
        with not_the_script():
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


@contextlib.contextmanager
def not_the_script() -> Iterator[None]:
    """Processes that are spawned in the block do not execute the script that runs.

    They need nothing of it: everything that a worker looks up is in a package. Without this a
    script that has no ``__main__`` guard would be run once more by each of its workers.
    """
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


def _settle() -> None:
    """What a worker does first; numerical libraries read the variables when they load."""
    guard_streams()
    said_by_the_driver()
    os.environ.update(dict.fromkeys(THREADS, "1"))
