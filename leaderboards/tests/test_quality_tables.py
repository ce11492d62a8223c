"""The study of gates: on runs whose gates are known to be good, useless or decorative."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from harness.errors import SpecError, StoreError
from harness.metrics import metrics
from harness.spec.conditions import grid, told
from harness.spec.prediction_cell import MIXED, PLAIN, SWAPPED
from harness.tests.stores import (
    Constant,
    NotRun,
    Off,
    Row,
    make_corpus,
    make_record,
    make_spec,
    make_store,
)
from leaderboards.studies.quality import ANY, study_quality

SEEDS = (1111, 1112)
ROWS = [
    Row(label="floor", cells={0: Constant()}, deterministic=True, reference=True),
    Row(label="judging", cells=dict.fromkeys(SEEDS, NotRun()), epochs=0),
]
CONDITIONS = told(grid("spectrum"))


def scores(condition, labels, seed):
    """``trust``: of audio, falls with its corruption; of text, the size of the label and noise."""
    rng = np.random.default_rng([seed, len(condition.name)])
    hit = max(condition.noise, condition.missing) if condition.hit == ("audio",) else 0.0
    audio = 1 - 0.6 * hit + 0.02 * rng.standard_normal(len(labels))
    return {"trust_0": np.abs(labels) + 0.1 * rng.standard_normal(len(labels)), "trust_1": audio}


def record_of(corpus, seed):
    record = make_record(corpus, ROWS[1], make_spec(corpus, ROWS[1], seed), Off(0.5))
    test = corpus.split("test")
    labels = test.labels
    near, far = (labels + off * np.sign(labels + 0.01) for off in (0.5, 1.0))
    values = {("clean", SWAPPED): near, (MIXED, PLAIN): near, (MIXED, SWAPPED): far}
    clean = record.predictions.query("condition == 'clean'").assign(pred=lambda t: t["pred"])
    clean.loc[clean["split"] == "test", "pred"] = near
    further = [
        pd.DataFrame({"id": test.ids, "split": "test", "pred": pred}).assign(
            condition=condition, variant=variant
        )
        for (condition, variant), pred in values.items()
    ]
    tables = [
        pd.DataFrame(
            {"id": test.ids, "split": "test", "condition": condition.name}
            | scores(condition, labels, seed)
        )
        for condition in CONDITIONS
    ]
    manifest = record.manifest
    result = dataclasses.replace(manifest.result, judgements={"trust": ["text", "audio"]})
    return dataclasses.replace(
        record,
        manifest=dataclasses.replace(manifest, result=result),
        predictions=pd.concat([clean, *further], ignore_index=True),
        diagnostics=pd.concat(tables, ignore_index=True),
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    corpus = make_corpus(clips=(8, 6, 60))
    made = make_store(tmp_path_factory.mktemp("store"), ROWS, [corpus])
    for seed in SEEDS:
        made.commit(record_of(corpus, seed))
    return made


@pytest.fixture(scope="module")
def known():
    corpus = make_corpus(clips=(8, 6, 60))
    test = corpus.split("test")
    facts = {
        "audio length": np.arange(len(test), dtype=float),
        "text energy": np.abs(test.labels),
    }
    return {corpus.name: pd.DataFrame(facts, index=list(test.ids))}


@pytest.fixture(scope="module")
def study(store, known):
    (found,) = study_quality(store, "small", metrics["mae"], known=known, draws=200)
    return found


def test_rows_that_judge_nothing_are_named(study):
    assert study.silent == ("floor",)
    (row,) = study.rows
    assert [(score.gate, score.of) for score in row.scores] == [
        ("trust", "text"),
        ("trust", "audio"),
    ]


def test_a_score_that_falls_with_corruption_follows_and_tells(study):
    audio = study.rows[0].scores[1]
    assert audio.mean == pytest.approx(1.0, abs=0.01)
    assert set(audio.following) == {"noise", "element", "block", "modality", "set", ANY}
    assert all(found.high < -0.8 for found in audio.following.values())
    assert audio.separation["audio"].low > 0.95
    for other in ("text", "vision"):
        assert audio.separation[other].low < 0.5 < audio.separation[other].high


def test_a_score_of_something_else_does_not(study):
    text = study.rows[0].scores[0]
    assert not text.following[ANY].excludes_zero
    assert text.separation["text"].low < 0.5 < text.separation["text"].high
    assert text.natural["|label|"].low > 0.9
    assert text.natural["energy"].low > 0.9


def test_facts_are_those_of_the_modality(study):
    text, audio = study.rows[0].scores
    assert set(text.natural) == {"|label|", "energy"}
    assert set(audio.natural) == {"|label|", "length"}


def test_swapping_costs_where_predictions_depend_on_it(study):
    clean, mixed = study.rows[0].swaps
    assert (clean.condition, mixed.condition) == ("clean", "mixed")
    assert clean.before == pytest.approx(0.5)
    assert clean.change.value == 0
    assert not clean.change.excludes_zero
    assert mixed.change.value == pytest.approx(0.5, abs=0.02)
    assert mixed.change.excludes_zero


def test_without_facts_of_clips_the_label_is_left(store):
    (found,) = study_quality(store, "small", metrics["mae"], ["judging"], known={}, draws=100)
    assert all(set(score.natural) == {"|label|"} for score in found.rows[0].scores)
    assert not found.silent


def test_facts_of_other_clips_are_refused(store, known):
    wrong = {name: table.iloc[1:] for name, table in known.items()}
    with pytest.raises(StoreError, match="other test clips"):
        study_quality(store, "small", metrics["mae"], known=wrong, draws=100)


def test_an_unknown_row_is_refused(store):
    with pytest.raises(SpecError, match="no row 'nobody'"):
        study_quality(store, "small", metrics["mae"], ["nobody"], known={})


def test_runs_without_swaps_are_left_out(tmp_path):
    corpus = make_corpus(clips=(8, 6, 60))
    made = make_store(tmp_path, ROWS, [corpus])
    record = record_of(corpus, SEEDS[0])
    clean = record.predictions.query("condition == 'clean' and variant == 'plain'")
    made.commit(dataclasses.replace(record, predictions=clean))
    (found,) = study_quality(made, "small", metrics["mae"], known={}, draws=100)
    assert found.rows[0].swaps == ()
