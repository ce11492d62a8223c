"""The tests tested: false positives, coverage and power on simulated comparisons."""

from __future__ import annotations

import numpy as np
import pytest

from harness.stats.analytic import crossed_variance_t
from harness.stats.calibration import MOSI_LIKE, calibrate


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_the_null_is_rejected_as_often_as_promised(seeds: int) -> None:
    """3,000 replicates: one Monte-Carlo standard error of a 5 % rate is 0.4 points."""
    found = calibrate(MOSI_LIKE, seeds, replicates=3000)
    slack = 2 * found.monte_carlo_error(0.06)
    assert 0.03 <= found.bootstrap <= 0.06 + slack
    assert 0.03 <= found.crossed_t <= 0.06 + slack
    assert 0.93 <= found.coverage <= 0.97


def test_the_paired_t_over_seeds_finds_false_winners_and_more_with_more_seeds() -> None:
    three, five, ten = (calibrate(MOSI_LIKE, s, replicates=400, draws=100) for s in (3, 5, 10))
    assert five.paired_t > 0.20
    assert three.paired_t < five.paired_t < ten.paired_t


def test_power_is_what_the_design_study_found() -> None:
    found = calibrate(MOSI_LIKE, 5, effect=0.02, replicates=800)
    assert found.bootstrap == pytest.approx(0.27, abs=0.05)
    assert found.crossed_t == pytest.approx(0.27, abs=0.05)
    assert 0.93 <= found.coverage <= 0.97


def test_paired_differences_have_the_textbook_form() -> None:
    """Var = (MSseed + MSvideo - MSrest) / SV with Satterthwaite degrees of freedom."""
    seeds, videos = 5, 31
    generator = np.random.default_rng(3)
    d = (
        generator.normal(0, 1, (seeds, videos))
        + generator.normal(0, 1, videos)
        + generator.normal(0, 0.5, (seeds, 1))
        + 0.3
    )
    rest = d - d.mean(1, keepdims=True) - d.mean(0) + d.mean()
    squares = np.array(
        [
            videos * d.mean(1).var(ddof=1),
            seeds * d.mean(0).var(ddof=1),
            (rest**2).sum() / ((seeds - 1) * (videos - 1)),
        ]
    )
    total = squares[0] + squares[1] - squares[2]
    degrees = total**2 / (squares**2 / [seeds - 1, videos - 1, (seeds - 1) * (videos - 1)]).sum()
    found = crossed_variance_t(d, np.zeros((1, videos)))
    assert found.standard_error**2 == pytest.approx(total / (seeds * videos))
    assert found.degrees == pytest.approx(degrees)


def test_with_single_runs_it_is_the_paired_t_over_videos() -> None:
    from scipy import stats

    a, b = np.random.default_rng(0).normal(size=(2, 1, 20))
    found, expected = crossed_variance_t(a, b), stats.ttest_rel(a[0], b[0])
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))


@pytest.mark.parametrize(("shift", "p"), [(0.0, 1.0), (1.0, 0.0)])
def test_no_variance_at_all(shift: float, p: float) -> None:
    found = crossed_variance_t(np.full((2, 4), shift), np.zeros((3, 4)))
    assert (found.p_value, found.low, found.high) == (p, shift, shift)


def test_the_variance_is_unbiased_for_unequal_numbers_of_seeds() -> None:
    generator = np.random.default_rng(5)
    videos, sizes = 15, (6, 3)
    effects, variances = [], []
    for _ in range(3000):
        a, b = (
            generator.normal(0, 0.2, (n, 1)) + generator.normal(0, 0.3, (n, videos)) for n in sizes
        )
        found = crossed_variance_t(a + generator.normal(0, 0.5, videos), b)
        effects.append(found.effect)
        variances.append(found.standard_error**2)
    assert np.mean(variances) == pytest.approx(np.var(effects), rel=0.09)
