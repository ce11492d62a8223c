"""Transfers from suite to predictions: what a plan refuses, and that nothing leaks from the target.

The corpora are drawn at random and small; what is learned from them does not matter here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.data.corpus import STREAMS, Stream
from harness.data.datasets import datasets
from harness.data.store import CorpusStore, Draft
from harness.errors import DataError, SpecError
from harness.home import Home
from harness.runs.cell import execute
from harness.runs.plan import Plan, make_plan
from harness.runs.pricing.placeholders import AtHand
from harness.spec import Suite

CLIPS = {"train": 12, "valid": 6, "test": 5}
CORPORA = ("mosi+mosei-to-sims@own",)


def add(home: Home, name: str, *, seed: int = 0) -> None:
    """A corpus of noise; only the test split depends on ``seed``."""
    dataset, n = datasets[name], sum(CLIPS.values())
    split = np.repeat(list(CLIPS), list(CLIPS.values()))
    fixed, free = (np.random.default_rng([len(name), s]) for s in (0, seed))

    def drawn(shape: tuple[int, ...]) -> np.ndarray:
        values, other = fixed.normal(size=shape), free.normal(size=shape)
        values[split == "test"] = other[split == "test"]
        return values

    clips = pd.DataFrame({"id": [f"{name}_{i}" for i in range(n)], "split": split})
    clips = clips.assign(video=clips["id"], clip="1", text=[f"word {i % 4}" for i in range(n)])
    clips["label"] = (dataset.high * np.tanh(drawn((n,)))).round(6)
    streams = {s: Stream(drawn((n, 4, 3)).astype(np.float32), np.full(n, 4)) for s in STREAMS}
    CorpusStore(home.corpora).add(
        Draft(name=f"{name}@own", clips=clips, streams=streams, manifest={"feature_space": "own"})
    )


@pytest.fixture
def planned(home: Home) -> Callable[..., Plan]:
    for name in ("mosi", "mosei", "sims"):
        add(home, name)

    def make(systems: list[dict[str, object]], corpora=CORPORA, home=home, **protocol) -> Plan:
        return make_plan(suite(systems, corpora, **protocol), home)

    return make


def suite(systems, corpora=CORPORA, **protocol) -> Suite:
    table = {
        "corpora": list(corpora),
        "seeds": 1,
        "protocol": {"name": "domain_generalization", "max_epochs": 2, **protocol},
        "systems": systems,
    }
    return Suite.parse(table, name="small", where="small.toml")


ERM = {"name": "lf_dnn", "label": "ERM"}


@pytest.mark.parametrize(
    "system",
    [
        ERM,
        {"name": "feature_ridge"},
        {"name": "tfidf_ridge"},
        {"name": "lf_dnn", "label": "CORAL", "params": {"objective": "coral"}},
    ],
    ids=lambda system: system.get("label", system["name"]),
)
def test_nothing_learned_depends_on_the_target(planned, tmp_path, system):
    """Other labels, features and texts of the target's test clips: the same system comes out."""
    elsewhere = Home(tmp_path / "elsewhere")
    for name in ("mosi", "mosei", "sims"):
        add(elsewhere, name, seed=1 if name == "sims" else 0)
    valid = []
    for plan in (planned([system]), planned([system], home=elsewhere)):
        (job,) = [job for job in plan.jobs.values() if job.spec.system == system["name"]]
        table = execute(job).predictions
        valid.append(table[table["split"] == "valid"]["pred"].to_numpy())
    assert (valid[0] == valid[1]).all()
    assert valid[0].std() > 0 or system["name"] == "tfidf_ridge"


def test_runs_learn_from_the_sources_and_predict_the_target(planned):
    plan = planned([ERM])
    (job,) = [job for job in plan.jobs.values() if job.spec.system == "lf_dnn"]
    record = execute(job)
    assert record.manifest.result.train_clips == 2 * CLIPS["train"]
    test = record.predictions[record.predictions["split"] == "test"]
    assert test["id"].str.startswith("sims_").all() and len(test) == CLIPS["test"]
    assert set(record.curves) == {"valid", "test"}  # for the oracle


def test_the_source_mean_is_the_constant_of_every_board(planned):
    plan = planned([ERM])
    (job,) = [job for job in plan.jobs.values() if job.spec.system == "train_mean"]
    (corpus,) = plan.corpora
    assert execute(job).predictions["pred"].unique() == pytest.approx(
        [corpus.split("train").labels.mean()]
    )


def test_a_run_does_not_depend_on_how_many_settings_are_tried(planned):
    two = [{**ERM, "label": f"ERM #{i}", "params": {"lr": lr}} for i, lr in ((1, 1e-3), (2, 1e-4))]
    alone, both = planned([{**ERM, "params": {"lr": 1e-3}}]), planned(two, settings=2)
    assert set(alone.jobs) < set(both.jobs)
    assert alone.protocol.digest != both.protocol.digest


@pytest.mark.parametrize(
    ("systems", "corpora", "protocol", "reason"),
    [
        ([ERM], ["mosi@own"], {}, "is none"),
        ([ERM], CORPORA, {"name": "in_domain"}, "is a transfer"),
        ([ERM, {**ERM, "label": "ERM #2"}], CORPORA, {}, "tries 2 settings"),
        ([ERM], CORPORA, {"settings": 2}, "tries 1 settings"),
        ([ERM], ["sims+mosi-to-sims@own"], {}, "train on its target"),
        ([ERM], ["sims-to-simsv2@own"], {}, "one domain"),
    ],
)
def test_suites_that_break_the_protocol_are_refused(planned, systems, corpora, protocol, reason):
    with pytest.raises(SpecError, match=reason):
        planned(systems, corpora, **protocol)


@pytest.mark.parametrize(
    ("knowledge", "refused"), [("sims@own", True), ("mosi-to-sims@own", True), ("mosi@own", False)]
)
def test_knowledge_of_the_target_is_refused(planned, knowledge, refused):
    kuda = {"name": "kuda", "params": {"knowledge": knowledge, "encoder": "tiny-twin"}}
    if not refused:
        assert planned([kuda], knowledge_data=knowledge)
        return
    if "-to-" in knowledge:  # its sources are harmless for mosei, its own target is not asked for
        with pytest.raises(DataError, match="overlaps the target"):
            planned([kuda], ["mosei-to-mosi@own"], knowledge_data=knowledge)
        return
    with pytest.raises(DataError, match="overlaps the target, CH-SIMS"):
        planned([kuda], knowledge_data=knowledge)


@pytest.mark.parametrize("track", ["", "-text", "-text-en"])
def test_transfers_can_be_priced_before_any_data_is_here(tmp_path: Path, track):
    name = f"mosi-to-mosei@aligned-50{track}"
    corpus = AtHand(Home(tmp_path)).corpus(name)
    assert {s: len(corpus.split(s)) for s in CLIPS} == {
        split: counts.clips for split, counts in corpus.dataset.splits.items()
    }
    assert set(corpus.streams) == (set(STREAMS) if not track else set())
    assert set(corpus.split("test").clips["domain"]) == {"mosei"}
