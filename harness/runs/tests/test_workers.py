"""Workers that die, hang or stop in the middle of what they send: one failed cell, nothing else."""

from __future__ import annotations

import multiprocessing
import os
import signal
import struct
import threading
import time

import pytest

from harness.errors import RunFailed, SpecError
from harness.home import Home
from harness.runs.executors import local
from harness.runs.executors.guard import answer, within
from harness.runs.executors.local import LocalExecutor
from harness.runs.running import find_executor, run

KILLED = "the worker was killed by SIGKILL; the system may be out of memory"
SUITE = """
corpora = ["mosi-twin@compact-x5"]
seeds = 1
[[systems]]
name = "faulty_fine"
[[systems]]
name = "faulty_linger"
"""


def serve(pipe) -> None:
    """A worker that does what its job says."""
    pipe.send(local._STARTED)
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        if job.startswith("half"):
            os.write(pipe.fileno(), struct.pack("!i", 1_000_000) + b"x" * 1000)
        if job.endswith("hang"):
            time.sleep(600)
        if job.endswith("die"):
            os.kill(os.getpid(), signal.SIGKILL)
        if job.endswith("leave"):
            os._exit(3)
        if job.endswith("close"):
            pipe.close()
            time.sleep(600)
        pipe.send((None, f"{job} failed"))


@pytest.fixture(autouse=True)
def _short_breath(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_LAST_BREATH", 1.0)


class Gone:
    """A process that was killed."""

    exitcode = -signal.SIGKILL

    def join(self, seconds: float | None = None) -> None:
        """It has ended."""


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\x00",
        struct.pack("!i", 9),
        struct.pack("!i", 9) + b"x",
        struct.pack("!iQ", -1, 2**32),
    ],
    ids=len,
)
def test_whatever_part_of_its_record_a_killed_worker_sent_its_cell_fails(sent: bytes) -> None:
    ours, theirs = multiprocessing.Pipe()
    os.write(theirs.fileno(), sent)
    theirs.close()
    done = local._Worker(Gone(), ours, job="one").collect()
    assert done is not None
    assert done.record is None
    assert done.failure == KILLED
    assert ours.closed


@pytest.mark.slow
def test_whatever_becomes_of_a_worker_the_other_cells_go_on(monkeypatch) -> None:
    monkeypatch.setattr(local, "_serve", serve)
    jobs = ["one", "half, die", "two", "half, leave", "die", "half, close", "three"]
    found = {done.job: done.failure for done in LocalExecutor(2).run(jobs)}
    assert found.keys() == set(jobs)
    assert found["half, die"] == found["die"] == KILLED
    assert found["half, leave"] == "the worker exited with code 3"
    assert found["half, close"] is not None
    for job in ("one", "two", "three"):
        assert found[job] == f"{job} failed"


@pytest.mark.slow
def test_a_cell_that_takes_too_long_is_stopped_and_failed(monkeypatch) -> None:
    monkeypatch.setattr(local, "_serve", serve)
    jobs = ["one", "hang", "two", "half, hang", "three"]
    found = {done.job: done.failure for done in LocalExecutor(2, cell_timeout=8).run(jobs)}
    assert found["hang"] == found["half, hang"] == "stopped: it took longer than 8 s"
    for job in ("one", "two", "three"):
        assert found[job] == f"{job} failed"


def test_no_limit_outlives_its_cell(monkeypatch) -> None:
    monkeypatch.setattr(local, "_serve", serve)
    before = threading.enumerate()
    done = LocalExecutor(1, cell_timeout=60).run(["one", "hang"])
    assert next(done).failure == "one failed"
    done.close()
    left = [thread for thread in threading.enumerate() if thread not in before]
    assert not [thread for thread in left if isinstance(thread, threading.Timer)]


@pytest.mark.slow
def test_a_suite_with_a_hanging_cell_ends(home: Home, faulty_systems) -> None:
    (home.suites / "small.toml").write_text(SUITE)
    report = run(*("small", home), workers=2, only=["faulty_*"], cell_timeout=20, failures="report")
    assert report.done == 1
    ((cell, reason),) = report.failed
    assert cell.startswith("faulty_linger")
    assert reason == "stopped: it took longer than 20 s"


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_limit_that_is_none_is_refused(home: Home, msa, seconds: float) -> None:
    (home.suites / "small.toml").write_text(SUITE)
    for ask in (
        lambda: run("demo", home, cell_timeout=seconds),
        lambda: find_executor("local", home, workers=1, address=None, cell_timeout=seconds),
    ):
        with pytest.raises(SpecError, match="positive number of seconds"):
            ask()
    assert msa("run", "demo", f"--cell-timeout={seconds}")[0] == 2


def test_an_executor_of_ones_own_has_its_own_limit(home: Home) -> None:
    with pytest.raises(SpecError, match="workers on this machine"):
        run("demo", home, executor=LocalExecutor(1), cell_timeout=5.0)


def test_a_block_is_interrupted_in_time_and_left_alone_afterwards() -> None:
    def work() -> None:
        with within(0.2):
            time.sleep(60)

    began = time.monotonic()
    assert answer(work) == (None, "stopped: it took longer than 0.2 s")
    assert time.monotonic() - began < 30
    with within(0.2):
        pass
    with within(None):
        time.sleep(0.4)
    with pytest.raises(RunFailed), within(0.1):
        while True:
            pass
