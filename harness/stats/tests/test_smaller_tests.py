"""Corrections, power and the tests of narrower questions, against SciPy and hand examples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.errors import SpecError
from harness.stats import (
    benjamini_hochberg,
    holm,
    mcnemar,
    paired_t_over_seeds,
    power,
    probability_of_improvement,
    resolution,
    resolution_of_accuracy,
    sign_flip,
    wilcoxon_over_seeds,
)

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("given_values", "expected"),
    [
        ([0.030, 0.031, 0.032], [0.090, 0.090, 0.090]),
        ([0.04, 0.01, 0.03], [0.06, 0.03, 0.06]),
        ([0.01, 0.02, 0.03, 0.005], [0.03, 0.04, 0.04, 0.02]),
        ([0.6, 0.9], [1.0, 1.0]),
        ([], []),
    ],
)
def test_holm_by_hand(given_values: list[float], expected: list[float]) -> None:
    assert holm(given_values) == pytest.approx(expected)


@given(P_VALUES)
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    order = np.argsort(p_values, kind="stable")
    alpha, rejected = 0.0501234, set()
    for step, index in enumerate(order):
        if p_values[index] * (len(p_values) - step) > alpha:
            break
        rejected.add(int(index))
    assert set(np.flatnonzero(adjusted <= alpha)) == rejected
    assert (adjusted >= p_values).all()


@given(P_VALUES)
def test_benjamini_hochberg_equals_scipy(p_values: list[float]) -> None:
    expected = stats.false_discovery_control(p_values)
    assert benjamini_hochberg(p_values) == pytest.approx(expected)


@pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
def test_an_undefined_p_counts_in_its_family(correct) -> None:
    adjusted = correct([np.nan, 0.01])
    assert np.isnan(adjusted[0])
    assert adjusted[1] == pytest.approx(0.02)
    with pytest.raises(SpecError, match="from 0 to 1"):
        correct([1.5])


@pytest.mark.parametrize(
    ("clips", "discordant", "points"),
    [(656, 0.08, 3.1), (3634, 0.08, 1.3), (457, 0.12, 4.5)],
    ids=["mosi", "mosei", "sims"],
)
def test_known_resolutions(clips: int, discordant: float, points: float) -> None:
    assert 100 * resolution_of_accuracy(clips, discordant) == pytest.approx(points, abs=0.05)


def test_power_by_simulation() -> None:
    z = np.random.default_rng(0).normal(1.7, 1, 40_000)
    assert power(1.7, 1.0) == pytest.approx((np.abs(z) > 1.959964).mean(), abs=0.01)
    assert power(resolution(2.0, power=0.9), 2.0) == pytest.approx(0.9, abs=1e-4)
    with pytest.raises(SpecError, match="positive"):
        power(1.0, 0.0)


def test_mcnemar_is_the_binomial_test_of_discordant_clips() -> None:
    a, b = np.random.default_rng(1).random((2, 300)) < [[0.8], [0.7]]
    only_a, only_b = (a & ~b).sum(), (~a & b).sum()
    expected = 2 * stats.binom.cdf(min(only_a, only_b), only_a + only_b, 0.5)
    found = mcnemar(a, b)
    assert found.p_value == pytest.approx(min(1, expected))
    assert "two checkpoints" in found.question
    assert mcnemar(a, a).p_value == 1.0


def test_sign_flips_agree_with_scipy() -> None:
    a, b = np.random.default_rng(2).normal(size=(2, 60))
    a += 0.3
    reference = stats.permutation_test(
        (a, b), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=5000, rng=0
    )
    assert sign_flip(a, b, flips=5000).p_value == pytest.approx(reference.pvalue, abs=0.02)
    assert sign_flip(a, a, flips=100).p_value == 1.0
    assert sign_flip(a + 9, b, flips=99).p_value == pytest.approx(0.01)


def test_tests_over_seeds_come_with_their_warning() -> None:
    a, b = np.random.default_rng(3).normal(size=(2, 5))
    found = paired_t_over_seeds(a, b)
    assert found.p_value == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert found.warning is not None
    assert "invalid" in found.warning
    best = wilcoxon_over_seeds(a + 10, b)
    assert best.p_value == pytest.approx(0.0625)
    assert best.warning is not None
    assert "powerless" in best.warning
    six = wilcoxon_over_seeds(np.arange(6) + 1.0, np.zeros(6))
    assert six.p_value < 0.05
    assert six.warning is not None
    assert "invalid" in six.warning
    with pytest.raises(SpecError, match="two seeds"):
        paired_t_over_seeds([1.0], [2.0])
    with pytest.raises(SpecError, match="equal length"):
        mcnemar([True], [True, False])


def test_probability_of_improvement_is_the_mann_whitney_share() -> None:
    a, b = np.random.default_rng(4).integers(0, 5, (2, 8)).astype(float)
    share = stats.mannwhitneyu(a, b[:6]).statistic / 48
    assert probability_of_improvement(a, b[:6], higher_is_better=True) == pytest.approx(share)
    assert probability_of_improvement(a, b[:6], higher_is_better=False) == pytest.approx(1 - share)
