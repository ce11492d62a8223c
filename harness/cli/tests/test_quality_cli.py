"""``msa study quality`` as a user runs it, on runs of a small network that judges its clips."""

from __future__ import annotations

import json
import tomllib

import pytest

from harness.home import Home
from harness.runs.cell import execute
from harness.runs.plan import make_plan
from harness.runs.store import RunStore
from harness.spec import Suite

SUITE = """
title = "Judgements"
corpora = ["mosi-twin@compact-x5"]
seeds = 1
protocol = { name = "reliability", max_epochs = 1, corruption = "sets" }
defaults = { encoder = "tiny-twin", hidden = 16, layers = 1, heads = 2, feed_size = 16 }
systems = [{ name = "qa_moe" }]
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Home:
    """A home in which the suite was run."""
    home = Home(tmp_path_factory.mktemp("home"))
    suite = Suite.parse(tomllib.loads(SUITE), name="judging", where="judging.toml")
    plan, store = make_plan(suite, home), RunStore(home.store)
    with store.writing():
        store.put_plan(suite.name, plan.record())
        for corpus in plan.corpora:
            store.put_truth(corpus)
        for job in plan.jobs.values():
            store.commit(execute(job))
    return home


def test_what_was_trained_is_studied(ran, msa, monkeypatch):
    monkeypatch.setenv("MSA_HOME", str(ran.root))
    code, text, _ = msa("study", "quality", "judging", "--draws", 100, "--json")
    assert code == 0
    (corpus,) = json.loads(text)["corpora"]
    (row,) = corpus["rows"]
    assert corpus["twin"]
    assert "train_mean" in corpus["judge_nothing"]
    assert len(row["seeds"]) == 1
    assert [score["of"] for score in row["scores"]] == ["text", "audio", "vision"]
    for score in row["scores"]:
        gone = score["tells"][score["of"]]
        assert gone["value"] == 1.0  # a quality is above zero, that of what is missing zero
        assert score["follows"]["set"]["value"] < -0.8
        assert set(score["natural"]) == {"length", "energy", "|label|"}
    assert [swap["condition"] for swap in row["swaps"]] == ["clean", "mixed"]


def test_tables_name_the_scores_and_the_swaps(ran, msa, monkeypatch):
    monkeypatch.setenv("MSA_HOME", str(ran.root))
    code, text, _ = msa("study", "quality", "judging", "--row", "qa_moe", "--draws", 100)
    assert code == 0
    assert "SYNTHETIC TWIN of CMU-MOSI" in text
    assert "quality of vision" in text
    assert "judged like another one" in text
    assert text.count("qa_moe") == 5  # three scores, two swaps


def test_a_suite_that_was_never_run(msa):
    code, _, error = msa("study", "quality", "small")
    assert code != 0
    assert "has not been run here" in error
