"""The MLflow export: what arrives, what is left out, and that doing it again changes nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import math
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import filelock
import numpy as np
import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

import harness
import leaderboards
from harness.data.datasets import datasets
from harness.errors import SpecError, StoreError
from harness.home import Home
from harness.runs.driver import carry_out
from harness.runs.plan import find_suite, make_plan
from harness.runs.store import RunStore
from harness.runs.tests.test_verify import Here
from harness.testing import small_corpus
from harness.tests.browser import a_browser
from harness.tests.stores import (
    SEEDS,
    Constant,
    Failed,
    Off,
    Row,
    make_corpus,
    make_record,
    make_spec,
    make_store,
)
from harness.tracking import export as tracking
from harness.tracking.projection import Projection

ROWS = (
    Row(label="TFN | wide", cells={s: Off(1.2) for s in SEEDS}, changed={"hidden": 32}),
    Row(label="TFN", cells={1111: Off(0.9), 1112: Failed("loss became nan")}),
    Row(label="train_mean", cells={0: Constant()}, epochs=0, deterministic=True, params={}),
)
CORPORA = ("mosi@unaligned-50", "sims-twin@compact")
KEEPS_WEIGHTS = """
corpora = ["mosi@small"]
seeds = 2
protocol = { name = "in_domain", max_epochs = 1 }
[[systems]]
name = "lf_dnn"
"""


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory) -> Path:
    """A database with tables and nothing in them: MLflow takes seconds to make one."""
    folder = tmp_path_factory.mktemp("empty")
    tracking.export(RunStore(folder / "store"), f"sqlite:///{folder}/mlflow.db")
    return folder / "mlflow.db"


@pytest.fixture
def database(empty_database: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(empty_database, tmp_path / "mlflow.db"))


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return make_store(tmp_path / "store", ROWS, [make_corpus(name) for name in CORPORA])


def uri_of(database: Path) -> str:
    return f"sqlite:///{database}"


def runs_at(uri: str, corpus: str) -> list:
    """Every run of the corpus's experiment."""
    from mlflow import MlflowClient

    client = MlflowClient(uri, uri)
    experiment = client.get_experiment_by_name(corpus)
    return list(client.search_runs([experiment.experiment_id], max_results=1000))


def children_at(uri: str, corpus: str) -> dict[str, object]:
    return {r.data.tags["run_key"]: r for r in runs_at(uri, corpus) if "run_key" in r.data.tags}


def agrees_with_the_board(store: RunStore, uri: str) -> None:
    """Each defined score of each run is the board's, to the last bit; nothing else is there."""
    records = leaderboards.as_records(store, "small")
    assert records
    for record in records:
        children = children_at(uri, record["corpus"])
        for place, key in enumerate(record["runs"]):
            run = children[key]
            told = {n: v for n, v in run.data.metrics.items() if n.startswith("test/")}
            values = {n: m["values"][place] for n, m in record["metrics"].items()}
            assert told == {f"test/{n}": v for n, v in values.items() if v is not None}
            undefined = run.data.tags.get("undefined", "").split(", ")
            assert {n for n in undefined if n.startswith("test/")} == {
                f"test/{n}" for n, v in values.items() if v is None
            }


def test_exporting_twice_adds_nothing(store, database) -> None:
    first = tracking.export(store, uri_of(database))
    assert (first.created, first.present) == (10, 0)
    before = [runs_at(uri_of(database), corpus) for corpus in CORPORA]
    second = tracking.export(store, uri_of(database))
    assert (second.created, second.present) == (0, 10)
    after = [runs_at(uri_of(database), corpus) for corpus in CORPORA]
    assert [[r.to_dictionary() for r in runs] for runs in after] == [
        [r.to_dictionary() for r in runs] for runs in before
    ]


def test_scores_are_the_boards_to_the_last_bit(store, database) -> None:
    tracking.export(store, uri_of(database))
    agrees_with_the_board(store, uri_of(database))


def test_undefined_values_are_left_out_and_named(store, database) -> None:
    tracking.export(store, uri_of(database))
    constant = next(
        run
        for run in children_at(uri_of(database), CORPORA[0]).values()
        if run.data.tags["mlflow.runName"] == "train_mean, seed 0"
    )
    assert "test/corr" in constant.data.tags["undefined"].split(", ")
    assert not {"test/corr", "valid/corr", "result/selected_epoch"} & set(constant.data.metrics)
    with sqlite3.connect(database) as rows:
        found = rows.execute("SELECT value, is_nan FROM metrics").fetchall()
    assert found
    assert not any(is_nan or not math.isfinite(v) or abs(v) > 1e300 for v, is_nan in found)


def test_seeds_are_children_of_their_row(store, database) -> None:
    tracking.export(store, uri_of(database))
    runs = runs_at(uri_of(database), CORPORA[0])
    rows = {r.info.run_id: r for r in runs if "run_key" not in r.data.tags}
    assert sorted(r.info.run_name for r in rows.values()) == ["TFN", "TFN | wide", "train_mean"]
    for run in runs:
        assert run.info.status == "FINISHED"
        if "run_key" in run.data.tags:
            parent = rows[run.data.tags["mlflow.parentRunId"]]
            assert run.info.run_name == f"{parent.info.run_name}, seed {run.data.params['seed']}"
            assert run.data.tags["system"] == parent.data.tags["system"]


def test_parameters_curves_and_costs_arrive(store, database) -> None:
    from mlflow import MlflowClient

    tracking.export(store, uri_of(database))
    run = next(
        r
        for r in children_at(uri_of(database), CORPORA[0]).values()
        if r.info.run_name == "TFN | wide, seed 1112"
    )
    stored = store.get(run.data.tags["run_key"]).manifest.json()["spec"]
    assert {n: run.data.params[n] for n in ("hp.hidden", "hp.lr", "seed", "corpus")} == {
        "hp.hidden": "32",
        "hp.lr": "0.001",
        "seed": "1112",
        "corpus": CORPORA[0],
    }
    assert run.data.params["protocol"] == stored["protocol_digest"]
    assert run.data.metrics["result/selected_epoch"] == 3
    assert run.data.metrics["cost/fit_seconds"] == pytest.approx(1.5 + 1112 % 3)
    assert run.info.end_time - run.info.start_time == pytest.approx(
        1000 * (run.data.metrics["cost/fit_seconds"] + run.data.metrics["cost/predict_seconds"]),
        abs=1,
    )
    history = MlflowClient(uri_of(database)).get_metric_history(run.info.run_id, "epoch/valid_mae")
    assert [(point.step, point.value) for point in history] == [(2, 1.0), (3, 2 / 3)]


def test_a_twins_experiment_says_so(store, database) -> None:
    from mlflow import MlflowClient

    tracking.export(store, uri_of(database))
    client = MlflowClient(uri_of(database))
    notes = [client.get_experiment_by_name(c).tags.get("mlflow.note.content") for c in CORPORA]
    assert notes[0] is None
    assert notes[1].startswith("SYNTHETIC TWIN")


def test_a_killed_export_is_finished_by_the_next(store, database, monkeypatch) -> None:
    fill, filled = Projection._fill, []

    def killed(self, run_id, item) -> None:
        if len(filled) == 2:
            raise KeyboardInterrupt
        filled.append(run_id)
        fill(self, run_id, item)

    monkeypatch.setattr(Projection, "_fill", killed)
    with pytest.raises(KeyboardInterrupt):
        tracking.export(store, uri_of(database))
    monkeypatch.undo()
    report = tracking.export(store, uri_of(database))
    assert (report.created, report.present) == (8, 2)
    runs = [run for corpus in CORPORA for run in runs_at(uri_of(database), corpus)]
    assert len(runs) == 10 + 6
    assert {run.info.status for run in runs} == {"FINISHED"}
    has_means_of_all_seeds(runs)
    agrees_with_the_board(store, uri_of(database))


KILLED = """
import os, sys
from pathlib import Path
from harness.tracking import export as tracking
from harness.tracking.projection import Projection
from harness.runs.store import RunStore
fill, filled = Projection._fill, []
def once(self, run_id, item):
    if filled:
        os._exit(9)
    filled.append(run_id)
    fill(self, run_id, item)
Projection._fill = once
tracking.export(RunStore(Path(sys.argv[1])), sys.argv[2])
"""


def has_means_of_all_seeds(runs) -> None:
    """Each row's mean is of every child that it has now."""
    rows = [run for run in runs if "run_key" not in run.data.tags]
    for row in rows:
        seeds = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == row.info.run_id]
        mean = np.mean([run.data.metrics["test/mae"] for run in seeds])
        assert row.data.metrics["seeds"] == len(seeds) > 0
        assert row.data.metrics["test/mae"] == pytest.approx(mean, rel=1e-12)


def test_means_that_a_killed_export_did_not_write_are_written_by_the_next(
    store, database, monkeypatch
) -> None:
    def killed(self, row) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Projection, "_summarise", killed)
    with pytest.raises(KeyboardInterrupt):
        tracking.export(store, uri_of(database), files=False)
    monkeypatch.undo()
    tracking.export(store, uri_of(database), files=False)
    assert tracking.export(store, uri_of(database), files=False).created == 0
    for corpus in CORPORA:
        has_means_of_all_seeds(runs_at(uri_of(database), corpus))


def test_a_row_that_somebody_deleted_is_in_nobodys_way(store, database) -> None:
    from mlflow import MlflowClient

    tracking.export(store, uri_of(database), files=False)
    client = MlflowClient(uri_of(database))
    rows = [r for r in runs_at(uri_of(database), CORPORA[0]) if "run_key" not in r.data.tags]
    client.delete_run(next(r for r in rows if r.info.run_name == "TFN").info.run_id)
    assert tracking.export(store, uri_of(database), files=False).created == 0


def test_a_transfer_between_twins_is_exported_too(tmp_path, database) -> None:
    name = "mosi-twin-to-sims-twin@compact"
    corpus = dataclasses.replace(
        make_corpus("sims-twin@compact"), name=name, dataset=datasets["mosi-to-sims"]
    )
    store = make_store(tmp_path / "store", ROWS[1:2], [corpus])
    report = tracking.export(store, uri_of(database), files=False)
    assert (report.created, report.left_out) == (1, {})
    assert harness.score_table("small", home=Home(tmp_path))["mae"].notna().all()


def test_a_process_killed_while_exporting_loses_nothing_written(store, database) -> None:
    command = [sys.executable, "-c", KILLED, str(store.root), uri_of(database)]
    assert subprocess.run(command, check=False).returncode == 9
    report = tracking.export(store, uri_of(database))
    assert (report.created, report.present) == (9, 1)
    agrees_with_the_board(store, uri_of(database))


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_the_journal_is_afterwards_what_it_was(store, database, mode) -> None:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
    tracking.export(store, uri_of(database))
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == (mode,)
    agrees_with_the_board(store, uri_of(database))


def test_commits_do_not_wait_for_the_disk(store, database, monkeypatch) -> None:
    create, seen = Projection._create_row, []

    def spied(self, experiment, item) -> str:
        with contextlib.closing(sqlite3.connect(database)) as connection:
            seen.append(connection.execute("PRAGMA journal_mode").fetchone()[0])
        return create(self, experiment, item)

    monkeypatch.setattr(Projection, "_create_row", spied)
    tracking.export(store, uri_of(database))
    assert set(seen) == {"wal"}


def test_somebody_reading_the_database_is_not_in_the_way(store, database) -> None:
    with contextlib.closing(sqlite3.connect(database)) as reader:
        assert reader.execute("SELECT count(*) FROM metrics").fetchone() == (0,)
        tracking.export(store, uri_of(database))
        assert reader.execute("SELECT count(*) FROM metrics").fetchone() > (0,)
    tracking.export(store, uri_of(database))  # nobody reads now: one file again
    left = sorted(path.name for path in database.parent.glob("mlflow.db*"))
    assert left == ["mlflow.db", "mlflow.db.lock"]


@pytest.mark.parametrize("lacking", ["spec", "cost", "result", "encoder", "provenance"])
def test_a_manifest_that_lacks_a_field_is_a_damaged_run(store, database, lacking) -> None:
    run = next(iter(store))
    manifest = {name: value for name, value in run.manifest.json().items() if name != lacking}
    manifest["format"] = 1
    (run.folder / "manifest.json").write_text(json.dumps(manifest))
    (run.folder / "SHA256SUMS").unlink()  # as runs were before they had digests
    with pytest.raises(StoreError, match=f"in {run.key}: {lacking} should be there") as caught:
        tracking.export(store, uri_of(database))
    assert "runs it again" in (caught.value.hint or "")


def test_rows_have_the_means_of_their_seeds(store, database) -> None:
    tracking.export(store, uri_of(database))
    runs = runs_at(uri_of(database), CORPORA[0])
    row = next(r for r in runs if r.info.run_name == "TFN | wide")
    seeds = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == row.info.run_id]
    assert row.data.metrics["seeds"] == len(seeds) == len(SEEDS)
    for name in ("test/mae", "test/corr", "valid/mae", "cost/fit_seconds", "result/epochs"):
        values = [run.data.metrics[name] for run in seeds]
        assert row.data.metrics[name] == pytest.approx(np.mean(values), rel=1e-12)
        assert row.data.metrics[f"sd/{name}"] == pytest.approx(np.std(values, ddof=1), abs=1e-12)
    assert row.data.params.items() >= {("hp.hidden", "32"), ("corpus", CORPORA[0])}
    assert "seed" not in row.data.params
    assert not any(name.startswith("epoch/") for name in row.data.metrics)
    record = next(
        r
        for r in leaderboards.as_records(store, "small")
        if (r["corpus"], r["row"]) == (CORPORA[0], "TFN | wide")
    )
    for name in ("mae", "acc7", "corr"):
        shown = record["metrics"][name]
        assert row.data.metrics[f"test/{name}"] == pytest.approx(shown["mean"], rel=1e-12)
        assert row.data.metrics[f"sd/test/{name}"] == pytest.approx(shown["sd"], abs=1e-12)


def test_a_row_has_no_mean_of_what_a_seed_has_not(store, database) -> None:
    tracking.export(store, uri_of(database))
    runs = runs_at(uri_of(database), CORPORA[0])
    row = next(r for r in runs if r.info.run_name == "train_mean")
    assert "test/corr" not in row.data.metrics
    assert "test/corr" in row.data.tags["undefined"].split(", ")
    assert row.data.metrics["seeds"] == 1
    assert "sd/test/mae" not in row.data.metrics


def test_rows_and_runs_say_where_they_come_from(store, database) -> None:
    tracking.export(store, uri_of(database))
    for run in runs_at(uri_of(database), CORPORA[0]):
        expected = {
            "suite": "small",
            "mlflow.source.name": "msa run small",
            "corpus": CORPORA[0],
            "selection": "valid mae",
            "badge": "replayed",
        }
        assert run.data.tags.items() >= expected.items()
        assert run.data.params["protocol.max_epochs"] == "100"
        assert run.data.params["protocol"] == run.data.tags["protocol"]
        (given,) = run.inputs.dataset_inputs
        stored = store.plan("small").corpora[0]
        assert given.dataset.name == CORPORA[0]
        assert stored.data.startswith(given.dataset.digest)
        assert json.loads(given.dataset.profile) == {
            split: stored.clips[split] for split in ("valid", "test")
        }


def test_the_experiment_opens_as_one_of_models(store, database) -> None:
    from mlflow import MlflowClient

    MlflowClient(uri_of(database)).create_experiment(CORPORA[0])  # as an earlier export made it
    tracking.export(store, uri_of(database))
    for corpus in CORPORA:
        tags = MlflowClient(uri_of(database)).get_experiment_by_name(corpus).tags
        assert tags["mlflow.experimentKind"] == "custom_model_development"


def test_files_of_runs_are_artifacts_below_the_root(tmp_path, store, database) -> None:
    from mlflow import MlflowClient

    report = tracking.export(store, uri_of(database), artifacts=tmp_path / "root")
    assert report.artifacts == tmp_path / "root"
    client = MlflowClient(uri_of(database))
    for key, run in children_at(uri_of(database), CORPORA[0]).items():
        names = {file.path for file in client.list_artifacts(run.info.run_id, "run")}
        assert names == {f"run/{name}" for name in store.get(key).sums}
        there = Path(url2pathname(urlsplit(run.info.artifact_uri).path)) / "run"
        assert there.is_relative_to(tmp_path / "root")
        assert (there / "predictions.parquet").read_bytes() == (
            store.folder(key) / "predictions.parquet"
        ).read_bytes()


def test_what_an_earlier_version_exported_is_completed_once(store, database) -> None:
    from mlflow import MlflowClient

    tracking.export(store, uri_of(database), files=False)
    client = MlflowClient(uri_of(database))
    for run in children_at(uri_of(database), CORPORA[0]).values():
        client.delete_tag(run.info.run_id, "form")
    count = len(runs_at(uri_of(database), CORPORA[0]))
    assert tracking.export(store, uri_of(database)).created == 5
    assert tracking.export(store, uri_of(database)).created == 0
    assert len(runs_at(uri_of(database), CORPORA[0])) == count
    agrees_with_the_board(store, uri_of(database))


def test_a_board_is_attached_and_replaced_when_it_changes(tmp_path, store, database) -> None:
    from mlflow import MlflowClient

    board = leaderboards.write(store, "small", tmp_path / "small.md")
    files = [*leaderboards.files_of(board), store.plan_file("small")]
    for content, expected in (("", 1), ("", 0), ("More.\n", 1)):
        board.write_text(board.read_text() + content)
        report = tracking.export(store, uri_of(database), boards={"small": files})
        assert report.boards == expected
    (run,) = runs_at(uri_of(database), "boards")
    client = MlflowClient(uri_of(database))
    listed = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert listed == {"small.md", "small.html", "small.cost.md", "config"}
    kept = Path(client.download_artifacts(run.info.run_id, "small.md"))
    assert kept.read_text().endswith("More.\n")


def test_kept_weights_become_versions_of_a_model(home, database) -> None:
    from mlflow import MlflowClient

    home.suites.mkdir(parents=True, exist_ok=True)
    small_corpus(home.corpora)
    (home.suites / "kept.toml").write_text(KEEPS_WEIGHTS)
    store = RunStore(home.store)
    carry_out(make_plan(find_suite("kept", home), home), store, Here())
    for expected in (2, 0):
        report = tracking.export(store, uri_of(database), weights=True)
        assert report.registered == expected
    client = MlflowClient(uri_of(database), uri_of(database))
    (model,) = client.search_registered_models()
    assert model.name == "lf_dnn.mosi@small"
    versions = client.search_model_versions(f"name='{model.name}'")
    assert {version.tags["seed"] for version in versions} == {"1111", "1112"}
    for version in versions:
        run = store.get(version.tags["run_key"])
        folder = Path(client.download_artifacts(version.run_id, "weights"))
        assert sorted(file.name for file in folder.iterdir()) == [
            "README.md",
            "config.json",
            "model.safetensors",
        ]
        found = harness.predict(folder, "mosi@small", split="test", home=home)
        assert np.array_equal(found.table["pred"], run.predictions("test"))


def test_later_seeds_join_their_row(store, database) -> None:
    tracking.export(store, uri_of(database))
    corpus, row = make_corpus(CORPORA[0]), ROWS[1]
    store.commit(make_record(corpus, row, make_spec(corpus, row, 1112), Off(0.9)))
    assert tracking.export(store, uri_of(database)).created == 1
    runs = runs_at(uri_of(database), CORPORA[0])
    rows = [run for run in runs if "run_key" not in run.data.tags]
    assert len(rows) == len(ROWS)
    assert {r.info.run_name: r.data.metrics["seeds"] for r in rows}["TFN"] == 2
    agrees_with_the_board(store, uri_of(database))


def test_suites_narrow_the_export(store, database) -> None:
    make_store(store.root, ROWS[1:2], [make_corpus(CORPORA[0])], suite="part")
    assert tracking.export(store, uri_of(database), suites=["part"]).created == 1
    with pytest.raises(StoreError, match="has not been run here"):
        tracking.export(store, uri_of(database), suites=["other"])


def test_a_parameter_too_long_for_mlflow_is_cut_and_named(tmp_path, database) -> None:
    rows = [Row(label="long", cells={1111: Off(1.0)}, params={"prompt": "x" * 7000, "lr": 0.1})]
    tracking.export(make_store(tmp_path / "store", rows), uri_of(database))
    (run,) = children_at(uri_of(database), CORPORA[0]).values()
    assert run.data.params["hp.prompt"] == "x" * 6000
    assert run.data.tags["truncated"] == "hp.prompt"


def test_nothing_is_printed_left_behind_or_changed_outside(
    tmp_path, store, monkeypatch, capfd
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    before = dict(os.environ)
    tracking.export(store, "sqlite:///sub/mlflow.db", files=False)  # relative, and not there yet
    assert dict(os.environ) == before
    assert capfd.readouterr() == ("", "")
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {"sub/mlflow.db", "sub/mlflow.db.lock"}
    agrees_with_the_board(store, f"sqlite:///{folder}/sub/mlflow.db")


@pytest.mark.parametrize("uri", ["mlruns", "file:///tmp/mlruns", "sqlite:///", "ftp://u:pass@h/x"])
def test_other_kinds_of_uri_are_refused_without_showing_passwords(store, uri) -> None:
    with pytest.raises(SpecError, match="cannot export to") as caught:
        tracking.export(store, uri)
    assert "pass" not in str(caught.value)


def test_a_file_that_is_no_database_is_refused_at_once(tmp_path, store) -> None:
    (tmp_path / "notes.db").write_text("nothing of the kind " * 100)
    began = time.perf_counter()
    with pytest.raises(StoreError, match=r"notes\.db cannot be used as a database"):
        tracking.export(store, uri_of(tmp_path / "notes.db"))
    assert time.perf_counter() - began < 30


def test_two_exports_at_once_are_refused(store, database) -> None:
    with (
        filelock.FileLock(f"{database}.lock"),
        pytest.raises(StoreError, match="another export"),
    ):
        tracking.export(store, uri_of(database))


def test_an_unreachable_server_is_an_error_within_seconds(store) -> None:
    began = time.perf_counter()
    with pytest.raises(StoreError, match=r"127\.0\.0\.1") as caught:
        tracking.export(store, f"http://user:secret@127.0.0.1:{free_port()}")
    assert time.perf_counter() - began < 30
    assert "server" in (caught.value.hint or "")
    assert "secret" not in str(caught.value)


def test_mlflow_is_imported_only_to_export() -> None:
    code = "import sys, harness.tracking.export; print({'mlflow', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def server(database: Path, tmp_path: Path) -> Iterator[str]:
    """A real tracking server over the empty database, in as few processes as it can do with."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri_of(database)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    log = (tmp_path / "server.log").open("wb")
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=os.environ | quiet,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        wait_until_healthy(f"http://127.0.0.1:{port}", process, tmp_path / "server.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)
        log.close()


def wait_until_healthy(address: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.3)
    pytest.fail(f"the server did not start: {log.read_text()[-2000:]}")


@pytest.mark.slow
def test_a_server_gets_the_same(store, server, capfd) -> None:
    capfd.readouterr()
    assert tracking.export(store, server).created == 10
    assert tracking.export(store, server).created == 0
    assert capfd.readouterr() == ("", "")
    agrees_with_the_board(store, server)


@pytest.mark.slow
@pytest.mark.browser
def test_the_run_table_shows_rows_with_their_means(tmp_path, store, database, server) -> None:
    tracking.export(store, uri_of(database))
    runs = runs_at(uri_of(database), CORPORA[0])
    row = next(r for r in runs if r.info.run_name == "TFN | wide")
    runs_page = f"{server}/#/experiments/{row.info.experiment_id}/runs"
    pages = {
        f"{runs_page}?workflowType=machine_learning": ("TFN | wide", "train_mean", CORPORA[0]),
        f"{runs_page}/{row.info.run_id}": ("hp.hidden", "sd/test/mae", "msa run small"),
    }
    with a_browser() as browser:
        browser.set_window_size(2200, 1200)
        for number, (address, expected) in enumerate(pages.items()):
            browser.get(address)
            shown = functools.partial(_shows, words=expected)
            try:
                WebDriverWait(browser, 90, ignored_exceptions=[WebDriverException]).until(shown)
            finally:
                browser.save_screenshot(str(tmp_path / f"{number}.png"))


def _shows(browser: webdriver.Chrome, words: tuple[str, ...]) -> bool:
    text = browser.find_element(By.TAG_NAME, "body").text
    return all(word in text for word in words)
