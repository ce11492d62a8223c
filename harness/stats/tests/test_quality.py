"""Rank statistics of scores: against scipy and scikit-learn, and intervals where truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from harness.errors import SubmissionError
from harness.stats import compare
from harness.stats.quality import (
    auroc,
    change,
    spearman,
    weighted_auroc,
    weighted_spearman,
)


@st.composite
def tables(draw):
    """Two columns with ties, and how often each row occurs."""
    rows = draw(st.integers(3, 12))
    column = st.lists(st.integers(-3, 3), min_size=rows, max_size=rows)
    weights = draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows))
    return tuple(np.array(values, float) for values in (draw(column), draw(column), weights))


@given(tables())
def test_spearman_is_that_of_the_repeated_pairs(table):
    first, second, weights = table
    a, b = (np.repeat(values, weights.astype(int)) for values in (first, second))
    found = weighted_spearman(first, second, weights)
    if len(a) < 2 or len(set(a)) < 2 or len(set(b)) < 2:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(spearmanr(a, b).statistic, abs=1e-9)


@given(tables())
def test_auroc_is_that_of_the_repeated_pairs(table):
    scores, second, weights = table
    positive = second > 0
    found = weighted_auroc(scores, positive, weights)
    if not (weights[positive].any() and weights[~positive].any()):
        assert math.isnan(found)
    else:
        expected = roc_auc_score(positive, scores, sample_weight=weights)
        assert found == pytest.approx(expected, abs=1e-9)


def clustered(rng, runs=3, videos=30, clips=8):
    """Scores that follow a severity, with an offset of each source video."""
    place = np.repeat(np.arange(videos), clips)
    severity = rng.random(videos * clips)
    offsets = rng.normal(size=videos)[place]
    noise = rng.normal(size=(runs, videos * clips))
    return -severity + 0.3 * offsets + 0.3 * noise, severity, place


def test_value_is_the_mean_over_runs():
    scores, severity, place = clustered(np.random.default_rng(0))
    found = spearman(scores, severity, place, draws=200)
    expected = np.mean([spearmanr(run, severity).statistic for run in scores])
    assert found.value == pytest.approx(expected)
    assert found.low < found.value < found.high < 0
    assert found.excludes_zero


def test_interval_covers_the_truth():
    """Twenty worlds of one law; the truth is what a large one shows."""
    large, severity, _ = clustered(np.random.default_rng(9), runs=1, videos=4000)
    truth = spearmanr(large[0], severity).statistic
    hits = 0
    for world in range(20):
        found = spearman(*clustered(np.random.default_rng(world)), draws=200, seed=world)
        hits += found.low <= truth <= found.high
    assert hits >= 16


def test_interval_widens_with_dependence_within_videos():
    rng = np.random.default_rng(1)
    place = np.repeat(np.arange(20), 10)
    shared, own = rng.normal(size=(2, 20))[:, place], rng.normal(size=(2, 200))
    widths = [
        found.high - found.low
        for first, second in (shared, own)
        for found in [spearman(first[None], second, place, draws=300)]
    ]
    assert widths[0] > 1.5 * widths[1]


def test_auroc_of_useless_scores_is_half():
    rng = np.random.default_rng(2)
    found = auroc(rng.random((4, 600)), rng.random(600) < 0.4, np.arange(600) // 10, draws=200)
    assert found.low < 0.5 < found.high
    assert found.value == pytest.approx(0.5, abs=0.05)


def test_scores_that_never_vary_have_no_correlation():
    found = spearman(np.ones((2, 10)), np.arange(10), np.arange(10) // 2, draws=100)
    assert math.isnan(found.value)
    assert math.isnan(found.low)
    assert not found.excludes_zero


def test_one_source_video_is_refused():
    with pytest.raises(SubmissionError, match="two source videos"):
        auroc(np.ones((1, 4)), [True, False, True, False], np.zeros(4))


def test_change_is_after_less_before_with_runs_paired():
    rng = np.random.default_rng(3)
    truth, place = rng.uniform(-3, 3, 200), np.repeat(np.arange(25), 8)
    quality = np.array([0.2, 1.5, 0.9])[:, None]  # runs that differ much
    before = truth + quality * rng.normal(size=(3, 200))
    after = before + 0.4 * np.sign(before - truth)
    found = change(before, after, truth, place, "mae", dataset="mosi", draws=400)
    paired = np.abs(after - truth).mean() - np.abs(before - truth).mean()
    assert found.value == pytest.approx(paired)
    assert found.low > 0.35
    unpaired = compare(after, before, truth, place, "mae", dataset="mosi")
    assert found.high - found.low < 0.2 * (unpaired.high - unpaired.low)


def test_nothing_changed_is_zero():
    truth, place = np.linspace(-3, 3, 40), np.arange(40) // 4
    runs = np.stack([truth, truth[::-1]])
    found = change(runs, runs, truth, place, "corr", dataset="mosi", draws=200)
    assert (found.value, found.low, found.high) == (0, 0, 0)
