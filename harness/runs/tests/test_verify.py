"""``msa verify``: damage is found, named, left out of boards, and run again."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

import leaderboards
from harness._util import checksums
from harness.errors import StoreError
from harness.home import Home
from harness.runs.cell import limit_threads
from harness.runs.driver import RunReport, carry_out
from harness.runs.executors import Done
from harness.runs.executors.guard import answer, measured
from harness.runs.plan import find_suite, make_plan
from harness.runs.progress import status
from harness.runs.replay import find_run
from harness.runs.store import RunStore, StoredRun
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


def test_several_processes_find_what_one_finds_in_its_order(
    home: Home, store: RunStore, monkeypatch
) -> None:
    cut(next(iter(store)).folder / "history.json")
    monkeypatch.setattr("harness.runs.verify._SHARE", 2)
    alone, together = (list(verify(home, workers=workers)) for workers in (1, 2))
    assert together == alone
    assert [bool(finding.damage) for finding in together[:3]] == [True, False, False]


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
    assert damaged(home)[f"run {run.key}"] == "SHA256SUMS is damaged"
    assert "SHA256SUMS is damaged" in leaderboards.render(store, "small")


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
        manifest = run.folder / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"format": 2', '"format": 1'))
    found = [f for f in verify(home) if f.kind == "run"]
    assert not any(f.sealed or f.damage for f in found)
    assert leaderboards.render(store, "small") == board


def test_a_lost_list_of_digests_is_damage(home: Home, store: RunStore) -> None:
    run = next(iter(store))
    (run.folder / checksums.SUMS).unlink()
    assert damaged(home) == {f"run {run.key}": "SHA256SUMS is missing"}
    assert "SHA256SUMS is missing" in leaderboards.render(store, "small")
    for read in (lambda: run.manifest, run.history, run.predictions, lambda: run.curve("test")):
        with pytest.raises(StoreError, match="SHA256SUMS is missing"):
            read()


def test_a_lost_digest_of_labels_is_damage_and_that_of_before_is_none(home, store) -> None:
    (path,) = (store.root / "truth").glob("*.parquet")
    seal, whole = path.with_suffix(".sha256"), path.read_bytes()
    other = seal.read_text().replace(path.name, "other.parquet")
    for content in (None, b"", b"\xff", other.encode()):
        seal.unlink() if content is None else seal.write_bytes(content)
        assert list(damaged(home)) == [f"labels {path.stem}"]
        with pytest.raises(StoreError, match="damaged table"):
            leaderboards.render(store, "small")
        store.put_truth(make_corpus())
        assert damaged(home) == {}
        assert path.read_bytes() == whole
    pq.write_table(pq.read_table(path).replace_schema_metadata(), path)
    seal.unlink()  # as before
    (found,) = (f for f in verify(home) if f.kind == "labels")
    assert (found.sealed, found.damage) == (False, ())
    store.put_truth(make_corpus())
    assert path.read_bytes() == whole
    assert seal.is_file()


def test_lost_labels_are_damage(home: Home, store: RunStore) -> None:
    (path,) = (store.root / "truth").glob("*.parquet")
    path.unlink()
    assert list(damaged(home)) == [f"labels {path.stem}"]


def test_a_kill_between_labels_and_digest_leaves_no_table_without_one(store, monkeypatch) -> None:
    for path in (store.root / "truth").iterdir():
        path.unlink()
    written = []
    monkeypatch.setattr("harness.runs.store.write_atomic", lambda path, _: written.append(path))
    store.put_truth(make_corpus())
    assert [path.suffix for path in written] == [".sha256", ".parquet"]


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


def test_every_flip_and_exchange_in_a_plan_is_found_or_changes_nothing(home, store) -> None:
    path, board = store.root / "plans" / "small.json", leaderboards.render(store, "small")
    whole, chance, found = path.read_bytes(), random.Random(5), 0
    for _ in range(100):
        content = bytearray(whole)
        content[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(content)
        if "plan small" in damaged(home):
            found += 1
            with pytest.raises(StoreError):
                leaderboards.render(store, "small")
        else:
            assert json.loads(content) == json.loads(whole)
    assert found > 75
    plan = json.loads(whole)
    first, second = plan["cells"][:2]
    first["key"], second["key"] = second["key"], first["key"]
    path.write_text(json.dumps(plan))
    assert "it is not what was written" in damaged(home)["plan small"]
    for key in ("digest", "format", "stored_as"):
        path.write_text(json.dumps({k: v for k, v in json.loads(whole).items() if k != key}))
        assert "plan small" in damaged(home)
    path.unlink()
    path.with_stem("other").write_bytes(whole)
    assert "it is the plan of suite small" in damaged(home)["plan other"]
    path.with_stem("other").rename(path)
    assert leaderboards.render(store, "small") == board


def test_a_plan_of_before_is_read_and_gets_its_digest_when_next_written(home, store) -> None:
    path, plan = store.root / "plans" / "small.json", store.plan("small")
    table = json.loads(path.read_text())
    around = ("digest", "format", "stored_as")
    path.write_text(json.dumps({k: v for k, v in table.items() if k not in around}))
    (found,) = (f for f in verify(home) if f.kind == "plan")
    assert (found.sealed, found.damage) == (False, ())
    assert store.plan("small") == plan
    store.put_plan("small", store.plan("small"))
    assert json.loads(path.read_text()) == table


def test_damaged_plans_and_failures_are_found(home: Home, store: RunStore) -> None:
    cut(next(store.root.glob("failures/*.json")))
    cut(store.root / "plans" / "small.json")
    assert [name.split()[0] for name in damaged(home)] == ["plan", "failure"]


def test_a_reason_that_was_changed_is_found_and_shown_on_no_board(
    home: Home, store: RunStore
) -> None:
    record = next(store.root.glob("failures/*.json"))
    whole = record.read_text()
    record.write_text(whole.replace("diverged", "divorced"))
    assert list(damaged(home)) == [f"failure {record.stem}"]
    with pytest.raises(StoreError, match=record.name):
        leaderboards.render(store, "small")
    record.write_text(whole.replace(record.stem, "0" * 32))
    assert list(damaged(home)) == [f"failure {record.stem}"]
    record.write_text(json.dumps({"key": record.stem, "reason": "diverged"}))
    assert not damaged(home), "of before there were digests"


def test_a_corpus_with_other_content_than_its_fingerprint_is_found(home: Home) -> None:
    from harness import data

    data.load("mosi-twin@compact-x5", home)
    assert not any(f.damage for f in verify(home, corpora=True))
    flip(home.corpora / "mosi-twin@compact-x5" / "audio.npy")
    (found,) = (f for f in verify(home, corpora=True) if f.damage)
    assert (found.kind, found.name) == ("corpus", "mosi-twin@compact-x5")


def test_the_command_says_what_to_do_and_exits_with_1(msa, store: RunStore) -> None:
    assert msa("verify")[0] == 0
    run = next(iter(store))
    flip(run.folder / "history.json")
    code, out, _ = msa("verify")
    assert code == 1
    assert "history.json is not what was written" in out
    assert "next: msa run small" in out
    (store.root / "plans" / "small.json").rename(store.root / "plans" / "other.json")
    assert "next: msa run other" in msa("verify")[1]
    (store.root / "plans" / "other.json").unlink()
    assert f"in no suite that was run here, can be deleted: {run.key}" in msa("verify")[1]
    code, out, _ = msa("verify", "--json")
    assert code == 1
    assert [row["sound"] for row in json.loads(out)].count(False) == 1


def test_an_empty_home_is_sound(msa) -> None:
    assert msa("verify")[0] == 0


def test_status_and_forecasts_survive_damage(msa, home: Home, store: RunStore) -> None:
    cut(next(iter(store)).folder / "manifest.json")
    assert msa("status")[0] == 0
    (found,) = status("small", home)
    assert (found.damaged, found.stored, found.failed) == (1, 2, 1)
    assert found.seconds_left > 0 or found.unpriced == 2


class Here:
    """An executor in this process."""

    def run(self, jobs):
        limit_threads()
        for job in jobs:
            record, failure = answer(lambda job=job: measured(job))
            yield Done(job=job, record=record, failure=failure)


RIDGES = """
corpora = ["mosi-twin@compact-x5"]
seeds = 1
[[systems]]
name = "tfidf_ridge"
[[systems]]
name = "tfidf_ridge"
label = "another"
params = { strongest = 2.0 }
"""


def reseal(run: StoredRun) -> None:
    (run.folder / checksums.SUMS).unlink()
    checksums.seal(run.folder)


def exchange(one: StoredRun, other: StoredRun) -> None:
    aside = one.folder.with_name("aside")
    one.folder.rename(aside)
    other.folder.rename(one.folder)
    aside.rename(other.folder)


def lose_clips(one: StoredRun, _: StoredRun) -> None:
    change(one, lambda table: table.drop(table.index[-3:]))


def lose_numbers(one: StoredRun, _: StoredRun) -> None:
    change(one, lambda table: table.assign(pred=table["pred"].where(table.index != 5)))


def say_words(one: StoredRun, _: StoredRun) -> None:
    change(one, lambda table: table.assign(pred="good"))


def repeat_clips(one: StoredRun, _: StoredRun) -> None:
    change(one, lambda table: pd.concat([table, table.iloc[-1:]]))


def change(run: StoredRun, how: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    path = run.folder / "predictions.parquet"
    how(pd.read_parquet(path)).to_parquet(path, index=False)
    reseal(run)


def edit_parameters(one: StoredRun, _: StoredRun) -> None:
    path = one.folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["spec"]["params"]["strongest"] = 3.0
    path.write_text(json.dumps(manifest))
    reseal(one)


def lose_digests(one: StoredRun, _: StoredRun) -> None:
    (one.folder / checksums.SUMS).unlink()


@pytest.fixture(scope="module")
def ridges(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with a finished suite."""
    home = Home(tmp_path_factory.mktemp("ridges"))
    home.suites.mkdir(parents=True)
    (home.suites / "small.toml").write_text(RIDGES)
    run_here(home)
    return home


def run_here(home: Home) -> RunReport:
    return carry_out(make_plan(find_suite("small", home), home), RunStore(home.store), Here())


@pytest.mark.parametrize(
    ("spoil", "runs"),
    [
        (exchange, 2),
        (lose_clips, 1),
        (lose_numbers, 1),
        (say_words, 1),
        (repeat_clips, 1),
        (edit_parameters, 1),
        (lose_digests, 1),
    ],
)
def test_what_verify_calls_damaged_is_on_no_board_and_run_again(
    ridges: Home, tmp_path: Path, spoil: Callable[[StoredRun, StoredRun], None], runs: int
) -> None:
    home = Home(tmp_path / "home")
    shutil.copytree(ridges.root, home.root)
    store = RunStore(home.store)
    board = leaderboards.render(store, "small")
    pair = [run for run in store if run.spec.system == "tfidf_ridge"]
    spoil(*pair)
    found = damaged(home)
    assert len(found) == runs
    assert {name.split()[1] for name in found} <= {run.key for run in pair}
    assert leaderboards.render(store, "small").count("damaged") >= runs
    assert status("small", home)[0].damaged == runs
    for name in found:
        with pytest.raises(StoreError, match="damaged"):
            find_run(store, name.split()[1])
    assert run_here(home).done == runs
    assert damaged(home) == {}
    assert leaderboards.render(store, "small") == board
    assert len(list((store.root / "damaged").iterdir())) == runs


def test_a_record_that_would_be_damaged_when_stored_is_a_failed_cell(home: Home) -> None:
    class Forgetful(Here):
        def run(self, jobs):
            for done in super().run(jobs):
                table = done.record.predictions.iloc[:-1]
                yield replace(done, record=replace(done.record, predictions=table))

    (home.suites / "small.toml").write_text(RIDGES)
    store = RunStore(home.store)
    report = carry_out(make_plan(find_suite("small", home), home), store, Forgetful())
    assert report.done == 0
    for _, reason in report.failed:
        assert reason.startswith("it does not fit the test labels: 1 of ")
    assert list(store) == []
    assert damaged(home) == {}


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
