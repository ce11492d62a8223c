"""Collapsed runs: found in rows of any size, counted with an exact interval, never dropped."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from harness.stats.collapse import collapse, collapse_of_runs, near_constant, outlying

RNG = np.random.default_rng(3)
TRUTH = RNG.normal(0.0, 1.5, 200)


def noisy(spread: float) -> np.ndarray:
    return TRUTH + RNG.normal(0.0, spread, TRUTH.size)


@pytest.mark.parametrize(("bad", "runs"), [(0, 5), (1, 5), (3, 10), (2, 2)])
def test_the_interval_is_that_of_clopper_and_pearson(bad: int, runs: int) -> None:
    preds = [0.01 * TRUTH] * bad + [noisy(0.5) for _ in range(runs - bad)]
    found = collapse(np.stack(preds), TRUTH)
    exact = binomtest(bad, runs).proportion_ci(method="exact")
    assert found.collapsed == tuple(range(bad))
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))
    assert found.share == bad / runs


def test_a_run_far_from_the_others_collapsed_too() -> None:
    preds = [noisy(0.5) for _ in range(4)]
    assert collapse(np.stack([*preds, noisy(3.0)]), TRUTH).collapsed == (4,)
    assert collapse(np.stack([*preds[:2], noisy(3.0)]), TRUTH).collapsed == ()  # nobody knows


def test_runs_may_predict_different_clips() -> None:
    runs = [(noisy(0.5)[:n], TRUTH[:n]) for n in (200, 150, 100, 120)]
    flat = (np.full(90, 0.3), TRUTH[:90])
    assert collapse_of_runs([*runs, flat]).collapsed == (4,)


def test_it_is_said_with_seeds_and_probability() -> None:
    found = collapse(
        np.stack([noisy(0.5), 0.01 * TRUTH, noisy(0.5), noisy(0.5), noisy(0.5)]), TRUTH
    )
    assert str(found) == "4/5 + 1 collapsed"
    assert found.among(6) == "4/6 + 1 collapsed"
    assert found.sentence([1112]) == (
        "1 of 5 runs collapsed (seed 1112): probability of collapse .20 [.01, .72]"
    )
    assert collapse(np.stack([noisy(0.5)]), TRUTH).sentence() == (
        "0 of 1 runs collapsed: probability of collapse .00 [.00, .97]"
    )


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
