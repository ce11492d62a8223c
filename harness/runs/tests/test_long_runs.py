"""Runs one can live with: logs of cells, where they broke, lists, and what is taken away."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
import textwrap
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from harness.cli import _progress
from harness.errors import RunFailed, SpecError, StoreError
from harness.home import Home
from harness.runs import removing
from harness.runs.catalogue import facts_of, key_of, listed
from harness.runs.driver import RunReport, carry_out
from harness.runs.events import Broke, CellEvent, Trained
from harness.runs.executors import Done, guard
from harness.runs.holder import announced
from harness.runs.plan import find_suite, make_plan
from harness.runs.store import RunStore
from harness.testing import small_corpus
from harness.training import checkpoint

SUITE = """
corpora = ["mosi@small"]
seeds = 2
[protocol]
max_epochs = 3
[[systems]]
name = "lf_dnn"
label = "The row"
"""

BREAKING = '''
"""A network that breaks, and one that is slow; both say so."""
import logging, os, time, warnings
from dataclasses import dataclass
import torch
from torch import nn
from harness.system import Card, Network, Output, System, TrainingParams
from harness.training import checkpoint

checkpoint.EVERY = 0.0
CARD = Card(title="breaking", paper="none", year=None)
TOKEN = "hf_abcdefghijklmnopqrstuvwxyz0123456789"

class Net(Network):
    def __init__(self, dims, params):
        super().__init__()
        self.line = nn.Linear(dims.need("audio")[1], 1)
        self.drop = nn.Dropout(0.3)

    def forward(self, batch):
        return Output(self.line(self.drop(batch.audio.values.mean(1))).squeeze(-1))

class Slow(Net):
    def begin_epoch(self, epoch):
        if epoch > 2:
            time.sleep(float(os.environ.get("EPOCH_SECONDS", "0")))
        seen, patience = os.environ.get("THREE_EPOCHS_SEEN"), time.monotonic() + 120
        while epoch == 4 and seen and not os.path.exists(seen) and time.monotonic() < patience:
            time.sleep(0.1)

class Broken(Net):
    def forward(self, batch):
        warnings.warn("the audio looks odd")
        logging.getLogger("breaking").warning("about to break")
        return self.line(torch.zeros(3, 1000 + self.line.in_features))

def make(name, network):
    return System(
        name=f"breaking_{name}", card=CARD, params=TrainingParams,
        inputs=frozenset({"audio"}), build=network,
    )

slow, broken = make("slow", Slow), make("broken", Broken)
'''


@pytest.fixture
def breaking_systems(install_systems, monkeypatch) -> None:
    """A plug-in distribution of networks called ``breaking_*``; workers see it too.

    It keeps a training after every epoch, in this process only as long as the test lasts.
    """
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    install_systems("breaking", ("slow", "broken"), BREAKING)


class Telling:
    """An executor in this process that says what its cells do."""

    def __init__(self, hear=lambda job, event: None) -> None:
        self.hear = hear

    def heard_by(self, hear):
        return Telling(hear)

    def run(self, jobs):
        for job in jobs:
            tell = partial(self.hear, job)
            work = partial(guard.measured, job, tell)
            record, failure = guard.told(job, work, tell, worker="here")
            yield Done(job=job, record=record, failure=failure)


def ran(home: Home, text: str = SUITE, **options) -> RunReport:
    home.suites.mkdir(parents=True, exist_ok=True)
    if not (home.corpora / "mosi@small").is_dir():
        small_corpus(home.corpora)
    (home.suites / "small.toml").write_text(text)
    store = RunStore(home.store)
    with store.writing():
        return carry_out(make_plan(find_suite("small", home), home), store, Telling(), **options)


@pytest.fixture(scope="session")
def done(tmp_path_factory) -> Home:
    home = Home(tmp_path_factory.mktemp("done"))
    assert not ran(home).failed
    return home


@pytest.fixture
def place(done: Home, home: Home) -> Home:
    """The same home, which a test may change."""
    shutil.copytree(done.root, home.root, dirs_exist_ok=True)
    return home


def first_key(home: Home, label: str = "The row") -> str:
    plan = RunStore(home.store).plan("small")
    return next(cell.key for cell in plan.cells if cell.label == label and cell.key)


# What is said while a cell runs


def test_the_log_of_a_cell_names_its_row_and_every_epoch(done: Home) -> None:
    text = RunStore(done.store).log_file(first_key(done)).read_text("utf-8")
    lines = [line[20:] for line in text.splitlines()]  # without the time
    assert lines[0].startswith("begun: The row on mosi@small, seed 1111; here, cpu; run ")
    for number, line in enumerate(lines[1:-1], start=1):
        assert line.startswith(f"epoch {number} of 3, loss ")
        assert "valid mae" in line and "lr 0.001" in line
    assert lines[-1].startswith("done: fitted in ") and "weights of epoch" in lines[-1]


def test_epochs_are_told_with_their_figures_and_change_nothing(home: Home, done: Home) -> None:
    heard: list[CellEvent] = []
    assert not ran(home, on_event=lambda job, event: heard.append(event)).failed
    told = [event for event in heard if isinstance(event, Trained)]
    run = RunStore(home.store).get(first_key(home))
    for event, line in zip(told[:3], run.history(), strict=True):
        assert (event.epoch.train_loss, event.epoch.valid) == (line["train_loss"], line["valid"])
        assert event.of == 3
    unheard = RunStore(done.store).get(run.key)
    np.testing.assert_array_equal(run.predictions(), unheard.predictions())


def test_a_disk_that_refuses_the_log_costs_no_run(home: Home) -> None:
    logs = home.store / "logs"
    logs.parent.mkdir(parents=True)
    logs.write_text("no folder")
    assert ran(home).done > 0


BROKEN = 'corpora = ["mosi@small"]\nseeds = 1\n[[systems]]\nname = "breaking_broken"\nlabel = "B"\n'


def test_a_failed_cell_keeps_where_it_broke_the_plug_in_first(
    home: Home, breaking_systems, tmp_path, monkeypatch, msa, caplog
) -> None:
    monkeypatch.setenv("MY_API_KEY", "self.line(torch.zeros(")  # a secret in a line of its source
    report = ran(home, BROKEN)
    ((cell, reason),), (key,) = report.failed, report.failed_keys
    assert cell == "B on mosi@small, seed 1111"
    assert reason.startswith("RuntimeError: mat1 and mat2 shapes cannot be multiplied")
    assert "(breaking_plugin.py:" in reason
    assert "B on mosi@small, seed 1111: about to break" in caplog.text
    store = RunStore(home.store)
    text = store.traceback(key)
    assert text is not None
    lines = text.splitlines()
    assert lines[0].startswith("RuntimeError: mat1 and mat2")
    assert lines[1].startswith("  breaking_plugin.py:") and lines[1].endswith("in forward")
    assert "torch/nn/modules/linear.py" in text
    assert str(tmp_path) not in text and sys.prefix not in text
    assert "torch.zeros" not in text and "***" in text
    log = store.log_file(key).read_text("utf-8")
    assert "the audio looks odd" in log and "warning: breaking: about to break" in log
    assert lines[1] in log
    code, shown, _ = msa("runs", "show", key[:6])
    assert code == 0
    assert shown.index("breaking_plugin.py") < shown.index("linear.py")
    assert str(store.log_file(key)) in shown
    assert not [h for h in logging.getLogger().handlers if "Teller" in type(h).__name__]
    ran(home, BROKEN.replace("broken", "slow"))
    (home.suites / "small.toml").write_text(BROKEN)
    store.forget_failure(key)
    assert store.traceback(key) is None


def test_a_plug_in_that_logs_without_end_fills_no_pipe() -> None:
    heard: list[CellEvent] = []

    def work():
        for number in range(1000):
            logging.getLogger("breaking").warning("warning %d", number)
        raise RunFailed("no more")

    with guard.heard(heard.append):
        assert guard.answer(work, heard.append) == (None, "no more")
    assert len(heard) <= 201
    assert isinstance(heard[-1], Broke)


# Lists, and one of them


def test_lists_filter_and_show_everything_as_json(done: Home, msa, monkeypatch) -> None:
    monkeypatch.setenv("MSA_HOME", str(done.root))
    rows = listed(done, suite="small")
    assert {row.status for row in rows} == {"stored"}
    assert len(listed(done, system="The row")) == len(listed(done, system="lf_dnn")) == 2
    assert listed(done, corpus="mosei@small") == []
    assert listed(done, statuses=["failed"]) == []
    code, text, _ = msa("runs", "list", "--system", "The row", "--json")
    one, _ = json.loads(text)
    assert code == 0
    assert (one["row"], one["system"], one["epochs"], one["metric"]) == (
        *("The row", "lf_dnn"),
        *(3, "mae"),
    )
    assert one["suites"] == ["small"] and 0 < one["score"] < 3
    assert msa("runs", "list", "--status", "faild")[0] == 2
    table = msa("runs", "list")[1]
    assert "The row" in table and f"mae {one['score']:.4f}" in table
    facts = json.loads(msa("runs", "show", "small:The row:mosi@small:1111", "--json")[1])
    assert facts["key"] == one["key"]
    assert facts["scores"]["test"]["mae"] == pytest.approx(one["score"])


def test_an_ambiguous_beginning_lists_what_it_could_be(store: RunStore) -> None:
    keys = ["abcd" + digit * 28 for digit in "12"]
    for key in keys:
        store.fail(key, "it broke")
    with pytest.raises(SpecError, match="2 runs begin with abcd: abcd1111, abcd2222"):
        key_of(store, "abcd")
    assert key_of(store, "abcd2") == keys[1]
    with pytest.raises(StoreError, match="no stored run begins with"):
        key_of(store, "abcd1", stored=True)
    with pytest.raises(SpecError, match="at least 4"):
        key_of(store, "abc")


@pytest.fixture
def store(home: Home) -> RunStore:
    return RunStore(home.store)


# What is taken away


def test_a_deleted_run_comes_back_as_it_was_and_is_run_again_otherwise(place: Home, msa) -> None:
    store, key = RunStore(place.store), first_key(place)
    before = store.get(key).predictions()
    code, out, err = msa("runs", "delete", key[:8])
    assert code == 0 and "1 deleted" in out and "msa run small" in err
    assert key not in store and key not in {run.key for run in store}
    assert removing.removed_runs(store) == [key]
    (found,) = [cell for cell in listed(place, statuses=["missing"]) if cell.key == key]
    assert found.row == "The row"
    assert msa("runs", "restore")[1].startswith("1 restored")
    np.testing.assert_array_equal(store.get(key).predictions(), before)
    assert store.get(key).damage == ()
    msa("runs", "delete", key)
    assert ran(place).done == 1
    code, _, err = msa("runs", "restore", key[:8])
    assert code == 1 and "stored again" in err


def test_a_deleted_failure_takes_its_traceback_along(store: RunStore) -> None:
    key = "f" * 32
    store.fail(key, "it broke", "in that line")
    assert removing.remove_runs(store, [key]) == [key]
    assert store.failure(key) is None and store.traceback(key) is None
    removing.restore_runs(store, ["ffff"])
    assert (store.failure(key), store.traceback(key)) == ("it broke", "in that line")


def test_nothing_is_taken_from_under_a_driver(place: Home, msa) -> None:
    store = RunStore(place.store)
    with store.writing():
        for words in (
            *(("runs", "delete", first_key(place)), ("plans", "delete", "small")),
            *(("runs", "restore"), ("store", "clean")),
        ):
            code, _, err = msa(*words)
            assert code == 1 and "is writing to this run store" in err
    assert first_key(place) in store


@pytest.mark.parametrize("after", range(4))
def test_a_disk_that_refuses_leaves_each_run_whole_somewhere(
    place: Home, monkeypatch, after: int
) -> None:
    store = RunStore(place.store)
    keys = sorted(store.keys())[:3]
    left, replace = [after], Path.replace

    def refusing(self: Path, target: Path) -> Path:
        if self.is_dir() and not (left.append(left.pop() - 1) or left[0] >= 0):
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refusing)
    if after < len(keys):
        with pytest.raises(StoreError, match="No space left"):
            removing.remove_runs(store, keys)
    else:
        removing.remove_runs(store, keys)
    monkeypatch.undo()
    gone = removing.removed_runs(store)
    assert sorted([*gone, *(key for key in keys if key in store)]) == keys
    assert len(gone) == min(after, 3)
    removing.restore_runs(store, [])
    assert all(store.get(key).damage == () for key in keys)


def test_a_plan_is_deleted_and_restored_and_clean_says_how_much(place: Home, msa) -> None:
    store, key = RunStore(place.store), first_key(place)
    assert json.loads(msa("plans", "list", "--json")[1])[0]["suite"] == "small"
    code, out, _ = msa("plans", "delete", "small")
    assert code == 0 and f"{len(store.keys())} runs are in no other plan" in out
    assert store.plans() == [] and key in store
    assert msa("plans", "restore", "small")[0] == 0
    assert store.plan("small").suite == "small"
    assert msa("plans", "restore", "small")[0] == 2
    msa("runs", "delete", key)
    training = place.training_file("0" * 32)
    training.parent.mkdir(parents=True)
    training.write_bytes(b"x" * 1000)
    found = {one["what"]: one for one in json.loads(msa("store", "clean", "--json")[1])}
    assert found["runs"]["count"] == 1 and found["runs"]["size"] > 1000
    assert found["interrupted trainings"] == {
        **{"what": "interrupted trainings"},
        **{"count": 1, "size": 1000},
    }
    assert found["logs"]["count"] == 0  # the plan still has that cell
    assert removing.removed_runs(store) == [] and not training.exists()


def test_a_corpus_in_use_says_by_whom(place: Home, msa) -> None:
    with announced(RunStore(place.store), "other", 1):
        code, _, err = msa("data", "remove", "mosi@small")
    assert code == 1 and "suite other is being run" in err
    code, _, err = msa("data", "remove", "mosi@small")
    assert code == 0 and "small has rows on it" in err
    assert msa("data", "remove", "mosi@small", "--undo")[0] == 0


def test_status_counts_holes_with_their_reasons(home: Home, msa) -> None:
    ran(home, SUITE + '[[systems]]\nname = "text"\n')
    (found,) = json.loads(msa("status", "--json")[1])
    (reason,) = found["holes"]
    assert found["holes"][reason] == 2
    _, table, _ = msa("status")
    assert "holes" in table.splitlines()[0] and f"small: 2 holes: {reason}" in table


# In a terminal, and where there is none


SLOW = """
corpora = ["mosi@small"]
seeds = 2
[protocol]
max_epochs = 4
[[systems]]
name = "breaking_slow"
label = "Slow row"
[[systems]]
name = "breaking_broken"
label = "B"
"""


@pytest.mark.slow
@pytest.mark.parametrize("columns", [110, 80])
def test_a_terminal_shows_epochs_of_every_cell_under_way(
    home: Home, breaking_systems, tmp_path: Path, columns: int
) -> None:
    """Cells wait before their last epoch until what they have done is on the screen."""
    small_corpus(home.corpora)
    seen, three = tmp_path / "seen", re.compile(r" 3/4 [^\r\n]*Slow row")
    (home.suites / "small.toml").write_text(SLOW)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    command = [sys.executable, "-m", "harness", "run", "small", "--jobs", "2"]
    with subprocess.Popen(
        [*command, "--only", "Slow row", "--only", "B"],
        **dict.fromkeys(("stdin", "stdout", "stderr"), theirs),
        env={
            **os.environ,
            **{"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            **{"MSA_HOME": str(home.root), "THREE_EPOCHS_SEEN": str(seen)},
        },
    ) as process:
        os.close(theirs)
        drawn = b""
        with contextlib.suppress(OSError):  # how a terminal says that its other side is closed
            while part := os.read(ours, 65536):
                drawn += part
                if any("Slow row" in line for line in three.findall(_plain(drawn))):
                    seen.touch()
        assert process.wait(60) == 1  # a row breaks
    os.close(ours)
    text = _plain(drawn)
    lines = [line.strip() for line in re.split(r"[\r\n]+", text)]
    under_way = [line for line in lines if re.search(r"Slow row on .*seed \d{4}", line)]
    assert set(re.findall(r"seed (\d{4})", " ".join(under_way))) == {"1111", "1112"}
    counted = [line for line in under_way if " 3/4 " in line]
    assert any("≤" in line and "valid mae" in line for line in counted)
    assert any("B on mosi@small, seed 1111: failed: RuntimeError" in line for line in lines)
    assert any("all cells" in line and "4/4" in line for line in lines)
    assert "next: msa runs show " in text


def _plain(drawn: bytes) -> str:
    """What is drawn on a terminal, without its control sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn.decode(errors="replace"))


def test_elsewhere_a_cell_is_told_of_now_and_then(home: Home, monkeypatch, capsys) -> None:
    for every, lines in ((0.0, 2 * 3), (60.0, 0)):
        monkeypatch.setattr(_progress, "_EVERY", every)
        shutil.rmtree(home.store, ignore_errors=True)
        with _progress.progress() as shown:
            ran(
                *(home, SUITE),
                only=["The row"],
                on_start=shown.start,
                on_event=shown.hear,
                on_done=shown.advance,
            )
        said = capsys.readouterr().err.splitlines()
        told = [line for line in said if line.startswith("  The row on mosi@small, seed ")]
        assert len(told) == lines
        assert said[0] == "2 cells to run"
        assert said[-1].startswith("[2/2] The row on mosi@small, seed 1112: ")
        if told:
            assert "epoch 1 of 3, loss " in told[0] and ", at most " in told[0]
            assert "at most" not in told[2]


# Killed in the middle of a cell


@pytest.mark.slow
def test_a_cell_killed_in_the_middle_goes_on_and_ends_in_the_same_bits(
    home: Home, breaking_systems, tmp_path, msa
) -> None:
    text = textwrap.dedent("""
        corpora = ["mosi@small"]
        seeds = 1
        [protocol]
        max_epochs = 12
        patience = 12
        [[systems]]
        name = "breaking_slow"
        label = "slow"
    """)
    whole = Home(tmp_path / "whole")
    assert not ran(whole, text).failed
    small_corpus(home.corpora)
    (home.suites / "small.toml").write_text(text)
    key = first_key(whole, "slow")
    kept = home.training_file(key)
    environment = {
        **os.environ,
        **{"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        **{"MSA_HOME": str(home.root), "EPOCH_SECONDS": "3"},
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", "run", "small"],
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while facts_of_kept(home, key) < 3 and time.monotonic() < deadline:
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert kept.is_file() and key not in RunStore(home.store)
    after = facts_of(home, key).kept_epoch
    assert after is not None and 3 <= after < 12
    _, planned, _ = msa("run", "small", "--plan")
    assert f"seed 1111 resumes at epoch {after + 1}" in planned
    assert not ran(home, text).failed
    resumed, uninterrupted = (RunStore(one.store).get(key) for one in (home, whole))
    for split in ("valid", "test"):
        np.testing.assert_array_equal(resumed.predictions(split), uninterrupted.predictions(split))
    assert len(resumed.history()) == 12
    log = RunStore(home.store).log_file(key).read_text("utf-8")
    assert f"taken up after epoch {after} of stage" in log
    assert not kept.exists()


def facts_of_kept(home: Home, key: str) -> int:
    from harness.training import kept_epoch

    return kept_epoch(home.training_file(key)) or 0
