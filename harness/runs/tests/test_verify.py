"""``msa verify``: damage is found, named, left out of boards, and run again."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import leaderboards
from harness._util import checksums
from harness.errors import StoreError
from harness.home import Home
from harness.runs.cell import limit_threads
from harness.runs.costs import work_left
from harness.runs.driver import carry_out
from harness.runs.executors import Done
from harness.runs.executors.guard import answer, measured
from harness.runs.plan import find_suite, make_plan
from harness.runs.store import RunStore
from harness.runs.verify import verify
from harness.tests.stores import Failed, Off, Row, make_corpus, make_store

ROWS = [
    Row(label="TFN", cells={1111: Off(0.5), 1112: Off(0.6)}),
    Row(label="Ridge", cells={0: Off(0.9)}, deterministic=True),
    Row(label="LMF", cells={1111: Failed("diverged")}),
]


@pytest.fixture
def store(home: Home) -> RunStore:
    return make_store(home.store, ROWS)


def damaged(home: Home) -> dict[str, str]:
    return {f"{f.kind} {f.name}": "; ".join(f.damage) for f in verify(home) if f.damage}


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def test_a_store_as_written_is_sound(home: Home, store: RunStore) -> None:
    found = list(verify(home))
    assert {f.kind for f in found} == {"run", "labels", "plan", "failure"}
    assert all(f.sealed and not f.damage for f in found)


def test_coreutils_agree_that_a_run_is_sound(store: RunStore) -> None:
    if shutil.which("sha256sum") is None:
        pytest.skip("no sha256sum here")
    for run in store:
        subprocess.run(["sha256sum", "--quiet", "-c", checksums.SUMS], cwd=run.folder, check=True)


@pytest.mark.parametrize("spoil", [flip, cut, Path.unlink])
@pytest.mark.parametrize("name", ["manifest.json", "history.json", "predictions.parquet"])
def test_every_damaged_file_is_named_and_its_run_is_on_no_board(
    home: Home, store: RunStore, name: str, spoil
) -> None:
    run = next(iter(store))
    spoil(run.folder / name)
    assert list(damaged(home)) == [f"run {run.key}"]
    assert name in damaged(home)[f"run {run.key}"]
    board = leaderboards.render(store, "small")
    assert "damaged" in board
    assert name in board
    with pytest.raises(StoreError, match="damaged"):
        _ = store.get(run.key).predictions() if "pred" in name else _read(store, run.key, name)


def _read(store: RunStore, key: str, name: str) -> object:
    run = store.get(key)
    return run.manifest if name == "manifest.json" else run.history()


def test_a_file_that_was_added_is_damage(home: Home, store: RunStore) -> None:
    run = next(iter(store))
    (run.folder / "notes.txt").write_text("mine")
    assert damaged(home) == {f"run {run.key}": "notes.txt was added"}


def test_a_list_of_digests_that_is_damaged_condemns_the_run(home: Home, store: RunStore) -> None:
    run = next(iter(store))
    (run.folder / checksums.SUMS).write_bytes(b"\xff\xfe")
    assert f"run {run.key}" in damaged(home)
    assert "damaged" in leaderboards.render(store, "small")


def test_a_manifest_of_another_run_is_found_though_its_digests_fit(home, store) -> None:
    run = next(iter(store))
    manifest = json.loads((run.folder / "manifest.json").read_text())
    manifest["spec"]["seed"] += 1
    (run.folder / "manifest.json").write_text(json.dumps(manifest))
    (run.folder / checksums.SUMS).unlink()
    checksums.seal(run.folder)
    assert "it describes run" in damaged(home)[f"run {run.key}"]


def test_the_key_of_a_run_follows_from_its_manifest(store: RunStore) -> None:
    for run in store:
        assert run.spec.key == run.key


def test_runs_of_before_there_were_digests_are_read_and_said_to_be_unsealed(home, store) -> None:
    board = leaderboards.render(store, "small")
    for run in store:
        (run.folder / checksums.SUMS).unlink()
    found = [f for f in verify(home) if f.kind == "run"]
    assert not any(f.sealed or f.damage for f in found)
    assert leaderboards.render(store, "small") == board


def test_damaged_labels_are_found_refused_and_written_again(home, store) -> None:
    (path,) = (store.root / "truth").glob("*.parquet")
    whole = path.read_bytes()
    flip(path)
    assert list(damaged(home)) == [f"labels {path.stem}"]
    with pytest.raises(StoreError, match="damaged table"):
        store.truth(make_corpus().fingerprint)
    store.put_truth(make_corpus())
    assert path.read_bytes() == whole
    assert damaged(home) == {}


def test_damaged_plans_and_failures_are_found(home: Home, store: RunStore) -> None:
    cut(next(store.root.glob("failures/*.json")))
    cut(store.root / "plans" / "small.json")
    assert [name.split()[0] for name in damaged(home)] == ["plan", "failure"]


def test_a_corpus_with_other_content_than_its_fingerprint_is_found(home: Home) -> None:
    from harness import data

    data.load("mosi-twin@compact-x5", home)
    assert not any(f.damage for f in verify(home, corpora=True))
    flip(home.corpora / "mosi-twin@compact-x5" / "audio.npy")
    (found,) = (f for f in verify(home, corpora=True) if f.damage)
    assert (found.kind, found.name) == ("corpus", "mosi-twin@compact-x5")


def test_the_command_says_what_to_do_and_exits_with_1(msa, store: RunStore) -> None:
    assert msa("verify")[0] == 0
    flip(next(iter(store)).folder / "history.json")
    code, out, _ = msa("verify")
    assert code == 1
    assert "history.json is not what was written" in out
    assert "next: msa run small" in out
    code, out, _ = msa("verify", "--json")
    assert code == 1
    assert [row["sound"] for row in json.loads(out)].count(False) == 1


def test_an_empty_home_is_sound(msa) -> None:
    assert msa("verify")[0] == 0


def test_status_and_forecasts_survive_damage(msa, store: RunStore) -> None:
    cut(next(iter(store)).folder / "manifest.json")
    assert msa("status")[0] == 0
    cells = store.plan("small").cells
    assert work_left(store, cells).seconds >= 0


class Here:
    """An executor in this process."""

    def run(self, jobs):
        limit_threads()
        for job in jobs:
            record, failure = answer(lambda job=job: measured(job))
            yield Done(job=job, record=record, failure=failure)


def test_a_damaged_run_is_set_aside_and_run_again(home: Home) -> None:
    text = 'corpora = ["mosi-twin@compact-x5"]\nseeds = 1\n[[systems]]\nname = "tfidf_ridge"\n'
    (home.suites / "small.toml").write_text(text)
    store, plan = RunStore(home.store), make_plan(find_suite("small", home), home)
    carry_out(plan, store, Here())
    board = leaderboards.render(store, "small")
    run = next(iter(store))
    flip(run.folder / "predictions.parquet")
    spoiled = (run.folder / "predictions.parquet").read_bytes()
    report = carry_out(plan, store, Here())
    assert (report.done, report.failed) == (1, ())
    assert leaderboards.render(store, "small") == board
    assert damaged(home) == {}
    assert (store.root / "damaged" / run.key / "predictions.parquet").read_bytes() == spoiled
