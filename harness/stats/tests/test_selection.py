"""Selection and best-of-k optimism, against curves made by hand and plain enumeration."""

from __future__ import annotations

import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.datasets import datasets
from harness.errors import SpecError
from harness.metrics import metrics, metrics_for
from harness.stats.selection import best_of_k, epoch_scores, gain, selection

NAN = math.nan


@pytest.mark.parametrize(
    ("metric", "values", "selected", "best_epoch", "optimism", "last_gain"),
    [
        ("mae", [0.9, 0.8, 0.7, 0.75], 2, 3, 0.1, 0.05),
        ("corr", [0.1, 0.5, 0.4], 3, 2, 0.1, 0.0),
        ("acc7", [0.5, 0.5, 0.5], 3, 1, 0.0, 0.0),  # among equals the earliest
        ("mae", [0.7, 0.8], 1, 1, 0.0, -0.1),
        ("corr", [NAN, 0.5, NAN], 2, 2, 0.0, NAN),
        ("corr", [NAN, 0.5, 0.6], 1, 3, NAN, NAN),  # an undefined selected epoch has no gain
        ("corr", [NAN, NAN], 2, 1, NAN, NAN),
        ("calibration_slope", [0.5, 1.25, 0.9], 2, 3, 0.15, 0.15),  # best is closest to one
    ],
)
def test_a_curve_made_by_hand(metric, values, selected, best_epoch, optimism, last_gain) -> None:
    found = selection(values, selected, metrics[metric])
    assert found.best_epoch == best_epoch
    assert found.optimism == pytest.approx(optimism, nan_ok=True)
    assert found.last_gain == pytest.approx(last_gain, nan_ok=True)
    assert (found.selected_epoch, found.epochs) == (selected, len(values))


@given(st.lists(st.floats(0, 2) | st.just(NAN), min_size=1, max_size=8), st.data())
def test_no_epoch_gains_more_than_the_best(values, data) -> None:
    selected = data.draw(st.integers(1, len(values)))
    found = selection(values, selected, metrics["mae"])
    if math.isnan(values[selected - 1]):
        assert math.isnan(found.optimism)
    else:
        gains = [gain(metrics["mae"], value, values[selected - 1]) for value in values]
        assert found.optimism == max(each for each in gains if not math.isnan(each))
        assert found.optimism >= 0


@pytest.mark.parametrize("epoch", [0, 4])
def test_an_epoch_outside_the_curve_is_refused(epoch) -> None:
    with pytest.raises(SpecError, match="1 to 3"):
        selection([1.0, 2.0, 3.0], epoch, metrics["mae"])


def test_every_primary_metric_after_each_epoch() -> None:
    generator = np.random.default_rng(0)
    truth = generator.integers(-3, 4, 40).astype(float)
    curve = (truth + generator.normal(size=(4, 40))).astype(np.float32)
    curve[1, 3] = np.inf  # an epoch that diverged
    curve[2] = 0.5  # a constant has no correlation
    found = epoch_scores(curve, truth, datasets["mosi"])
    assert list(found) == [metric.name for metric in metrics_for("mosi", primary=True)]
    for name, values in found.items():
        assert values[0] == metrics[name](curve[0], truth, "mosi")
        assert math.isnan(values[1])
    assert math.isnan(found["corr"][2])
    assert not math.isnan(found["mae"][2])


def by_enumeration(values, k, pick):
    chosen = [pick(subset) for subset in itertools.combinations(values, k)]
    return abs(statistics.fmean(chosen) - statistics.fmean(values))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.data())
def test_the_best_of_k_is_the_mean_over_every_subset(values, data) -> None:
    k = data.draw(st.integers(1, len(values)))
    higher, lower = metrics["corr"], metrics["mae"]
    assert best_of_k(values, k, higher) == pytest.approx(by_enumeration(values, k, max), abs=1e-12)
    assert best_of_k(values, k, lower) == pytest.approx(by_enumeration(values, k, min), abs=1e-12)


def test_more_seeds_flatter_more() -> None:
    values = np.random.default_rng(0).normal(size=12).clip(-1, 1).tolist()
    gains = [best_of_k(values, k, metrics["corr"]) for k in range(1, 13)]
    assert gains == sorted(gains)
    assert gains[0] == pytest.approx(0, abs=1e-12)
    assert gains[-1] == pytest.approx(max(values) - statistics.fmean(values))


def test_an_undefined_seed_leaves_the_best_undefined() -> None:
    assert math.isnan(best_of_k([0.5, NAN, 0.7], 2, metrics["corr"]))


@pytest.mark.parametrize("k", [0, 4])
def test_k_lies_within_the_seeds(k) -> None:
    with pytest.raises(SpecError, match="from 1 to 3"):
        best_of_k([0.1, 0.2, 0.3], k, metrics["mae"])
