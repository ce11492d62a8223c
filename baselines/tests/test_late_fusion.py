"""Late fusion: the least-squares problem it solves, and real uni-modal predictions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from baselines.late_fusion import fuse
from harness.data.datasets import datasets
from harness.data.readers import label_csv
from harness.errors import SpecError, SubmissionError
from harness.metrics import score
from harness.spec.protocols import protocols
from harness.system import Task, systems
from harness.tests.research import research_data

COLUMNS = ("pred_T", "pred_A", "pred_V")


def problem(seed, clips=40, noise=(0.3, 0.6, 5.0)):
    rng = np.random.default_rng(seed)
    labels = rng.uniform(-1, 1, clips)
    shifted = [labels * rng.uniform(0.3, 2) + rng.normal(0, n, clips) + 0.5 for n in noise]
    return np.column_stack(shifted), labels


@given(st.integers(0, 10_000), st.integers(1, 4))
def test_weights_solve_the_bounded_problem_with_a_free_intercept(seed, systems_):
    rng = np.random.default_rng(seed)
    predictions = rng.normal(size=(30, systems_)) + rng.normal(size=systems_)
    labels = rng.normal(size=30) + predictions @ rng.normal(size=systems_)
    design = np.column_stack([predictions, np.ones(30)])
    bounds = ([0.0] * systems_ + [-np.inf], np.inf)
    expected = lsq_linear(design, labels, bounds, tol=1e-12)
    found = fuse(predictions, labels)
    assert found.weights == pytest.approx(expected.x[:-1], abs=1e-5)
    assert found(predictions) == pytest.approx(design @ expected.x, abs=1e-5)


def test_what_contradicts_the_labels_gets_no_weight():
    predictions, labels = problem(0)
    predictions[:, 1] = -labels
    assert fuse(predictions, labels).weights[1] == 0


def test_the_fusion_errs_less_than_any_of_its_parts_where_it_was_fitted():
    predictions, labels = problem(1)
    error = np.mean((fuse(predictions, labels)(predictions) - labels) ** 2)
    assert error < min(np.mean((p - labels) ** 2) for p in predictions.T)


def test_a_missing_prediction_says_nothing():
    predictions, labels = problem(2)
    fusion = fuse(predictions, labels)
    clip = predictions[:1].copy()
    clip[0, 0] = np.nan
    others = fusion.bias + (clip[0, 1:] - fusion.means[1:]) @ fusion.weights[1:]
    assert fusion(clip) == pytest.approx([others])
    predictions[3, 0] = np.nan
    assert np.isfinite(fuse(predictions, labels).weights).all()


@pytest.mark.parametrize(
    ("predictions", "labels"),
    [
        (np.zeros(5), np.zeros(5)),
        (np.zeros((5, 2)), np.zeros(4)),
        (np.full((5, 1), np.nan), np.zeros(5)),
    ],
)
def test_what_cannot_be_fused_is_refused(predictions, labels):
    with pytest.raises(SubmissionError):
        fuse(predictions, labels)


def fit(name, corpus, cache, **changes):
    task = Task(
        train=corpus.split("train"),
        valid=corpus.split("valid"),
        watched=None,
        protocol=protocols["in_domain"],
        seed=0,
        device=torch.device("cpu"),
        encoder=None,
        cache=cache,
    )
    system = systems[name]
    return system.fit(task, system.resolve(corpus.dataset.name, changes))


def test_the_system_fuses_three_ridges_on_valid(trimodal, tmp_path):
    parts = [
        fit("feature_ridge", trimodal, tmp_path, streams=stream)
        for stream in ("text", "audio", "vision")
    ]
    valid, test = trimodal.split("valid"), trimodal.split("test")
    columns = {s.name: np.column_stack([p.predict(s) for p in parts]) for s in (valid, test)}
    expected = fuse(columns["valid"], valid.labels)(columns["test"])
    found = fit("late_fusion", trimodal, tmp_path)
    assert found.predict(test) == pytest.approx(expected)
    assert found.parameters == sum(p.parameters for p in parts) + 4


def test_a_stream_that_is_missing_is_named(make_corpus, tmp_path):
    corpus = make_corpus(streams={"text": (3, 2), "audio": (4, 2)})
    with pytest.raises(SpecError, match="vision"):
        fit("late_fusion", corpus, tmp_path)


def real(dataset):
    """Predictions and labels of a split, on the ids of the label file."""
    labels = label_csv.read(research_data(dataset, "label.csv"), datasets[dataset]).clips
    file = research_data(dataset, "unimodal_predictions.csv")
    table = labels.merge(pd.read_csv(file, dtype={"id": str}), on="id", how="left", validate="1:1")
    return {
        split: (part[list(COLUMNS)].to_numpy(), part["label"].to_numpy())
        for split, part in table.groupby("split")
    }


@pytest.mark.data
@pytest.mark.parametrize(
    ("dataset", "mae", "corr"),
    [("sims", (0.326, 0.336), (0.770, 0.777)), ("simsv2", (0.286, 0.292), (0.794, 0.798))],
)
def test_real_predictions_are_worth_more_together(dataset, mae, corr):
    """Fitted on valid, scored on test: within .002 of independent ridges on the same file."""
    splits = real(dataset)
    fusion = fuse(*splits["valid"])
    predictions, truth = splits["test"]
    found = score(fusion(predictions), truth, dataset)
    assert mae[0] <= round(found["mae"], 3) <= mae[1]
    assert corr[0] <= round(found["corr"], 3) <= corr[1]
    assert (fusion.weights > 0).all()
    for column in predictions.T:
        there = np.isfinite(column)
        alone = score(column[there], truth[there], dataset)
        assert found["mae"] < alone["mae"] and found["corr"] > alone["corr"]
