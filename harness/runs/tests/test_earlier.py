"""Changed code and parts of a suite: what is not asked for stays, and what nobody needs can go."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import pytest

import leaderboards
from harness._util import atomic
from harness.errors import StoreError
from harness.home import Home
from harness.runs.driver import carry_out
from harness.runs.plan import find_suite, make_plan
from harness.runs.prune import leftovers, prune
from harness.runs.store import RunStore
from harness.runs.tests.test_verify import Here

SUITE = """
corpora = ["mosi-twin@compact-x5"]
seeds = 2
[protocol]
max_epochs = 1
[[systems]]
name = "tfidf_ridge"
[[systems]]
name = "tfidf_ridge"
label = "strong"
params = {{ strongest = {strongest} }}
[[systems]]
name = "lf_dnn"
"""


@pytest.fixture
def run(home: Home, monkeypatch):
    """Runs the suite, by some state of the code."""
    (home.suites / "small.toml").write_text(SUITE.format(strongest=2.0))

    def call(*only: str, code: str = "", seeds: int | None = None):
        if code:
            monkeypatch.setattr("harness.runs.plan.code_of", lambda *given, **more: code * 4)
        plan = make_plan(find_suite("small", home).with_seeds(seeds), home)
        store = RunStore(home.store)
        with store.writing():
            return carry_out(plan, store, Here(), only=only)

    return call


def holes(home: Home) -> dict[str, int]:
    """Row -> runs that its board lacks."""
    return {
        str(row["row"]): int(row["N"]) - int(row["n"])
        for row in leaderboards.as_records(RunStore(home.store), "small")
    }


def keys(home: Home) -> dict[tuple[str, int], str]:
    return {(c.label, c.seed): c.key for c in RunStore(home.store).plan("small").cells}


def test_a_part_of_a_suite_leaves_the_rest_of_the_board(run, home: Home, caplog) -> None:
    run(code="aaaa")
    before = keys(home)
    report = run("strong", code="bbbb")
    assert (report.done, report.present) == (1, 0)
    assert set(holes(home).values()) == {0}
    assert "of 8 cells with runs of its earlier source 1 are run again, 7 keep them" in caplog.text
    after = keys(home)
    assert {place for place in after if after[place] != before[place]} == {("strong", 0)}
    board = leaderboards.render(RunStore(home.store), "small")
    assert board.count("runs are of an earlier source of the code") >= 2
    row = next(line for line in board.splitlines() if line.startswith("| strong"))
    assert "earlier source" not in row
    caplog.clear()
    run(code="bbbb")
    assert "of 7 cells with runs of its earlier source 7 are run again" in caplog.text
    assert "earlier source" not in leaderboards.render(RunStore(home.store), "small")


def test_no_word_where_the_code_is_the_same(run, home: Home, caplog) -> None:
    run()
    written = RunStore(home.store).root.joinpath("plans", "small.json").read_bytes()
    run("strong")
    run()
    assert "earlier source" not in caplog.text
    assert RunStore(home.store).root.joinpath("plans", "small.json").read_bytes() == written


def test_what_was_changed_in_the_suite_is_no_older_code(run, home: Home) -> None:
    run(code="aaaa")
    (home.suites / "small.toml").write_text(SUITE.format(strongest=3.0))
    run("tfidf_ridge", "lf_dnn", code="bbbb")
    assert holes(home)["strong"] == 0  # a pattern on systems takes it too
    (home.suites / "small.toml").write_text(SUITE.format(strongest=4.0))
    run("lf_dnn", code="cccc")
    found = holes(home)
    assert found.pop("strong") == 1
    assert set(found.values()) == {0}


def test_other_seeds_of_a_part_leave_those_of_the_rest(run, home: Home) -> None:
    run()
    run("strong", seeds=1)
    assert [seed for label, seed in keys(home) if label == "lf_dnn"] == [1111, 1112]
    assert RunStore(home.store).plan("small").seeds == (1111, 1112)
    run("lf_dnn", seeds=1)
    assert [seed for label, seed in keys(home) if label == "lf_dnn"] == [1111]


def test_a_damaged_plan_or_run_is_not_kept(run, home: Home) -> None:
    run(code="aaaa")
    store = RunStore(home.store)
    lost = store.get(keys(home)["lf_dnn", 1111])
    (lost.folder / "manifest.json").write_text("{}")
    run("strong", code="bbbb")
    assert holes(home)["lf_dnn"] == 1
    (store.root / "plans" / "small.json").write_text("{}")
    run("strong", code="bbbb")
    assert holes(home)["tfidf_ridge"] == 1


# Pruning


def test_what_no_plan_names_is_listed_and_then_taken_away(run, home: Home, msa) -> None:
    run(code="aaaa")
    run("strong", code="bbbb")
    store = RunStore(home.store)
    everything = {run.key for run in store}
    store.fail("f" * 32, "diverged")
    needed = set(keys(home).values())
    assert len(everything - needed) == 1
    code, out, _ = msa("prune")
    assert code == 0
    assert "1 runs and 1 failures" in out and "msa prune --yes deletes them" in out
    assert "tfidf_ridge on mosi-twin@compact-x5, seed 0" in out
    assert {run.key for run in store} == everything
    code, out, _ = msa("prune", "--yes")
    assert code == 0 and out.startswith("deleted: 1 runs and 1 failures")
    assert {run.key for run in store} == needed
    assert store.failure("f" * 32) is None
    assert msa("prune")[1] == "every stored run is named by a plan or a board\n"
    assert set(holes(home).values()) == {0}


def test_what_a_board_names_stays(run, home: Home) -> None:
    run(code="aaaa")
    old = keys(home)["strong", 0]
    run("strong", code="bbbb")
    home.boards.mkdir(parents=True, exist_ok=True)
    (home.boards / "kept.md").write_text(f"see run {old[:10]} of last year\n")
    assert leftovers(home) == []
    (home.boards / "kept.md").unlink()
    assert [item.key for item in prune(home)] == [old]


def test_nothing_goes_where_nobody_knows_what_is_needed(run, home: Home, msa) -> None:
    run()
    plan = RunStore(home.store).root / "plans" / "small.json"
    content = plan.read_text()
    for broken in (content.replace("0", "1", 1), None):
        plan.unlink() if broken is None else plan.write_text(broken)
        for options in ((), ("--yes",)):
            code, out, errors = msa("prune", *options)
            assert (code, out) == (1, "")
            assert re.search(r"damaged record small\.json|no plan that says", errors)
    assert len(list(RunStore(home.store))) == 8
    with pytest.raises(StoreError):
        prune(home)


def test_another_writer_is_waited_for(run, home: Home, msa) -> None:
    run(code="aaaa")
    run("strong", code="bbbb")
    with RunStore(home.store).writing():
        code, _, errors = msa("prune", "--yes")
    assert code == 1
    assert "is writing to this run store" in errors
    assert len(leftovers(home)) == 1


KILLED = """
import os, signal, shutil, sys
from pathlib import Path
from harness._util import atomic
{patch}
atomic.remove_folder(Path(sys.argv[1]))
"""


@pytest.mark.parametrize(
    "patch",
    [
        "Path.rename = lambda *given: os.kill(os.getpid(), signal.SIGKILL)",
        "atomic.sync_folder = lambda path: os.kill(os.getpid(), signal.SIGKILL)",
        "atomic.shutil.rmtree = lambda p, **_: p.exists() and os.kill(os.getpid(), 9)",
    ],
)
def test_a_kill_leaves_a_folder_whole_or_gone(tmp_path, patch) -> None:
    folder = tmp_path / "runs" / "aa" / "key"
    folder.mkdir(parents=True)
    (folder / "one").touch()
    (folder / "two").touch()
    command = [sys.executable, "-c", KILLED.format(patch=patch), str(folder)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    atomic.sweep(tmp_path)
    assert [path.name for path in folder.parent.iterdir()] in ([], ["key"])
    if folder.exists():
        assert {path.name for path in folder.iterdir()} == {"one", "two"}
