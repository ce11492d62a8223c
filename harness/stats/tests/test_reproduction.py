"""Reproduced is a claim that has to be shown, and errs as seldom as it says."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from harness.errors import SpecError
from harness.stats.reproduction import (
    LEVEL,
    MARGIN,
    SeedGap,
    SeedSpread,
    beside_mean,
    beside_runs,
    spread_of,
    together_with_means,
    together_with_runs,
)

OURS = [0.71, 0.74, 0.69, 0.72, 0.73]
THEIRS = [0.70, 0.75, 0.72, 0.71, 0.74, 0.73, 0.69, 0.72, 0.76, 0.71]


# The gap


def test_beside_runs_it_is_welchs_with_the_fewer_degrees_of_freedom() -> None:
    found, welch = beside_runs(OURS, THEIRS), stats.ttest_ind(OURS, THEIRS, equal_var=False)
    t = welch.statistic
    assert found.effect / found.standard_error == pytest.approx(t)
    assert found.degrees == len(OURS) - 1 < welch.df
    assert found.p_value() == pytest.approx(2 * stats.t.sf(abs(t), 4))
    low, high = found.interval()
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, 4) * found.standard_error)


def test_beside_a_mean_of_very_many_runs_it_is_the_one_sample_test() -> None:
    found = beside_mean(OURS, 0.7, 10**12)
    one = stats.ttest_1samp(OURS, 0.7)
    assert found.p_value() == pytest.approx(one.pvalue)
    expected = tuple(end - 0.7 for end in one.confidence_interval(0.95))
    assert found.interval() == pytest.approx(expected)


def test_beside_one_run_it_is_the_prediction_interval() -> None:
    for seeds in (1, None):
        low, high = beside_mean(OURS, 0.5, seeds).interval()
        half = stats.t.ppf(0.975, 4) * np.std(OURS, ddof=1) * math.sqrt(1 + 1 / 5)
        assert (high - low) / 2 == pytest.approx(half)


def test_a_known_spread_takes_the_place_of_ours_in_their_mean() -> None:
    found = beside_mean(OURS, 0.7, 5, SeedSpread(runs=10, sd=0.1, collapsed=0))
    assert found.standard_error == pytest.approx(math.sqrt(np.var(OURS, ddof=1) / 5 + 0.01 / 5))
    assert found.degrees == 4
    short = beside_mean([*OURS, *OURS], 0.7, 5, SeedSpread(runs=5, sd=0.1, collapsed=2))
    assert short.degrees == 2


def test_the_two_one_sided_tests_are_scipys() -> None:
    found, margin = beside_mean(OURS, 0.7, 10**12), 0.03
    low = stats.ttest_1samp(OURS, 0.7 - margin, alternative="greater").pvalue
    high = stats.ttest_1samp(OURS, 0.7 + margin, alternative="less").pvalue
    assert found.p_equivalence(margin) == pytest.approx(max(low, high))


def test_reproduced_is_the_interval_of_twice_the_level_inside_the_margin() -> None:
    for effect in np.linspace(-0.05, 0.05, 41):
        found = SeedGap(effect=float(effect), standard_error=0.01, degrees=9, runs=10)
        low, high = found.interval(1 - 2 * LEVEL)
        inside = low > -0.03 and high < 0.03
        assert (found.finding(0.03) == "reproduced") == inside


def test_runs_that_never_vary_are_judged_by_the_margin_alone() -> None:
    for effect, said in ((0.009, "reproduced"), (0.011, "higher"), (-0.011, "lower")):
        found = beside_mean([0.7 + effect] * 3, 0.7, 5)
        assert found.finding(0.01) == said
    assert beside_mean([0.7] * 3, 0.7, 5).p_value() == 1.0


def test_too_few_runs_and_no_margin() -> None:
    with pytest.raises(SpecError, match="needs two runs at least, ours are 1"):
        beside_runs([0.7], THEIRS)
    with pytest.raises(SpecError, match="the reference are 1"):
        beside_runs(OURS, [0.7])
    with pytest.raises(SpecError, match="margin is positive, found 0"):
        beside_runs(OURS, THEIRS).finding(0.0)


# How often it errs


def rates(
    ours: int, theirs: int, shift: float, sd: float = 1.0, repeats: int = 2500
) -> dict[str, float]:
    """Shares of findings where the truth lies ``shift`` margins off."""
    generator = np.random.default_rng(ours * 1000 + theirs)
    found: dict[str, int] = {}
    for _ in range(repeats):
        reference = generator.normal(0.0, 1.0, theirs)
        margin = MARGIN * float(reference.std(ddof=1))
        own = generator.normal(shift * margin, sd, ours)
        said = beside_runs(own.tolist(), reference.tolist()).finding(margin)
        found[said] = found.get(said, 0) + 1
    return {name: count / repeats for name, count in found.items()}


@pytest.mark.parametrize("sd", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("ours", [2, 3, 5, 10])
def test_at_a_difference_of_the_margin_it_is_reproduced_no_oftener_than_the_level(
    ours: int, sd: float
) -> None:
    for shift in (-1.0, 1.0):
        said = rates(ours, 10, shift, sd, 1200).get("reproduced", 0.0)
        assert said <= LEVEL + 0.016  # 2.5 standard errors


@pytest.mark.parametrize("ours", [2, 3, 5, 10])
def test_equal_systems_are_told_apart_no_oftener_than_the_level(ours: int) -> None:
    said = rates(ours, 10, 0.0)
    assert said.get("higher", 0.0) + said.get("lower", 0.0) <= LEVEL + 0.011


def test_fewer_seeds_never_reproduce_more() -> None:
    shares = [rates(ours, 10, 0.0, repeats=1200).get("reproduced", 0.0) for ours in (2, 3, 5, 10)]
    assert shares[0] == 0.0
    assert shares == sorted(shares)
    assert shares[3] == pytest.approx(0.79, abs=0.04)
    assert shares[2] == pytest.approx(0.44, abs=0.05)


def test_two_runs_that_agree_by_chance_reproduce_no_mean() -> None:
    assert beside_mean([0.7, 0.7], 0.7, 5).finding(0.01) == "cannot tell"
    assert beside_mean([0.7, 0.7, 0.7], 0.7, 5).finding(0.01) == "reproduced"


# Spread of the reference


def test_collapsed_runs_are_counted_and_widen_no_margin() -> None:
    sound = [0.71, 0.72, 0.73, 0.70, 0.74, 0.72, 0.71, 0.73, 0.72, 0.70]
    bad = [*sound[:8], 1.40, 1.45]
    found, clean = spread_of(bad, bad), spread_of(sound, sound)
    assert (found.collapsed, clean.collapsed, found.runs, found.degrees) == (2, 0, 10, 7)
    assert found.sd == pytest.approx(np.std(sound[:8], ddof=1))
    assert np.std(bad, ddof=1) > 20 * found.sd
    corr = spread_of([0.8] * 4 + [0.79] * 4 + [0.1, 0.0], bad)
    assert corr.collapsed == 2, "what collapsed is told by the error, for every metric alike"


# All metrics at once


def alike(generator: np.random.Generator, runs: int, metrics: int, rho: float) -> np.ndarray:
    """(runs, metrics) Gaussian values with one correlation and unequal scales."""
    common, own = generator.normal(size=(runs, 1)), generator.normal(size=(runs, metrics))
    scales = 10.0 ** -np.arange(metrics)
    return np.asarray((math.sqrt(rho) * common + math.sqrt(1 - rho) * own) * scales)


def test_one_metric_is_the_permutation_test_of_a_difference_of_means() -> None:
    a, b = np.array(OURS[:3])[:, None], np.array(THEIRS[:5])[:, None]
    every = np.concatenate([a, b])[:, 0]
    apart = abs(a.mean() - b.mean())
    as_far = [
        abs(every[list(one)].mean() - np.delete(every, list(one)).mean()) >= apart - 1e-12
        for one in itertools.combinations(range(8), 3)
    ]
    assert together_with_runs(a, b).p_value == pytest.approx(np.mean(as_far))


def test_one_metric_beside_a_mean_is_students_test() -> None:
    found = together_with_means(np.array(OURS)[:, None], [0.7], 10**12)
    assert found.p_value == pytest.approx(stats.ttest_1samp(OURS, 0.7).pvalue)


@pytest.mark.parametrize("rho", [0.0, 0.9])
@pytest.mark.parametrize("ours", [3, 5])
def test_no_drift_is_seen_oftener_than_the_level(ours: int, rho: float) -> None:
    generator, repeats = np.random.default_rng(ours), 600
    seen = {"runs": 0, "means": 0}
    for _ in range(repeats):
        a, b = alike(generator, ours, 6, rho), alike(generator, 10, 6, rho)
        seen["runs"] += together_with_runs(a, b).drift != ""
        seen["means"] += together_with_means(a, b[:5].mean(axis=0), 5).drift != ""
    for count in seen.values():
        assert count / repeats <= LEVEL + 0.022  # 2.5 standard errors


def test_six_small_gaps_one_way_are_no_noise() -> None:
    generator, repeats, together, alone = np.random.default_rng(3), 200, 0, 0
    for _ in range(repeats):
        a, b = alike(generator, 10, 6, 0.0), alike(generator, 10, 6, 0.0)
        a = a + 0.8 * 10.0 ** -np.arange(6)
        found = together_with_runs(a, b)
        together += found.drift == "better"
        alone += beside_runs(a[:, 0].tolist(), b[:, 0].tolist()).p_value() < LEVEL
    assert together / repeats > 0.9 > 0.5 > alone / repeats


def test_the_sign_of_a_drift_is_that_of_the_scaled_gaps() -> None:
    generator = np.random.default_rng(5)
    b = alike(generator, 10, 4, 0.3)
    shift = np.array([2.0, 0.2, 0.02, 0.002])
    for sign, word in ((1, "better"), (-1, "worse")):
        a = alike(generator, 10, 4, 0.3) + sign * shift
        for found in (together_with_runs(a, b), together_with_means(a, b.mean(axis=0), 10)):
            assert (found.drift, found.metrics) == (word, 4)
            assert found.better == (4 if sign > 0 else 0)


def test_what_never_varies_shows_no_drift() -> None:
    still = np.full((3, 2), 0.7)
    for found in (together_with_runs(still, still), together_with_means(still, [0.6, 0.6], 5)):
        assert math.isnan(found.p_value)
        assert found.drift == ""


def test_many_runs_are_divided_by_chance_and_always_alike() -> None:
    generator = np.random.default_rng(1)
    a, b = alike(generator, 20, 3, 0.5), alike(generator, 20, 3, 0.5)
    found = together_with_runs(a, b)
    assert found == together_with_runs(a, b)
    assert found.p_value > 0.0
