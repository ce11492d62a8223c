"""What a run computes on is what was checked: damaged inputs store nothing, healed ones do."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from harness.home import Home
from harness.runs.driver import carry_out
from harness.runs.executors import Done
from harness.runs.executors.guard import answer, measured
from harness.runs.plan import find_suite, make_plan
from harness.runs.store import RunStore
from harness.text.synthetic import TWIN_ENCODER

CORPUS = "mosi-twin@compact-x5"
SUITE = f"""
corpora = ["{CORPUS}"]
seeds = 1
[[systems]]
name = "feature_ridge"
[[systems]]
name = "sentence_ridge"
params = {{ encoder = "{TWIN_ENCODER}" }}
"""


class Here:
    """An executor in this process."""

    def run(self, jobs):
        for job in jobs:
            record, failure = answer(lambda job=job: measured(job))
            yield Done(job=job, record=record, failure=failure)


@pytest.fixture
def suite(home: Home) -> str:
    (home.suites / "small.toml").write_text(SUITE)
    return "small"


def run(home: Home, suite: str, store: RunStore):
    return carry_out(make_plan(find_suite(suite, home), home), store, Here())


def predictions(store: RunStore) -> dict[str, list[float]]:
    return {run.key: run.table()["pred"].tolist() for run in store}


def flip(path: Path, seed: int) -> bytes:
    """Change one byte, towards the end of the file, where values are; returns what was there."""
    whole = path.read_bytes()
    content, draw = bytearray(whole), random.Random(seed)
    content[draw.randrange(len(content) // 2, len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)
    return whole


@pytest.mark.parametrize("file", ["text.npy", "audio.npy", "audio_lengths.npy", "clips.parquet"])
def test_a_corpus_damaged_after_planning_stores_nothing(home, suite, file) -> None:
    clean = RunStore(home.root / "clean")
    cells = run(home, suite, clean).done
    store, path = RunStore(home.store), home.corpora / CORPUS / file
    plan = make_plan(find_suite(suite, home), home)
    whole = flip(path, 1)
    report = carry_out(plan, store, Here())
    assert report.done == 0
    reasons = {store.failure(key) for key in predictions(clean)}
    assert all(f"damaged: {file} is not what was written" in str(text) for text in reasons)
    path.write_bytes(whole)
    assert carry_out(plan, store, Here()).done == cells > 1
    assert predictions(store) == predictions(clean)


def test_a_damaged_corpus_is_one_line_and_nothing_runs(home: Home, suite: str, msa) -> None:
    run(home, suite, RunStore(home.root / "elsewhere"))
    flip(home.corpora / CORPUS / "vision.npy", 2)
    code, _, errors = msa("run", suite)
    assert code == 2
    assert f"corpus '{CORPUS}' is damaged: vision.npy is not what was written" in errors
    assert "delete its folder and it is made again" in errors
    assert not list(RunStore(home.store))


@pytest.mark.parametrize("seed", range(4))
def test_damaged_vectors_of_sentences_change_no_prediction(home, suite, seed, caplog) -> None:
    clean, store = RunStore(home.root / "clean"), RunStore(home.store)
    cells = run(home, suite, clean).done
    caches = sorted((home.cache / "sentence_vectors").iterdir())
    assert caches
    for path in caches:
        flip(path, seed)
    assert run(home, suite, store).done == cells > 1
    assert predictions(store) == predictions(clean)
    assert sum("damaged and made again" in text for text in caplog.messages) == len(caches)
