"""Spawned worker processes on this machine, one thread each.

A worker that crashes or is killed (out of memory) costs the cell it was on: the cell fails with its
reason, a fresh worker takes the next one. Workers leave by themselves when the driver dies.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from harness._util.pool import THREADS
from harness.runs.cell import Job, limit_threads
from harness.runs.executors import Done
from harness.runs.executors.guard import answer, measured

__all__ = ["LocalExecutor"]


@dataclass(frozen=True)
class LocalExecutor:
    """Args: workers: Number of processes at once."""

    workers: int = 1

    def run(self, jobs: Iterable[Job]) -> Iterator[Done]:
        """Carry out ``jobs``; see ``Executor``."""
        waiting = iter(jobs)
        busy: dict[Connection, _Worker] = {}
        try:
            for job in _take(waiting, self.workers):
                worker = _Worker.start()
                worker.give(job)
                busy[worker.pipe] = worker
            while busy:
                ready = connection.wait(list(busy))
                for worker in [worker for pipe, worker in busy.items() if pipe in ready]:
                    yield worker.collect()
                    del busy[worker.pipe]
                    following = next(waiting, None)
                    if following is None:
                        worker.dismiss()
                        continue
                    worker = worker if worker.alive else _Worker.start()
                    worker.give(following)
                    busy[worker.pipe] = worker
        finally:
            for worker in busy.values():
                worker.kill()


def _take(jobs: Iterator[Job], count: int) -> Iterator[Job]:
    for _, job in zip(range(count), jobs, strict=False):
        yield job


@dataclass(eq=False)
class _Worker:
    process: SpawnProcess
    pipe: Connection
    job: Job | None = None

    @classmethod
    def start(cls) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,), daemon=True)
        with _single_threaded():
            process.start()
        theirs.close()
        return cls(process, ours)

    @property
    def alive(self) -> bool:
        return self.process.is_alive() and not self.pipe.closed

    def give(self, job: Job) -> None:
        self.job = job
        with contextlib.suppress(BrokenPipeError):  # it died idle; collect() reports how
            self.pipe.send(job)

    def collect(self) -> Done:
        assert self.job is not None
        try:
            record, failure = self.pipe.recv()
        except (EOFError, ConnectionError):
            self.pipe.close()
            self.process.join()
            return Done(job=self.job, failure=_death(self.process.exitcode))
        return Done(job=self.job, record=record, failure=failure)

    def dismiss(self) -> None:
        with contextlib.suppress(OSError):
            self.pipe.close()  # the worker's next recv ends it
        self.process.join()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


@contextlib.contextmanager
def _single_threaded() -> Iterator[None]:
    """Children read their thread limits when numerical libraries load, before any code of ours."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _death(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        cause = "; the system may be out of memory" if name == "SIGKILL" else ""
        return f"the worker was killed by {name}{cause}"
    return f"the worker exited with code {exitcode}"


def _serve(pipe: Connection) -> None:
    """A worker's life: receive a job, answer with a record or a reason, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    threading.Thread(target=_leave_with_driver, daemon=True).start()
    limit_threads()
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            job = pipe.recv()
            pipe.send(answer(partial(measured, job)))


def _leave_with_driver() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
