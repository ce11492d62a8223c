"""Stored runs as data frames."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_absolute_error

import harness
import leaderboards
from harness.errors import SpecError, StoreError
from harness.home import Home
from harness.runs.store import RunStore
from harness.tests.stores import SEEDS, Constant, Failed, Off, Row, make_corpus, make_store

ROWS = (
    Row(label="wide", cells={seed: Off(1.2) for seed in SEEDS}, changed={"hidden": 32}),
    Row(label="TFN", cells={1111: Off(0.9), 1112: Failed("loss became nan")}),
    Row(label="train_mean", cells={0: Constant()}, epochs=0, deterministic=True, params={}),
)
RUNS = len(SEEDS) + 1 + 1


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    home = Home(tmp_path_factory.mktemp("home"))
    corpora = [make_corpus(name) for name in ("mosi@unaligned-50", "sims-twin@compact")]
    make_store(home.store, ROWS, corpora)
    make_store(home.store, ROWS[1:], corpora[:1], suite="zpart")
    return home


def test_every_stored_run_has_a_line(home: Home) -> None:
    table = harness.run_table(home=home)
    assert set(table.index) == set(RunStore(home.store).keys())
    assert len(harness.run_table("small", home=home)) == 2 * RUNS
    assert len(harness.run_table("zpart", home=home)) == 2
    one = table[(table["row"] == "wide") & (table["seed"] == SEEDS[0])].iloc[0]
    stored = RunStore(home.store).get(one.name).manifest
    assert one["hp.hidden"] == stored.spec.params["hidden"]
    assert (one["epochs"], one["parameters"]) == (stored.result.epochs, stored.result.parameters)


def test_scores_are_those_of_the_board(home: Home) -> None:
    table = harness.score_table("small", home=home)
    checked = 0
    for record in leaderboards.as_records(RunStore(home.store), "small"):
        for place, key in enumerate(record["runs"]):
            for metric, found in record["metrics"].items():
                value = found["values"][place]
                expected = np.nan if value is None else value
                np.testing.assert_equal(table.loc[key, metric], expected)
                checked += 1
    assert checked > 100


def test_predictions_stand_beside_their_labels(home: Home) -> None:
    table = harness.prediction_table("small", home=home)
    scores = harness.score_table("small", home=home)
    for key, part in table[table["corpus"] == "mosi@unaligned-50"].groupby("key"):
        assert mean_absolute_error(part["label"], part["pred"]) == pytest.approx(
            scores.loc[key, "mae"], rel=1e-12
        )
    assert table.groupby("key").size().eq(24).all()
    assert list(table.columns[:9]) == [
        *("corpus", "row", "system", "seed", "key", "id", "video", "label", "pred")
    ]
    valid = harness.prediction_table("small", split="valid", home=home)
    assert valid.groupby("key").size().eq(6).all()


def test_another_split_and_another_suite_are_refused(home: Home) -> None:
    for read in (harness.score_table, harness.prediction_table):
        with pytest.raises(SpecError, match="split is valid or test; found 'train'"):
            read(split="train", home=home)
    with pytest.raises(StoreError, match="has not been run here"):
        harness.run_table("other", home=home)


def test_an_empty_store_is_an_empty_frame(tmp_path) -> None:
    for read in (harness.run_table, harness.score_table, harness.prediction_table):
        found = read(home=Home(tmp_path))
        assert isinstance(found, pd.DataFrame)
        assert found.empty
