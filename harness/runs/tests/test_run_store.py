"""The run store: existence is completion, one writer, and every failure is a store error."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import random
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import harness
from harness._util import atomic as files
from harness.data.corpus import Corpus
from harness.data.datasets import datasets
from harness.errors import StoreError
from harness.runs.manifest import Costs, Manifest, Provenance, Result
from harness.runs.record import RunRecord
from harness.runs.store import RunStore
from harness.runs.stored_plan import PlannedCell, PlannedProtocol, StoredPlan
from harness.spec import PredictionCell, Protocol, RunSpec

KEY, OTHER = "0123456789abcdef" * 2, "f" * 32
PROTOCOL = Protocol(name="p", title="情感", seeds=(1111,))
SPEC = RunSpec(
    corpus="sims@test",
    data="a" * 64,
    protocol=PROTOCOL,
    system="tfn",
    params={"lr": 0.1},
    labels={"low": -1.0, "high": 1.0},
    seed=1111,
    code="0" * 16,
)
MANIFEST = Manifest(
    spec=SPEC,
    encoder=None,
    result=Result(parameters=2, trainable=1, epochs=2, selected_epoch=2, train_clips=4),
    provenance=Provenance(device="cpu", processor="情感", commit=None, dirty=None),
    cost=Costs(fit_seconds=1.5, predict_seconds=0.5, peak_memory_bytes=1000),
    more={"title": "情感"},
)


def planned(suite: str = "demo", *, cells: int = 0) -> StoredPlan:
    return StoredPlan(
        suite=suite,
        title="A suite",
        protocol=PlannedProtocol.from_protocol(PROTOCOL),
        seeds=(1111,),
        corpora=(),
        rows=(),
        cells=tuple(
            PlannedCell(corpus="sims@test", label="row", seed=n, key=None, reason="none")
            for n in range(cells)
        ),
    )


def record(key: str = KEY, *, clips: int = 4, offset: float = 0.0) -> RunRecord:
    ids = [f"-v_{n:02}" for n in range(clips)]
    tables = [
        pd.DataFrame(
            {"id": ids, "split": split, "condition": "clean", "variant": "plain"}
            | {"pred": np.arange(clips) / 3 + start}
        )
        for split, start in (("valid", 10 + offset), ("test", offset))
    ]
    curve = pd.DataFrame(
        {str(epoch): np.float32(epoch) + np.arange(clips, dtype="f4") for epoch in (1, 2)}
    )
    return RunRecord(
        key=key,
        manifest=MANIFEST,
        predictions=pd.concat(tables, ignore_index=True),
        history=({"epoch": 1, "valid": None}, {"epoch": 2, "valid": 0.5}),
        curves={"valid": curve, "test": curve + 1},
    )


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "store")


def everything(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def full(*arguments: object, **options: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


# Runs


def test_a_committed_run_is_read_back_exactly(store: RunStore) -> None:
    assert KEY not in store
    store.commit(record())
    assert KEY in store
    run, wanted = store.get(KEY), record()
    assert run.key == KEY
    assert run.manifest.json() == {"format": 2, "key": KEY, **wanted.manifest.json()}
    assert dataclasses.replace(run.manifest, more=wanted.manifest.more) == wanted.manifest
    assert run.history() == list(wanted.history)
    for split in ("valid", "test"):
        rows = wanted.predictions[wanted.predictions["split"] == split]
        pred = run.predictions(split)
        assert pred.dtype == np.float64
        assert pred.index.tolist() == rows["id"].tolist()
        np.testing.assert_array_equal(pred.to_numpy(), rows["pred"].to_numpy())
        curve = run.curve(split)
        assert curve is not None
        assert curve.dtype == np.float32
        np.testing.assert_array_equal(curve, wanted.curves[split].to_numpy().T)
    assert run.curve("train") is None
    assert run.predictions("test", PredictionCell(condition="noise=0.5")).empty
    assert run.predictions("test", PredictionCell(variant="excluded")).empty


def test_runs_are_listed_in_the_order_of_their_keys(store: RunStore) -> None:
    assert list(store) == []
    for key in (OTHER, KEY):
        store.commit(record(key))
    assert [run.key for run in store] == [KEY, OTHER]


def test_committing_again_changes_nothing(store: RunStore) -> None:
    store.commit(record())
    before = everything(store.root)
    store.commit(record(offset=1.0))
    assert everything(store.root) == before


def test_a_run_that_is_not_here_is_a_store_error_with_the_next_command(store: RunStore) -> None:
    with pytest.raises(StoreError, match=f"run {KEY} is not in the store") as caught:
        store.get(KEY)
    assert caught.value.hint == "msa run SUITE"


def test_the_store_holds_json_parquet_and_digests_only(store: RunStore) -> None:
    store.commit(record())
    store.fail(OTHER, "reason")
    store.put_plan("demo", planned())
    store.put_truth(corpus())
    contents = everything(store.root)
    for name, content in contents.items():
        if name.endswith(".json"):
            json.loads(content)
        elif name.endswith(("SHA256SUMS", ".sha256")):
            assert re.fullmatch(rb"([0-9a-f]{64}  [\w.]+\n)+", content)
        else:
            assert name.endswith(".parquet")
            assert content[:4] == content[-4:] == b"PAR1"
    assert len(contents) == 10


# Failures


def test_a_failure_is_remembered_until_the_run_succeeds(store: RunStore) -> None:
    assert store.failure(KEY) is None
    store.fail(KEY, "first")
    store.fail(KEY, "diverged: 损失")
    store.fail(OTHER, "another")
    assert store.failure(KEY) == "diverged: 损失"
    store.commit(record())
    assert store.failure(KEY) is None
    assert store.failure(OTHER) == "another"


def test_a_kill_between_commit_and_forgetting_leaves_no_failed_success(store: RunStore) -> None:
    store.commit(record())
    store.fail(KEY, "what the kill kept from being forgotten")
    assert store.failure(KEY) is None


# Plans and labels


def test_plans_come_back_as_they_were_put(store: RunStore) -> None:
    plan = dataclasses.replace(planned("演示", cells=2), more={"newer": {"x": 0.1, "none": None}})
    assert store.plans() == []
    store.put_plan("演示 2", planned())
    store.put_plan("演示 2", plan)
    store.put_plan("a.b", planned())
    assert store.plan("演示 2") == plan
    assert store.plans() == ["a.b", "演示 2"]


def test_a_suite_never_run_is_told_from_those_that_were(store: RunStore) -> None:
    store.put_plan("demo", planned())
    with pytest.raises(StoreError, match=r"suite 'dmo' has not been run here \(run so far: demo\)"):
        store.plan("dmo")


@pytest.mark.parametrize(
    "name", ["../escaped", "..", "a/b", "/etc/passwd", "", ".x", "a\x00", "a\\b"]
)
def test_a_suite_name_cannot_leave_the_store(store: RunStore, tmp_path: Path, name: str) -> None:
    store.put_plan("demo", planned())
    before = everything(tmp_path)
    with pytest.raises(StoreError, match="plain file name"):
        store.put_plan(name, planned())
    with pytest.raises(StoreError, match="plain file name"):
        store.plan(name)
    assert everything(tmp_path) == before


def corpus(fingerprint: str = "a" * 64, label: float = 1.0) -> Corpus:
    clips = pd.DataFrame(
        {
            "id": ["-v_1", "007_1"],
            "video": ["-v", "007"],
            "clip": ["1", "1"],
            "split": ["train", "test"],
            "text": ["secret words", "more"],
            "label": [label, -0.2],
            "label_T": [0.4, 0.2],
        }
    )
    return Corpus(
        name="sims@test",
        dataset=datasets["sims"],
        fingerprint=fingerprint,
        clips=clips,
        streams={},
        tokens=None,
        manifest={},
    )


def test_labels_come_back_without_transcripts(store: RunStore) -> None:
    store.put_truth(corpus())
    store.put_truth(corpus(label=9.0))  # the same fingerprint: the same labels, by construction
    truth = store.truth("a" * 64)
    assert list(truth.columns) == ["id", "video", "split", "label", "label_T"]
    assert truth["id"].tolist() == ["-v_1", "007_1"]
    assert truth["video"].tolist() == ["-v", "007"]
    np.testing.assert_array_equal(truth["label"], [1.0, -0.2])
    with pytest.raises(StoreError, match="no labels stored for data bbb"):
        store.truth("b" * 64)


# Damage

DAMAGE = {
    "manifest.json": lambda run: run.manifest,
    "history.json": lambda run: run.history(),
    "predictions.parquet": lambda run: run.predictions(),
    "curve_test.parquet": lambda run: run.curve("test"),
}


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff\xfe", b'"text"', None], ids=repr)
@pytest.mark.parametrize("name", DAMAGE)
@pytest.mark.parametrize("sealed", [True, False])
def test_a_damaged_file_is_named_with_what_to_do(
    store: RunStore, name: str, content: bytes | None, sealed: bool
) -> None:
    store.commit(record())
    path = store.get(KEY).folder / name
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    if not sealed:
        unseal(store)
    with pytest.raises(StoreError, match="damaged") as caught:
        DAMAGE[name](store.get(KEY))
    assert name in str(caught.value)
    assert KEY in str(caught.value)
    assert "msa run SUITE" in str(caught.value.hint)
    assert bool(store.get(KEY).damage) == (sealed or not name.startswith("curve"))


def unseal(store: RunStore) -> None:
    """A run as it was stored before there were digests."""
    folder = store.get(KEY).folder
    (folder / "SHA256SUMS").unlink()
    manifest = folder / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"format": 2', b'"format": 1'))


def test_every_flipped_bit_of_a_sealed_run_is_found(store: RunStore) -> None:
    store.commit(record())
    rng = random.Random(0)
    for path in store.get(KEY).folder.iterdir():
        whole = path.read_bytes()
        for _ in range(20):
            content = bytearray(whole)
            content[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
            path.write_bytes(bytes(content))
            assert store.get(KEY).damage
        path.write_bytes(whole)
    assert not store.get(KEY).damage


def test_flipped_bytes_in_a_table_never_escape_as_another_error(store: RunStore) -> None:
    store.commit(record())
    unseal(store)
    path = store.get(KEY).folder / "predictions.parquet"
    whole, rng, refused = path.read_bytes(), random.Random(0), 0
    for _ in range(300):
        content = bytearray(whole)
        content[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(content))
        try:
            store.get(KEY).predictions()
        except StoreError:
            refused += 1
    assert refused > 50


def test_damaged_plans_failures_and_labels_are_store_errors(store: RunStore) -> None:
    store.fail(KEY, "reason")
    store.put_plan("demo", planned())
    store.put_truth(corpus())
    for path in store.root.rglob("*.*"):
        path.write_bytes(b"[")
    for read in (
        lambda: store.failure(KEY),
        lambda: store.plan("demo"),
        lambda: store.truth("a" * 64),
    ):
        with pytest.raises(StoreError, match="damaged"):
            read()


# A disk that refuses

WRITES = {
    "commit": lambda store: store.commit(record(OTHER)),
    "fail": lambda store: store.fail(OTHER, "reason"),
    "put_plan": lambda store: store.put_plan("other", planned()),
    "put_truth": lambda store: store.put_truth(corpus()),
}


STEPS = {
    "mkdtemp": files.tempfile,
    "mkstemp": files.tempfile,
    "fsync": os,
    "rename": Path,
    "replace": Path,
}
FOLDER_STEPS, FILE_STEPS = ("mkdtemp", "fsync", "rename"), ("mkstemp", "fsync", "replace")


@pytest.mark.parametrize(
    ("write", "step"),
    [(w, s) for w in WRITES for s in (FOLDER_STEPS if w == "commit" else FILE_STEPS)],
)
def test_a_full_disk_is_a_store_error_and_leaves_nothing(
    store: RunStore, monkeypatch: pytest.MonkeyPatch, write: str, step: str
) -> None:
    store.commit(record())
    before = everything(store.root)
    monkeypatch.setattr(STEPS[step], step, full)
    with pytest.raises(StoreError, match=r"could not be stored.*No space left") as caught:
        WRITES[write](store)
    monkeypatch.undo()
    assert "the same command continues" in str(caught.value.hint)
    assert everything(store.root) == before
    WRITES[write](store)
    assert everything(store.root).keys() > before.keys()


def test_a_disk_that_fills_up_while_tables_are_written(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pd.DataFrame, "to_parquet", full)
    with pytest.raises(StoreError, match=f"run {KEY} could not be stored: .*No space left"):
        store.commit(record())
    assert everything(store.root) == {}


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to read-only folders")
@pytest.mark.parametrize("write", WRITES)
def test_a_read_only_store_is_a_store_error(store: RunStore, write: str) -> None:
    store.root.mkdir()
    store.root.chmod(0o555)
    with pytest.raises(StoreError, match="Permission denied"):
        WRITES[write](store)


def test_a_store_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = RunStore(tmp_path / "file" / "store")
    with pytest.raises(StoreError, match="the run store cannot be written"), store.writing():
        pass


def test_a_full_disk_when_taking_the_store_is_a_store_error_and_frees_it(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(StoreError, match="No space left"), store.writing():
        pass
    monkeypatch.undo()
    with store.writing():
        pass


# One writer

HOLD = """
    import sys, time
    from pathlib import Path
    from harness.runs.store import RunStore

    with RunStore(Path(sys.argv[1])).writing():
        print("held", flush=True)
        time.sleep(60)
"""


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    root = str(Path(harness.__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        env={**os.environ, "PYTHONPATH": root},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_second_driver_is_refused_naming_the_first_until_that_is_gone(store: RunStore) -> None:
    holder = start(HOLD, str(store.root))
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(StoreError, match=rf"another driver \(process {holder.pid}\)") as caught,
            store.writing(),
        ):
            pass
        assert "--home" in str(caught.value.hint)
    finally:
        holder.kill()
        holder.communicate()
    with store.writing():  # a killed driver's lock dies with it
        assert (store.root / ".holder").read_text() == str(os.getpid())


def test_the_same_process_cannot_write_twice_at_once(store: RunStore) -> None:
    refused = pytest.raises(StoreError, match=f"process {os.getpid()}")
    with store.writing(), refused, RunStore(store.root).writing():
        pass
    with store.writing():
        pass


def test_an_error_inside_the_block_frees_the_store(store: RunStore) -> None:
    with pytest.raises(ZeroDivisionError), store.writing():
        raise ZeroDivisionError
    with store.writing():
        pass


def test_taking_the_store_sweeps_what_kills_left_and_keeps_the_rest(store: RunStore) -> None:
    store.commit(record())
    store.put_plan("demo", planned())
    kept = everything(store.root)
    (store.root / "runs" / "01" / ".new-x-1").mkdir()
    (store.root / "runs" / "01" / ".new-x-1" / "half").write_text("")
    (store.root / "plans" / ".new-demo.json-2").write_text("{")
    assert len(list(store)) == 1
    assert store.plans() == ["demo"]
    with store.writing():
        pass
    after = everything(store.root)
    assert {name: after[name] for name in kept} == kept
    assert after.keys() - kept.keys() <= {".lock", ".holder"}


KILLS = """
    import itertools, os, random, signal, sys, time
    from pathlib import Path
    from harness.runs.store import RunStore
    from harness.runs.tests.test_run_store import planned, record

    def commit_for_ever(first):
        with store.writing():
            for n in itertools.count(first):
                store.put_plan("demo", planned(cells=n % 1000))
                store.fail(f"{n:032x}", "killed before it was done")
                store.commit(record(f"{n:032x}"))

    store, rng, kills, litter = RunStore(Path(sys.argv[1])), random.Random(7), 0, 0
    while kills < 15 or ((litter < 3 or len(list(store)) < 5) and kills < 150):
        seen = [path.stem for path in store.root.glob("failures/*.json")]
        first = 1 + max((int(key, 16) for key in [*seen, *(run.key for run in store)]), default=0)
        child = os.fork()
        if child == 0:
            commit_for_ever(first)
        time.sleep(rng.uniform(0.005, 0.4))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        kills += 1
        litter += any(store.root.rglob(".new-*"))
    print(litter)
"""


def test_a_kill_at_any_moment_leaves_whole_runs_only(store: RunStore) -> None:
    driver = start(KILLS, str(store.root))
    output, _ = driver.communicate()
    assert driver.returncode == 0
    assert int(output) >= 3  # kills that came in the middle of a write
    with store.writing():
        pass
    assert not list(store.root.rglob(".new-*"))
    keys = {run.key for run in store}
    assert len(keys) >= 5
    for key in keys:
        check_whole(store, key)
    failed = {path.stem for path in store.root.glob("failures/*.json")}
    begun = {f"{n:032x}" for n in range(1, 1 + max(int(key, 16) for key in keys | failed))}
    assert keys | failed == begun
    assert all((store.failure(key) is None) == (key in keys) for key in begun)
    assert all(cell.label == "row" for cell in store.plan("demo").cells)


def check_whole(store: RunStore, key: str) -> None:
    run, wanted = store.get(key), record().predictions
    assert {path.name for path in run.folder.iterdir()} == {
        *("manifest.json", "history.json", "predictions.parquet"),
        *("curve_valid.parquet", "curve_test.parquet", "SHA256SUMS"),
    }
    assert not run.damage
    assert run.manifest.more["key"] == key
    assert len(run.history()) == 2
    for split in ("valid", "test"):
        rows = wanted[wanted["split"] == split]
        np.testing.assert_array_equal(run.predictions(split), rows["pred"])
        curve = run.curve(split)
        assert curve is not None
        assert curve.shape == (2, 4)
