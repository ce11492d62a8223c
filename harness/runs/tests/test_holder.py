"""Suites end to end: workers that die, kills at any moment, resuming, one and two workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

import leaderboards
from harness.errors import SpecError
from harness.home import Home
from harness.runs.driver import carry_out, select_cells
from harness.runs.executors.local import LocalExecutor
from harness.runs.plan import find_suite, make_plan
from harness.runs.store import RunStore

SUITE = """
title = "Small"
corpora = ["mosi-twin@compact-x5"]
seeds = 2
[protocol]
max_epochs = 2
[[systems]]
name = "tfidf_ridge"
[[systems]]
name = "lf_dnn"
[[systems]]
name = "tfn"
params = { text_hidden = 16, text_out = 8, audio_hidden = 4, vision_hidden = 8 }
"""

FAULTY_SUITE = """
corpora = ["mosi-twin@compact-x5"]
seeds = 1
""" + "".join(
    f'[[systems]]\nname = "faulty_{name}"\n'
    for name in ("leave", "die", "fault", "diverge", "undefined", "fine")
)


def write_suite(home: Home, text: str, name: str = "small") -> None:
    (home.suites / f"{name}.toml").write_text(text)


def run_suite(home: Home, name: str = "small", workers: int = 1):
    store = RunStore(home.store)
    with store.writing():
        return carry_out(make_plan(find_suite(name, home), home), store, LocalExecutor(workers))


@pytest.mark.slow
def test_a_suite_runs_once_and_its_board_depends_on_nothing_but_the_store(home: Home) -> None:
    write_suite(home, SUITE)
    report = run_suite(home)
    assert report.failed == ()
    assert report.done == report.planned > 0
    store = RunStore(home.store)
    board = leaderboards.render(store, "small")
    again = run_suite(home)
    assert (again.done, again.present) == (0, report.planned)
    assert leaderboards.render(store, "small") == board


@pytest.mark.slow
def test_one_and_two_workers_give_the_same_bytes(tmp_path) -> None:
    boards, predictions = [], []
    for workers in (1, 2):
        home = Home(tmp_path / f"workers-{workers}")
        home.suites.mkdir(parents=True)
        write_suite(home, SUITE)
        run_suite(home, workers=workers)
        store = RunStore(home.store)
        boards.append(leaderboards.render(store, "small"))
        predictions.append({run.key: run.predictions().to_numpy() for run in store})
    assert boards[0] == boards[1]
    assert predictions[0].keys() == predictions[1].keys()
    for key, values in predictions[0].items():
        np.testing.assert_array_equal(values, predictions[1][key])


@pytest.mark.slow
def test_every_way_to_fail_is_one_failed_cell_with_its_reason(home, faulty_systems) -> None:
    write_suite(home, FAULTY_SUITE, "faulty")
    report = run_suite(home, "faulty")
    reasons = {cell.split()[0]: reason for cell, reason in report.failed}
    assert "exited with code 3" in reasons["faulty_leave"]
    assert "SIGKILL" in reasons["faulty_die"]
    assert reasons["faulty_fault"].startswith("ZeroDivisionError: one over zero (faulty_plugin.py:")
    assert "loss became nan" in reasons["faulty_diverge"]
    assert "not finite" in reasons["faulty_undefined"]
    assert "faulty_fine" not in reasons
    board = leaderboards.render(RunStore(home.store), "faulty")
    assert "ZeroDivisionError" in board


@pytest.mark.slow
def test_closing_the_executor_leaves_no_process_behind(home, faulty_systems) -> None:
    suite = 'corpora = ["mosi-twin@compact-x5"]\nseeds = 2\n[[systems]]\nname = "faulty_linger"\n'
    write_suite(home, suite + '[[systems]]\nname = "faulty_fine"\n', "lingering")
    plan = make_plan(find_suite("lingering", home), home)
    jobs = [c.job for c in plan.cells if c.job and c.label.startswith("faulty")]
    before = psutil.Process().children(recursive=True)
    done = LocalExecutor(2).run(jobs[1:])  # one lingers, the others end
    assert next(done).record is not None
    done.close()
    after = psutil.Process().children(recursive=True)
    left = [" ".join(child.cmdline()) for child in after if child not in before]
    assert [command for command in left if "resource_tracker" not in command] == []


def driver(home: Home, stderr: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "harness", "run", "small"],
        env=os.environ | {"MSA_HOME": str(home.root)},
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        start_new_session=True,
    )


@pytest.mark.slow
def test_ctrl_c_stops_with_one_line_and_keeps_what_finished(
    home, faulty_systems, monkeypatch
) -> None:
    lingering = 'corpora = ["mosi-twin@compact-x5"]\nseeds = 1\n'
    write_suite(home, lingering + '[[systems]]\nname = "faulty_linger"\n')
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(p for p in sys.path if p))
    process = driver(home, subprocess.PIPE)
    deadline = time.monotonic() + 60
    store = RunStore(home.store)
    while len(list(store)) < 4 and time.monotonic() < deadline:  # the constants
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert b"the same command continues" in errors
    assert b"Traceback" not in errors
    assert len(list(store)) == 4


def test_only_names_what_it_cannot_match(home: Home) -> None:
    write_suite(home, SUITE)
    plan = make_plan(find_suite("small", home), home)
    assert {cell.label for cell in select_cells(plan, ["t*n"])} == {
        "tfn",
        "train_mean",
        "train_median",
    }
    with pytest.raises(SpecError, match="matches no row"):
        list(select_cells(plan, ["tfm"]))
