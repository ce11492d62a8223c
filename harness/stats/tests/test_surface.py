"""Surfaces: what they say of one cell is what the usual bootstrap says; bands cover the largest."""

from __future__ import annotations

import numpy as np
import pytest

from harness.data.datasets import datasets
from harness.data.split_labels import SplitLabels
from harness.errors import SpecError
from harness.metrics import metrics
from harness.stats import draw_fields
from harness.stats.surface import Surface, largest, sample

DATASET = datasets["mosi"]
NAMES = ("mae", "corr", "acc2_non0", "f1_non0")


def labelled(truth, videos):
    return SplitLabels(
        dataset=DATASET,
        split="test",
        ids=tuple(map(str, range(len(truth)))),
        videos=videos.astype(str),
        labels=truth,
    )


@pytest.fixture(scope="module")
def clips():
    rng = np.random.default_rng(0)
    truth = rng.uniform(-3, 3, 150).round(1)
    pred = truth + rng.normal(size=(3, 20, 1)) / 5 + rng.normal(size=(3, 20, 150))
    return pred, truth, rng.integers(0, 12, 150)


@pytest.mark.parametrize("name", NAMES)
def test_values_are_those_of_the_metric(clips, name):
    pred, truth, videos = clips
    surface = Surface.of("x", pred, metrics[name], sample(labelled(truth, videos), draws=100))
    expected = [
        np.mean([metrics[name](run[cell], truth, DATASET) for run in pred]) for cell in range(20)
    ]
    np.testing.assert_allclose(surface.values, expected)
    area, drawn = surface.area([3, 5, 7])
    assert area == pytest.approx(np.mean([expected[place] for place in (3, 5, 7)]))
    np.testing.assert_allclose(drawn, surface.drawn[[3, 5, 7]].mean(0))


@pytest.mark.parametrize("name", ["mae", "acc2_non0"])
def test_draws_of_a_cell_are_spread_like_those_of_the_usual_bootstrap(clips, name):
    pred, truth, videos = clips
    surface = Surface.of("x", pred, metrics[name], sample(labelled(truth, videos), draws=4000))
    usual = draw_fields({"x": pred[:, 4]}, truth, videos, [name], 4000, dataset=DATASET)[name]
    assert surface.drawn[4].mean() == pytest.approx(usual.drawn[0].mean(), abs=0.01)
    assert surface.drawn[4].std() == pytest.approx(usual.drawn[0].std(), rel=0.08)


def test_cells_see_the_same_videos_and_seeds(clips):
    """Two equal cells differ in no draw, far apart as they may be."""
    pred, truth, videos = clips
    twice = np.concatenate([pred, pred], axis=1)
    surface = Surface.of("x", twice, metrics["mae"], sample(labelled(truth, videos), draws=200))
    np.testing.assert_allclose(surface.drawn[:20], surface.drawn[20:], rtol=1e-12)


def test_a_metric_of_ranks_is_refused(clips):
    pred, truth, videos = clips
    ranks = [m for m in metrics.values() if m.name in ("spearman", "kendall")]
    for metric in ranks:
        with pytest.raises(SpecError, match="no function of sums"):
            Surface.of("x", pred, metric, sample(labelled(truth, videos), draws=100))
    assert ranks


@pytest.mark.parametrize("true", [np.zeros(10), np.linspace(-1, 0, 10)], ids=["ties", "one"])
def test_the_interval_of_the_largest_covers_it(true):
    """Where all are equal, percentiles of the largest draw would nearly always lie above."""
    rng, covered, naive = np.random.default_rng(1), 0, 0
    for _ in range(400):
        observed = true + 0.2 * rng.normal(size=10)
        drawn = observed[:, None] + 0.2 * rng.normal(size=(10, 400))
        found = largest(observed, drawn)
        covered += found.low <= true.max() <= found.high
        low, high = np.quantile(drawn.max(0), [0.025, 0.975])
        naive += low <= true.max() <= high
    assert covered / 400 > 0.93
    if not true.any():
        assert naive < covered


def test_without_variation_the_largest_is_exact():
    found = largest(np.array([1.0, 3.0]), np.array([[1.0] * 50, [3.0] * 50]))
    assert (found.place, found.value, found.low, found.high) == (1, 3.0, 3.0, 3.0)


def test_an_undefined_quantity_leaves_no_largest():
    found = largest(np.array([1.0, np.nan]), np.zeros((2, 50)))
    assert np.isnan([found.value, found.low, found.high]).all()
