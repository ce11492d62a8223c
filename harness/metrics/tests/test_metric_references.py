"""Every metric against an independent implementation, and the properties no metric may break."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error, r2_score

from harness.data.datasets import datasets
from harness.metrics import metrics, metrics_for, score
from harness.metrics.classification import macro_f1, weighted_f1
from harness.metrics.conventions import swapped_f1

FAMILIES = ["mosi", "sims"]


def draw(dataset, seed, n=211):
    """Labels on a coarse grid (many ties and zeros) and predictions that leave the scale."""
    rng, high = np.random.default_rng(seed), datasets[dataset].high
    truth = (rng.integers(-15, 16, n) / 15 * high).round(1)
    pred = (truth * 0.7 + rng.normal(0, high / 2, n)).round(1)
    return pred, truth


def unit(*arrays):
    return tuple(np.clip(array, -1, 1) for array in arrays)


def bins(values):
    return np.digitize(values, [-0.7, -0.1, 0.1, 0.7], right=True)


REGRESSION = {
    "mae": lambda p, y: mean_absolute_error(y, p),
    "corr": lambda p, y: stats.pearsonr(p, y).statistic,
    "spearman": lambda p, y: stats.spearmanr(p, y).statistic,
    "calibration_slope": lambda p, y: stats.linregress(p, y).slope,
    "ccc": lambda p, y: 2 * np.cov(p, y, ddof=0)[0, 1]
    / (np.var(p) + np.var(y) + (np.mean(p) - np.mean(y)) ** 2),
}  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", REGRESSION)
@pytest.mark.parametrize("dataset", FAMILIES)
def test_regression_metrics(dataset, name, seed):
    pred, truth = draw(dataset, seed)
    expected = REGRESSION[name](*(unit(pred, truth) if dataset == "sims" else (pred, truth)))
    assert metrics[name](pred, truth, dataset) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_mosi_classes(seed):
    pred, truth = draw("mosi", seed)
    kept = truth != 0
    expected = {
        "acc2_has0": accuracy_score(truth >= 0, pred >= 0),
        "acc2_non0": accuracy_score(truth[kept] > 0, pred[kept] > 0),
        "f1_has0": f1_score(truth >= 0, pred >= 0, average="weighted"),
        "f1_non0": f1_score(truth[kept] > 0, pred[kept] > 0, average="weighted"),
        "macro_f1": f1_score(truth >= 0, pred >= 0, average="macro"),
    } | {
        f"acc{2 * k + 1}": accuracy_score(
            [round(v) for v in np.clip(truth, -k, k)], [round(v) for v in np.clip(pred, -k, k)]
        )
        for k in (1, 2, 3)
    }
    scores = score(pred, truth, "mosi", secondary=True)
    assert {name: scores[name] for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_sims_classes(seed):
    pred, truth = draw("sims", seed)
    kept, weak = truth != 0, np.abs(truth) <= 0.4
    three = {0: 0, 1: 0, 2: 1, 3: 2, 4: 2}
    expected = {
        "acc2": accuracy_score(truth > 0, pred > 0),
        "f1": f1_score(truth > 0, pred > 0, average="weighted"),
        "acc3": accuracy_score([three[b] for b in bins(truth)], [three[b] for b in bins(pred)]),
        "acc5": accuracy_score(bins(truth), bins(pred)),
        "acc2_non0": accuracy_score(truth[kept] > 0, pred[kept] > 0),
        "f1_non0": f1_score(truth[kept] > 0, pred[kept] > 0, average="weighted"),
        "acc2_weak": accuracy_score(truth[weak] > 0, pred[weak] > 0),
        "macro_f1": f1_score(truth > 0, pred > 0, average="macro"),
        "r2": r2_score(*reversed(unit(pred, truth))),
    }
    scores = score(pred, truth, "sims", secondary=True)
    assert {name: scores[name] for name in expected} == pytest.approx(expected)


classes = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60)


@given(classes)
def test_f1_of_any_classes(pairs):
    pred, truth = np.array(pairs).T
    options = {"zero_division": 0.0}
    assert weighted_f1(pred, truth) == pytest.approx(
        f1_score(truth, pred, average="weighted", **options)
    )
    assert macro_f1(pred, truth) == pytest.approx(f1_score(truth, pred, average="macro", **options))
    assert swapped_f1(pred, truth) == pytest.approx(
        f1_score(pred, truth, average="weighted", **options)
    )


def test_f1_weights_come_from_the_labels():
    pred, truth = np.array([0, 0, 0, 0]), np.array([0, 0, 0, 1])
    f1_of_zero = 2 * 3 / (4 + 3)
    assert weighted_f1(pred, truth) == pytest.approx(f1_of_zero * 3 / 4)
    assert swapped_f1(pred, truth) == pytest.approx(f1_of_zero)


@st.composite
def scored(draw_from, dataset):
    high = datasets[dataset].high
    value = st.floats(-2 * high, 2 * high).map(lambda v: round(v, 3))
    label = st.integers(-30, 30).map(lambda v: round(v / 30 * high, 3))
    pairs = draw_from(st.lists(st.tuples(value, label), min_size=1, max_size=40))
    pred, truth = np.array(pairs, dtype=float).T
    return pred, truth


anything = st.sampled_from(FAMILIES).flatmap(lambda d: st.tuples(st.just(d), scored(d)))


@given(anything)
def test_values_stay_in_their_declared_range(case):
    dataset, (pred, truth) = case
    scores = score(pred, truth, dataset, secondary=True)
    for metric in metrics_for(dataset):
        value = scores[metric.name]
        assert math.isnan(value) or metric.low - 1e-12 <= value <= metric.high + 1e-12


@given(anything)
def test_labels_as_predictions_are_optimal(case):
    dataset, (_, truth) = case
    for metric in metrics_for(dataset):
        value = metric(truth, truth, dataset)
        best = metric.high if metric.higher_is_better else metric.low
        best = best if metric.ideal is None else metric.ideal
        if metric.name != "constant" and not math.isnan(value):
            assert value == pytest.approx(best)


@given(anything, st.randoms(use_true_random=False))
def test_order_of_clips_does_not_matter(case, random):
    dataset, (pred, truth) = case
    order = random.sample(range(truth.size), truth.size)
    before = score(pred, truth, dataset, secondary=True)
    after = score(pred[order], truth[order], dataset, secondary=True)
    assert after == pytest.approx(before, rel=1e-6, abs=1e-9, nan_ok=True)


@given(scored("mosi"), st.sampled_from([0.25, 0.5, 2.0, 8.0]), st.integers(-5, 5))
def test_correlations_ignore_scale_and_shift(case, scale, shift):
    pred, truth = case
    for name in ("corr", "spearman"):
        before = metrics[name](pred, truth, "mosi")
        after = metrics[name](scale * pred + shift, truth, "mosi")
        assert after == pytest.approx(before, abs=1e-6, nan_ok=True)


@given(scored("mosi"))
def test_spearman_ignores_any_increasing_map(case):
    pred, truth = case
    before = metrics["spearman"](pred, truth, "mosi")
    after = metrics["spearman"](np.sinh(pred), truth, "mosi")
    assert after == pytest.approx(before, nan_ok=True)


@given(scored("sims"))
def test_sims_clips_to_its_scale(case):
    pred, truth = case
    inside = np.clip(pred, -1, 1)
    expected = score(inside, truth, "sims", secondary=True)
    assert score(pred, truth, "sims", secondary=True) == pytest.approx(expected, nan_ok=True)


def test_mosi_does_not_clip_its_mae():
    assert score([5.0, -3.0], [3.0, -3.0], "mosi")["mae"] == 1.0
