"""``msa study selection`` as a user runs it: two small networks, three seeds, two protocols."""

from __future__ import annotations

import json
import tomllib

import numpy as np
import pytest

import leaderboards
from harness.home import Home
from harness.metrics import score
from harness.runs.cell import execute
from harness.runs.labels import predictions_of, stored_labels
from harness.runs.plan import make_plan
from harness.runs.store import RunStore
from harness.spec import Suite
from leaderboards.model import gather

SUITE = """
title = "Choices"
corpora = ["mosi-twin@compact-x5"]
seeds = 3
protocol = { name = "NAME", max_epochs = 4 }
[[systems]]
name = "lf_dnn"
params = { text_hidden = 8, audio_hidden = 4, vision_hidden = 8, text_out = 4, lr = 3e-3 }
[[systems]]
name = "tfr_net"
label = "another rate"
params = { RATE encoder = "tiny-twin", max_tokens = 12, hidden = 8, heads = 2, layers = 1 }
[[systems]]
name = "ef_lstm"
params = { hidden = 8, layers = 1, lr = 3e-3 }
[[systems]]
name = "feature_ridge"
"""
OWN, RELEASED = "own", "as_released_twin"


def run(home: Home, name: str, protocol: str, rate: str) -> None:
    text = SUITE.replace("NAME", protocol).replace("RATE", rate)
    suite = Suite.parse(tomllib.loads(text), name=name, where=f"{name}.toml")
    plan, store = make_plan(suite, home), RunStore(home.store)
    with store.writing():
        store.put_plan(suite.name, plan.record())
        for corpus in plan.corpora:
            store.put_truth(corpus)
        for job in plan.jobs.values():
            if job.spec.key not in store and job.spec.system != "tfr_net":
                store.commit(execute(job))


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Home:
    """A home in which both suites were run, but for one row."""
    home = Home(tmp_path_factory.mktemp("home"))
    run(home, OWN, "in_domain", "")
    run(home, RELEASED, "as_released", "")
    return home


@pytest.fixture(autouse=True)
def there(ran, msa, monkeypatch):
    monkeypatch.setenv("MSA_HOME", str(ran.root))


def facts(msa, *options):
    code, text, error = msa("study", "selection", OWN, RELEASED, "--json", *options)
    assert code == 0, error
    (corpus,) = json.loads(text)["corpora"]
    return {row["row"]: row for row in corpus["rows"]}


def scores(home: Home, suite: str, label: str, metric: str) -> np.ndarray:
    """Of the seeds, from stored predictions and labels alone."""
    store = RunStore(home.store)
    plan = store.plan(suite)
    (corpus,) = plan.corpora
    truth = stored_labels(store, corpus.data, "mosi")
    keys = {cell.seed: cell.key for cell in plan.cells if cell.label == label}
    pred = {seed: predictions_of(store.get(key), truth) for seed, key in keys.items()}
    return np.array([score(pred[s], truth.labels, "mosi")[metric] for s in sorted(pred)])


@pytest.mark.parametrize("label", ["lf_dnn", "ef_lstm"])
@pytest.mark.parametrize("metric", ["mae", "acc2_non0", "corr"])
def test_the_difference_is_the_mean_over_seeds_in_pairs(ran, msa, label, metric):
    row = facts(msa)[label]
    ours, theirs = scores(ran, OWN, label, metric), scores(ran, RELEASED, label, metric)
    found = row["metrics"][metric]
    assert found["protocol"] == pytest.approx(ours.mean())
    assert found["released"] == pytest.approx(theirs.mean())
    assert found["difference"] == pytest.approx((theirs - ours).mean(), abs=1e-12)
    assert found["low"] <= found["difference"] <= found["high"]
    assert found["p_value"] <= found["p_adjusted"] <= 1
    assert len(row["epochs"]) == 3


def test_epochs_are_those_of_the_runs(ran, msa):
    store = RunStore(ran.store)
    for label, row in facts(msa).items():
        for suite, name in ((OWN, "protocol"), (RELEASED, "released")):
            runs = {
                cell.seed: store.get(cell.key).manifest.result
                for cell in store.plan(suite).cells
                if cell.label == label and cell.key and cell.key in store
            }
            for pair in row["epochs"]:
                found = runs[pair["seed"]]
                assert pair[name] == found.selected_epoch
                assert pair[f"{name}_epochs"] == found.epochs


def test_what_cannot_be_compared_says_why(msa):
    rows = facts(msa)
    assert rows["another rate"]["left_out"] == "no seed was run under both"
    assert rows["feature_ridge"]["left_out"].startswith("no released rule of selection")
    assert "train_mean" not in rows


def test_tables_and_the_page_have_rule_epochs_and_interval(msa, tmp_path):
    page = tmp_path / "selection.md"
    code, text, _ = msa("study", "selection", RELEASED, OWN, "--row", "lf_dnn", "--out", page)
    assert code == 0
    assert "epoch, released" in text
    assert "ef_lstm" not in text
    written = page.read_text("utf-8")
    assert "SYNTHETIC TWIN" in written
    assert "L1 loss, mean of batch means, 4 decimals, earliest on ties, patience 8" in written
    assert "95 % interval" in written


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((OWN, OWN), "neither of 'own' and 'own' does"),
        ((RELEASED, RELEASED), "both of"),
        ((OWN, RELEASED, "--row", "tfn"), "share no row 'tfn'"),
        ((OWN, RELEASED, "--metric", "no"), "'no'"),
    ],
)
def test_what_is_no_pair_of_suites_is_refused(msa, arguments, said):
    code, _, error = msa("study", "selection", *arguments)
    assert code == 2
    assert said in error


def test_other_hyper_parameters_are_no_pair(ran, msa, tmp_path, monkeypatch):
    home = Home(tmp_path)
    run(home, OWN, "in_domain", "")
    text = SUITE.replace("NAME", "as_released").replace("RATE", "").replace("3e-3", "2e-3")
    suite = Suite.parse(tomllib.loads(text), name=RELEASED, where="x.toml")
    plan, store = make_plan(suite, home), RunStore(home.store)
    with store.writing():
        store.put_plan(suite.name, plan.record())
        job = next(j for j in plan.jobs.values() if j.spec.system == "ef_lstm")
        store.commit(execute(job))
    monkeypatch.setenv("MSA_HOME", str(home.root))
    row = facts(msa)["ef_lstm"]
    assert row["left_out"] == "the suites train it with other hyper-parameters or inputs"


def test_rows_of_the_two_protocols_share_no_table(ran):
    store = RunStore(ran.store)
    ours, theirs = gather(store, OWN), gather(store, RELEASED)
    assert ours.protocol["digest"] != theirs.protocol["digest"]
    keys = [
        {run.key for row in board.grids[0].rows if not row.reference for run in row.runs}
        for board in (ours, theirs)
    ]
    assert keys[0]
    assert keys[0].isdisjoint(keys[1])


def test_a_board_says_who_chose(ran):
    store = RunStore(ran.store)
    ours, theirs = (leaderboards.render(store, name) for name in (OWN, RELEASED))
    assert "as released: L1 loss, mean of batch means" in theirs
    assert "as the released code of each" in theirs
    assert "as released" not in ours
    assert "no released rule of selection" in theirs
