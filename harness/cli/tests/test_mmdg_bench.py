"""MMDG-Bench's protocol: what it says, and a run of it on twins through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.metrics import metrics
from harness.spec import Suite
from harness.spec.protocols import protocols

SUITES = Path(__file__).parents[2] / "suites"
SETTINGS = {  # run_all_cross_domain.sh of the benchmark
    *("mosi+mosei-to-sims", "mosi+sims-to-mosei", "mosei-to-sims", "mosi-to-sims"),
    *("mosi-to-mosei", "sims-to-mosi", "sims-to-mosei"),
}


def test_it_is_the_benchmarks_and_shares_no_table_with_ours() -> None:
    theirs, ours = protocols["mmdg_bench"], protocols["domain_generalization"]
    assert "MMDG-Bench" in theirs.title and theirs.digest != ours.digest
    assert (theirs.max_epochs, theirs.selection_metric) == (15, "acc2_positive")
    metric = metrics["acc2_positive"]
    for transfer in ("mosei-to-mosi", "mosi-to-sims"):  # zero is no positive, on either scale
        assert metric([-0.1, 0.1, 0.1, 0.0], [0.0, 0.0, 0.5, -0.5], transfer) == 0.75


@pytest.mark.parametrize("name", ["mmdg_bench", "mmdg_bench_twins"])
def test_its_suites_have_the_seven_settings_and_its_training(name: str) -> None:
    suite = Suite.load(SUITES / f"{name}.toml")
    found = {corpus.partition("@")[0].replace("-twin", "") for corpus in suite.corpora}
    assert (found, len(suite.corpora)) == (SETTINGS, 7)
    assert suite.protocol == "mmdg_bench"
    told = {"batch_size": 24, "lr": 1e-4, "loss": "l1", "optimizer": "adam", "clip_norm": 0.8}
    assert {key: suite.defaults[key] for key in told} == told


@pytest.mark.slow
def test_twins_run_under_it(msa) -> None:
    corpus = "sims-twin-to-mosi-twin@compact-x5-shift"
    only = ("--only", "ERM", "--only", "majority", "--only", corpus)
    code, _, errors = msa("run", "mmdg_bench_twins", "--seeds", "1", *only)
    assert code == 0, errors
    code, out, _ = msa("board", "mmdg_bench_twins", "--json")
    assert code == 0
    rows = [row for board in json.loads(out).values() for row in board if row.get("row") == "ERM"]
    (row,) = (row for row in rows if row["runs"])
    assert row["ranked_by"] == "acc2_positive"
    assert 0 <= row["metrics"]["acc2_positive"]["mean"] <= 1
