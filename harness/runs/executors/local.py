"""Spawned worker processes on this machine, one thread each.

A worker that crashes or is killed (out of memory) costs the cell it was on: the cell fails with its
reason, a fresh worker takes the next one. So does a cell that takes longer than it may. Workers
leave by themselves when the driver dies.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Collection, Generator, Iterable
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from harness._util.environment import environment
from harness._util.own_files import said_by_the_driver
from harness._util.pool import THREADS, not_the_script
from harness._util.streams import guard_streams
from harness.runs.cell import Job, limit_threads
from harness.runs.events import CellEvent, Hear, unheard
from harness.runs.executors import Done
from harness.runs.executors.guard import Answer, measured, overdue, told
from harness.runs.executors.sharing import Room

__all__ = ["LocalExecutor"]

_STARTED = "started"  # a worker's first word, once it has imported what it needs
_LAST_BREATH = 10.0  # seconds that a worker without a pipe has to end by itself


@dataclass(frozen=True)
class LocalExecutor:
    """Cells on this machine.

    Args:
        workers: Number of processes at once.
        cell_timeout: Seconds that a cell may take, without the start of its worker; None for any.
        hear: Hears what workers say of their cells.
        room: Of a GPU that cells share: it decides how many run, in place of ``workers``.
    """

    workers: int = 1
    cell_timeout: float | None = None
    hear: Hear = unheard
    room: Room | None = None

    def heard_by(self, hear: Hear) -> LocalExecutor:
        """The same, with another to hear."""
        return replace(self, hear=hear)

    def run(self, jobs: Iterable[Job]) -> Generator[Done, None, None]:
        """Carry out ``jobs``; see ``Executor``."""
        waiting = iter(jobs if self.room is None else self.room.in_order(jobs))
        job = next(waiting, None)
        busy: dict[Connection, _Worker] = {}
        idle: list[_Worker] = []
        try:
            while busy or job is not None:
                while job is not None and self._admits(job, busy.values()):
                    worker = idle.pop() if idle else _Worker.start()
                    worker.give(job, self.cell_timeout)
                    busy[worker.pipe] = worker
                    job = next(waiting, None)
                while idle and job is None:
                    idle.pop().dismiss()
                ready = connection.wait(list(busy))
                for worker in [worker for pipe, worker in busy.items() if pipe in ready]:
                    done = worker.collect(self.hear)
                    if done is None:
                        continue
                    if self.room is not None and done.record is not None:
                        self.room.learn(done.record)
                    yield done
                    del busy[worker.pipe]
                    if worker.alive:
                        idle.append(worker)
            while idle:
                idle.pop().dismiss()
        finally:
            for worker in (*busy.values(), *idle):
                worker.kill()

    def _admits(self, job: Job, busy: Collection[_Worker]) -> bool:
        """Whether a cell may start beside those that run."""
        if self.room is None:
            return len(busy) < self.workers
        return self.room.admits(job, [worker.job for worker in busy if worker.job is not None])


@dataclass(eq=False)
class _Worker:
    process: SpawnProcess
    pipe: Connection
    job: Job | None = None
    seconds: float | None = None  # that the job may take
    started: bool = False
    limit: _Limit | None = None

    @classmethod
    def start(cls) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,), daemon=True)
        # Children read their thread limits when numerical libraries load, before any code of ours.
        with environment(dict.fromkeys(THREADS, "1")), not_the_script():
            process.start()
        theirs.close()
        return cls(process, ours)

    @property
    def alive(self) -> bool:
        return self.process.is_alive() and not self.pipe.closed

    def give(self, job: Job, seconds: float | None) -> None:
        self.job, self.seconds = job, seconds
        if self.started:
            self._limit()
        with contextlib.suppress(OSError):  # it died idle; collect() reports how
            self.pipe.send(job)

    def collect(self, hear: Hear = unheard) -> Done | None:
        """What became of the job; None for a worker that only said something of it."""
        assert self.job is not None
        came: Answer | None = None
        with contextlib.suppress(EOFError, OSError):  # it died, perhaps in the middle of a record
            came = self.pipe.recv()
            if came == _STARTED:
                self.started = True
                self._limit()
                return None
            if isinstance(came, CellEvent):
                hear(self.job, came)
                return None
        over = None if self.limit is None else self.limit.lift()
        if came is None or over is not None:
            self._bury()
        if came is None:
            return Done(job=self.job, failure=over or _death(self.process.exitcode))
        record, failure = came
        return Done(job=self.job, record=record, failure=failure)

    def _limit(self) -> None:
        self.limit = None if self.seconds is None else _Limit(self.process, self.seconds)

    def _bury(self) -> None:
        self.pipe.close()
        self.process.join(_LAST_BREATH)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()

    def dismiss(self) -> None:
        with contextlib.suppress(OSError):
            self.pipe.close()  # the worker's next recv ends it
        self.process.join()

    def kill(self) -> None:
        if self.limit is not None:
            self.limit.lift()
        self.process.kill()
        self.process.join()
        self.pipe.close()


class _Limit:
    """Kills a worker after some time, unless it is lifted before, also while it sends.

    Args:
        process: The worker.
        seconds: What its cell may take.
    """

    def __init__(self, process: SpawnProcess, seconds: float) -> None:
        self._why = overdue(seconds)
        self._process = process
        self._lock = threading.Lock()
        self._lifted = self._over = False
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def _expire(self) -> None:
        with self._lock:
            if not self._lifted:
                self._over = True
                self._process.kill()

    def lift(self) -> str | None:
        """Let the worker take its time; why its cell failed, if it was killed before."""
        self._timer.cancel()
        with self._lock:
            self._lifted = True
            return self._why if self._over else None


def _death(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        cause = "; the system may be out of memory" if name == "SIGKILL" else ""
        return f"the worker was killed by {name}{cause}"
    return f"the worker exited with code {exitcode}"


def _serve(pipe: Connection) -> None:
    """A worker's life: say so, then answer jobs with a record or a reason until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    threading.Thread(target=_leave_with_driver, daemon=True).start()
    guard_streams()
    said_by_the_driver()
    limit_threads()
    alone = threading.Lock()  # threads of a plug-in may warn

    def tell(event: CellEvent) -> None:
        with alone:
            pipe.send(event)

    with contextlib.suppress(EOFError, ConnectionError):
        pipe.send(_STARTED)
        while True:
            job = pipe.recv()
            work = partial(measured, job, tell)
            pipe.send(told(job, work, tell, worker=f"process {os.getpid()}"))


def _leave_with_driver() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
