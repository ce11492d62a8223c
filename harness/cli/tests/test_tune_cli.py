"""``msa tune`` as a user types it: its files, its report, its refusals, a kill in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.runs.store import RunStore
from harness.runs.tests.test_verify import Here

pytest.importorskip("optuna")
ROOT = Path(__file__).parents[3]
SUITE = """
title = "Two *systems*"
corpora = ["mosi-twin@compact-x5"]
[[systems]]
name = "tunable_one"
label = "One | 1"
[[systems]]
name = "tunable_two"
"""
SMALL = """
corpora = ["mosi-twin@compact-x5"]
[protocol]
max_epochs = 2
[tune]
base = "none"
[tune.space]
lr = { low = 1e-4, high = 1e-2, log = true }
audio_hidden = { choices = [4, 8] }
[[systems]]
name = "lmf"
params = { text_hidden = 8, vision_hidden = 4 }
"""


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells of a search are carried out in this process."""
    monkeypatch.setattr("harness.tuning.search.LocalExecutor", lambda *_: Here())
    monkeypatch.setattr("harness.runs.executors.local.LocalExecutor", lambda *_: Here())


@pytest.mark.usefixtures("tunable_systems", "here")
def test_a_search_is_reported_and_its_suite_runs_and_says_what_it_cost(
    home, msa, tmp_path, monkeypatch
) -> None:
    (home.suites / "two.toml").write_text(SUITE)
    asked = ("tune", "two", "--trials", 5, "--batch", 2, "--untuned")
    code, said, errors = msa(*asked)
    assert (code, errors.count("error")) == (0, 0)
    assert "next: msa run two_tuned" in said
    code, said, _ = msa(*asked, "--figures", tmp_path / "figures", "--json")
    assert code == 0
    record = json.loads(said)
    (searched,) = record["searches"]
    assert (searched["trials"], searched["twin"], searched["sampler"]) == (5, True, "tpe")
    rows = {row["row"]: row for row in searched["rows"]}
    one = rows["One | 1"]
    assert one["chosen"]["valid"] == min(trial["valid"] for trial in one["all"])
    assert one["oracle"]["test"] == min(trial["test"] for trial in one["all"])
    assert one["optimism"] == pytest.approx(one["chosen"]["test"] - one["oracle"]["test"])
    assert [point["k"] for point in one["curves"]["oracle"]] == [1, 2, 3, 4, 5]
    assert all(
        oracle["value"] <= test["value"] + 1e-12
        for oracle, test in zip(one["curves"]["oracle"], one["curves"]["test"], strict=True)
    )
    assert set(one["importance"]) == {"x", "y"}
    drawn = sorted(path.name for path in (tmp_path / "figures").glob("*.svg"))
    kinds = ("best-of-k", "row-1.curves", "row-1.settings", "row-2.curves", "row-2.settings")
    assert drawn == [f"{searched['plan']}.{kind}.svg" for kind in kinds]

    page = (home.boards / f"{searched['plan']}.md").read_text("utf-8")
    assert "SYNTHETIC TWIN of CMU-MOSI" in page
    assert "One \\| 1" in page
    assert "Two \\*systems\\*" in page
    html = (home.boards / f"{searched['plan']}.html").read_text("utf-8")
    assert "Test, oracle" in html

    code, said, _ = msa("run", "two_tuned")
    assert code == 0
    board = (home.boards / "two_tuned.md").read_text("utf-8")
    assert "**Unequal budgets:**" in board
    assert "tuned (5 trials)" in board
    assert "| preset " in board
    assert "tuned (5 trials)" in (home.boards / "two_tuned.html").read_text("utf-8")
    records = json.loads(msa("board", "two_tuned", "--json")[1])["two_tuned"]
    written = {row["row"]: row for row in records}
    tuned, untuned = written["One | 1"], written["One | 1, untuned"]
    assert (tuned["settings"]["kind"], tuned["settings"]["trials"]) == ("tuned", 5)
    assert tuned["settings"]["same_budget"] is False
    assert untuned["settings"] == {"kind": "preset", "same_budget": False}
    assert tuned["protocol"] == tuned["settings"]["protocol"] != untuned["protocol"]
    assert written["zero"]["settings"] is None


@pytest.mark.usefixtures("tunable_systems", "here")
def test_what_is_wrong_is_one_line(home, msa, tmp_path) -> None:
    (home.suites / "two.toml").write_text(SUITE)
    (home.suites / "wide.toml").write_text(SUITE + "space = { x = { low = -2, high = 1 } }\n")
    (tmp_path / "mine.toml").write_text(SUITE)
    for options, expected in (
        (("two", "--trials", "0"), "trials should be at least 1, found 0"),
        (("two", "--sampler", "grid"), "the sampler is one of random, tpe, halving; found 'grid'"),
        (("three",), "no suite 'three'"),
        (("two", "--only", "three"), "--only three matches no row"),
        (("wide",), "row 'tunable_two': space: x should lie in [-1.0, 1.0]; found -2.0"),
        (("two", "--to", tmp_path / "mine.toml"), "is there and was not written by msa tune"),
        (("two", "--to", tmp_path / "no" / "a.toml"), "there is no folder 'no' to write into"),
        (("two", "--to", tmp_path / "a.txt"), "--to takes a .toml file; found 'a.txt'"),
        (("two", "--device", "tpu"), "--device takes cpu, cuda or cuda:N"),
        (("two", "--executor", "slurm"), "--executor takes local or ray"),
    ):
        code, _, errors = msa("tune", *options)
        assert code == 2, options
        assert expected in errors
        assert errors.count("error:") == 1
    assert not RunStore(home.store).keys()
    assert (tmp_path / "mine.toml").read_text() == SUITE


def test_without_optuna_the_extra_is_named(home, msa, monkeypatch) -> None:
    (home.suites / "small.toml").write_text(SMALL)
    monkeypatch.setitem(sys.modules, "optuna", None)
    code, _, errors = msa("tune", "small", "--trials", "2")
    assert code == 2
    assert 'pip install "msa-harness[tune]"' in errors


@pytest.mark.slow
def test_a_search_that_is_killed_goes_on_to_the_same_result(tmp_path: Path) -> None:
    """With real processes and SIGKILL, at several moments."""
    results = []
    for name, waits in (("whole", ()), ("killed", (4, 7))):
        root = tmp_path / name
        (root / "suites").mkdir(parents=True)
        (root / "suites" / "small.toml").write_text(SMALL)
        command = (sys.executable, "-m", "harness", "--home", str(root), "tune", "small")
        command = (*command, "--trials", "5", "--batch", "2", "--json")
        surroundings = {**os.environ, "PYTHONPATH": str(ROOT)}
        for runs in waits:
            process = subprocess.Popen(
                command, env=surroundings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            while len(RunStore(root / "store").keys()) < runs and process.poll() is None:
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
            process.wait()
        done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=True)
        results.append((done.stdout, (root / "suites" / "small_tuned.toml").read_text()))
    assert results[0] == results[1]
