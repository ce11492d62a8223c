"""Collapsed runs are found, counted with an exact interval, and not found where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from harness.stats import collapse
from harness.stats.collapse import near_constant, outlying

TRUTH = np.random.default_rng(0).uniform(-3, 3, 200)


def runs(*noises, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([TRUTH + rng.normal(0, noise, TRUTH.size) for noise in noises])


def test_a_near_constant_run_and_one_far_off_are_both_counted() -> None:
    pred = runs(0.8, 0.82, 0.78, 0.81, 2.4, 0.79)
    pred[1] = 0.1 + 1e-3 * TRUTH
    found = collapse(pred, TRUTH)
    assert found.collapsed == (1, 4)
    assert str(found) == "4/6 + 2 collapsed"
    exact = stats.binomtest(2, 6).proportion_ci(method="exact")
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


@pytest.mark.parametrize("bad", [0, 3])
def test_intervals_at_the_ends(bad: int) -> None:
    pred = runs(0.8, 0.8, 0.8)
    pred[:bad] = 0.0
    found = collapse(pred, TRUTH)
    exact = stats.binomtest(bad, 3).proportion_ci(method="exact")
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))
    assert found.share == bad / 3


def test_ordinary_spread_is_no_collapse() -> None:
    """Runs as spread as those of typical systems, a relative sd of .05: one row in a hundred."""
    rng = np.random.default_rng(1)
    rows = [outlying(1.0 + 0.05 * rng.normal(size=5)).any() for _ in range(2000)]
    assert np.mean(rows) < 0.01


def test_three_runs_do_not_say_which_is_odd_and_better_runs_are_not_odd() -> None:
    assert not outlying([0.7, 0.7, 1.4]).any()
    assert not outlying([1.4, 1.41, 1.39, 1.4, 0.7]).any()
    assert outlying([0.70, 0.70, 0.70, 1.4]).tolist() == [False, False, False, True]


def test_labels_that_do_not_vary_make_no_run_near_constant() -> None:
    assert not near_constant([0.1, 0.2, 0.3, 0.4], [1.0, 1.0, 1.0, 1.0])
    assert near_constant([0.1, 0.2, 0.1, 0.2], [1.0, 1.0, 1.0, 1.0])  # two answers
