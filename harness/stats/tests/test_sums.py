"""Metrics read off sums against the metrics themselves on the clips that were drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness.data.datasets import datasets
from harness.metrics import metrics
from harness.stats.sums import sums_of

CELLS = [
    *(
        (name, "mosi")
        for name in ("mae", "corr", "ccc", "calibration_slope", "constant", "f1_non0")
    ),
    *((name, "sims") for name in ("corr", "ccc", "r2", "calibration_slope", "constant", "acc5")),
]
CLIPS, VIDEOS = 12, 4
CLUSTERS = np.arange(CLIPS) % VIDEOS


def grid(low: int, high: int) -> st.SearchStrategy[np.ndarray]:
    """Values in tenths: many ties, many constants."""
    tenths = hnp.arrays(np.float64, CLIPS, elements=st.integers(low, high).map(float))
    return tenths.map(lambda values: (values / 10).round(6))


WEIGHTS = hnp.arrays(np.float64, VIDEOS, elements=st.integers(0, 4).map(float)).filter(np.any)


@pytest.mark.parametrize(("name", "dataset"), CELLS)
@settings(max_examples=150, deadline=None)
@given(pred=grid(-12, 12), truth=grid(-10, 10), weights=WEIGHTS)
def test_sums_give_what_the_drawn_clips_give(name, dataset, pred, truth, weights) -> None:
    function = metrics[name].on(datasets[dataset])
    sums = sums_of(np.stack([pred, truth]), truth, CLUSTERS, function)
    assert sums is not None
    clips = np.repeat(np.arange(CLIPS), weights[CLUSTERS].astype(int))
    expected = [function(run[clips], truth[clips]) for run in (pred, truth)]
    np.testing.assert_allclose(sums(weights[None])[0], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["corr", "ccc", "calibration_slope", "constant", "mae"])
@pytest.mark.parametrize(("offset", "scale"), [(0.0, 1e-4), (3.0, 0.01), (1e4, 1.0), (-50.0, 20.0)])
def test_far_from_the_labels_little_is_lost(name: str, offset: float, scale: float) -> None:
    generator = np.random.default_rng(0)
    truth = generator.integers(-15, 16, 400) / 5
    pred = (offset + scale * (truth + generator.normal(size=400))).round(6)
    clusters = np.arange(400) % 20
    function = metrics[name].on(datasets["mosi"])
    sums = sums_of(pred[None], truth, clusters, function)
    assert sums is not None
    weights = generator.integers(0, 3, 20).astype(float)
    clips = np.repeat(np.arange(400), weights[clusters].astype(int))
    expected = function(pred[clips], truth[clips])
    assert sums(weights[None])[0, 0] == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", ["corr", "calibration_slope", "ccc", "constant"])
def test_predictions_constant_in_what_was_drawn(name: str) -> None:
    """Constant in the first video alone, at a value that is not the mean."""
    truth = np.linspace(-3, 3, 20)
    pred = np.concatenate([np.full(10, 0.1), np.linspace(-2, 3, 10).round(6)])
    function = metrics[name].on(datasets["mosi"])
    sums = sums_of(pred[None], truth.round(6), np.repeat([0, 1], 10), function)
    assert sums is not None
    found = sums(np.array([[3.0, 0.0]]))[0, 0]
    expected = {"ccc": 0.0, "constant": 1.0}.get(name, np.nan)
    assert found == pytest.approx(expected, abs=1e-15, nan_ok=True)
