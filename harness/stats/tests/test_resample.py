"""Metrics read off sums for any weights of videos, against a naive loop that copies clips."""

from __future__ import annotations

import numpy as np
import pytest

from harness.data.datasets import datasets
from harness.metrics import Metric, metrics, metrics_for
from harness.stats import resample
from harness.stats.resample import counts, evaluator
from harness.stats.sums import sums_of
from harness.stats.tests.test_compare import example

WITH_SUMS = {"ccc", "r2", "calibration_slope", "constant", "macro_f1", "acc2_weak"}
CELLS = [(d, m.name) for d in ("mosi", "sims") for m in metrics_for(d)]


def naive(runs, truth, groups, weights, metric: Metric, dataset: str):
    """(D, S): copy the clips of each drawn video as often as it was drawn, and score them."""
    table = []
    for draw in weights.astype(int):
        clips = [
            i
            for video, times in enumerate(draw)
            for i in np.flatnonzero(groups == video)
            for _ in range(times)
        ]
        table.append([metric(run[clips], truth[clips], dataset) for run in runs])
    return np.array(table)


@pytest.mark.parametrize(("dataset", "name"), CELLS)
def test_every_metric_equals_a_naive_loop(dataset: str, name: str) -> None:
    a, _, truth, groups = example(dataset)
    a[1], a[2, groups < 6] = 0.2, 0.4  # collapsed: everywhere, and in half of the videos
    weights = counts(12, 40, np.random.default_rng(1))
    weights[0] = [2.0] * 6 + [0.0] * 6
    metric = metrics[name]
    found = evaluator(a, truth.round(6), groups, metric.on(datasets[dataset]))(weights)
    expected = naive(a, truth, groups, weights, metric, dataset)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("dataset", "name"), CELLS)
def test_primary_metrics_never_take_the_slow_loop(dataset: str, name: str) -> None:
    a, _, truth, groups = example(dataset)
    found = sums_of(a, truth, groups, metrics[name].on(datasets[dataset]))
    assert (found is not None) == (metrics[name].primary or name in WITH_SUMS)


def test_weights_drawn_in_blocks_are_those_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resample, "_MOST", 3 * 7)
    blocks = list(resample.counted(7, 11, np.random.default_rng(4)))
    assert [len(block) for block in blocks] == [3, 3, 3, 2]
    np.testing.assert_array_equal(np.concatenate(blocks), counts(7, 11, np.random.default_rng(4)))
