"""BCa against SciPy, closed forms and simulation; interval and p as one inversion."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from harness.data.datasets import datasets
from harness.errors import SpecError
from harness.metrics import metrics
from harness.stats import compare
from harness.stats.bca import acceleration, bias, corrected, left_out
from harness.stats.distribution import Distribution
from harness.stats.resample import counts, evaluator


def one_clip_per_video(seed: int = 0, clips: int = 40):
    """Predictions of two single runs and labels; A's errors are skewed."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(-15, 16, clips) / 5
    a = (truth + generator.exponential(0.8, clips)).round(6)
    b = (truth + generator.normal(0, 0.6, clips)).round(6)
    return a, b, truth.round(6), np.arange(clips)


def of_scipy(statistic, data, draws: np.ndarray):
    """SciPy's BCa interval from our draws."""
    known = SimpleNamespace(bootstrap_distribution=draws)
    return stats.bootstrap(
        data,
        statistic,
        method="BCa",
        paired=True,
        vectorized=False,
        n_resamples=0,
        bootstrap_result=known,
    ).confidence_interval


@pytest.mark.parametrize("name", ["mae", "corr", "ccc", "acc2_has0", "f1_has0"])
def test_with_one_factor_it_is_scipys(name: str) -> None:
    """Our bounds are draws, SciPy's lie between two draws: the neighbours enclose it."""
    *data, clusters = one_clip_per_video()
    found = compare(*data, clusters, name, 4000, dataset="mosi", interval="bca")
    score = metrics[name].on(datasets["mosi"])
    draws = found.distribution.draws
    expected = of_scipy(lambda a, b, y: score(a, y) - score(b, y), data, draws)
    ordered = np.sort(draws)
    for ours, theirs in zip((found.low, found.high), expected, strict=True):
        place = np.searchsorted(ordered, theirs)
        assert ordered[max(place - 3, 0)] <= ours <= ordered[min(place + 3, draws.size - 1)]
    assert found.method == "BCa bootstrap over source videos"
    plain = compare(*data, clusters, name, 4000, dataset="mosi")
    assert plain.method == "percentile bootstrap over source videos"
    assert np.array_equal(plain.distribution.draws, draws)


def test_efrons_scale_example() -> None:
    """An estimate θ·χ²(19)/19: the exact 90 % interval of θ is (0.631, 1.878) at estimate 1."""
    degrees = 19
    draws = stats.chi2.ppf((np.arange(200_000) + 0.5) / 200_000, degrees) / degrees
    exact = degrees / stats.chi2.ppf([0.95, 0.05], degrees)
    a = math.sqrt(8 / degrees) / 6  # a sixth of the skewness of the score
    z0 = bias(draws, 1.0)
    assert z0 == pytest.approx(stats.norm.ppf(stats.chi2.cdf(degrees, degrees)), abs=1e-4)
    assert Distribution(draws, z0, a).interval(0.9) == pytest.approx(tuple(exact), abs=0.01)
    assert Distribution(draws).interval(0.9)[1] < exact[1] - 0.25


def test_acceleration_of_a_mean_is_its_skewness() -> None:
    values = np.random.default_rng(1).exponential(size=25)
    left = (values.sum() - values) / 24
    expected = stats.skew(values) / (6 * math.sqrt(25))
    assert acceleration([left]) == pytest.approx(expected)
    assert acceleration([left, np.empty(0)]) == pytest.approx(expected)
    assert acceleration([np.append(left, math.nan)]) == pytest.approx(expected)
    assert acceleration([np.ones(5)]) == 0.0


def test_acceleration_counts_every_video_and_every_seed() -> None:
    """SciPy's for samples of several kinds: a difference of two means has two."""
    generator = np.random.default_rng(2)
    a, b = generator.exponential(size=12), generator.gamma(3, size=7)
    found = acceleration([(x.sum() - x) / (x.size - 1) for x in (a, b)])
    cubes, squares = (sum(((x - x.mean()) ** k).sum() / x.size**k for x in (a, b)) for k in (3, 2))
    assert found == pytest.approx(cubes / (6 * squares**1.5))


@pytest.mark.parametrize("name", ["mae", "spearman"])
def test_units_left_out_are_recomputed_metrics(name: str) -> None:
    generator = np.random.default_rng(3)
    truth, clusters = generator.integers(-15, 16, 60) / 5, generator.permutation(60) % 6
    runs = (truth + generator.normal(size=(3, 60))).round(6)
    score = metrics[name].on(datasets["mosi"])
    videos, seeds = left_out(evaluator(runs, truth, clusters, score), 6)
    for video in range(6):
        kept = clusters != video
        assert videos[video] == pytest.approx(np.mean([score(r[kept], truth[kept]) for r in runs]))
    values = [score(run, truth) for run in runs]
    assert seeds == pytest.approx([np.mean(np.delete(values, s)) for s in range(3)])
    assert left_out(evaluator(runs[:1], truth, clusters, score), 6)[1].size == 0


@pytest.mark.parametrize("interval", ["percentile", "bca"])
@settings(max_examples=200, deadline=None)
@given(
    draws=hnp.arrays(np.float64, st.integers(1, 250), elements=st.integers(-9, 9).map(float)),
    z0=st.floats(-1, 1),
    a=st.floats(-0.4, 0.4),
    alpha=st.sampled_from([0.01, 0.05, 0.1, 0.3]),
)
def test_interval_and_p_are_one_inversion(interval, draws, z0, a, alpha) -> None:
    found = Distribution(draws, z0, a) if interval == "bca" else Distribution(draws)
    low, high = found.interval(1 - alpha)
    assert (found.p_value() < alpha) == (low > 0 or high < 0)
    assert 2 / (draws.size + 1) <= found.p_value() <= 1 or draws.size == 1
    narrow = found.interval(1 - 2 * alpha)
    margin = 3.0
    assert (found.p_equivalence(margin) < alpha) == (narrow[0] > -margin and narrow[1] < margin)


@pytest.mark.parametrize("draws", [399, 999, 10_000])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_percentile_bounds_are_the_percentiles(draws: int, level: float) -> None:
    values = np.random.default_rng(4).permutation(draws).astype(float)
    tail = (1 - level) / 2 * 100
    expected = np.percentile(values, [tail, 100 - tail])
    assert Distribution(values).interval(level) == pytest.approx(tuple(expected), abs=2)


def test_too_few_draws_for_a_level_bound_nothing() -> None:
    assert Distribution(np.arange(1.0, 101.0)).interval(0.99) == (-math.inf, math.inf)


def test_swapping_systems_mirrors_the_interval() -> None:
    draws = np.random.default_rng(5).gamma(2, size=999) - 1
    found, mirror = Distribution(draws, 0.2, 0.05), Distribution(-draws, -0.2, -0.05)
    assert found.interval() == pytest.approx(tuple(-bound for bound in mirror.interval())[::-1])
    assert found.p_value() == pytest.approx(mirror.p_value())
    assert found.p_equivalence(1.5) == pytest.approx(mirror.p_equivalence(1.5))


def test_bias_stays_finite_and_ties_count_half() -> None:
    assert bias(np.ones(99), 1.0 + 1e-14) == 0.0
    assert bias(np.ones(99), 2.0) == pytest.approx(stats.norm.ppf(0.99))
    assert bias(np.ones(99), 0.0) == pytest.approx(stats.norm.ppf(0.01))


def test_two_factors_and_an_undefined_metric() -> None:
    a, b, truth, clusters = one_clip_per_video()
    pair = np.stack([a, a[::-1]]), np.stack([b, b[::-1], b * 0.9])
    found = compare(*pair, truth, clusters, "mae", 500, dataset="mosi", interval="bca")
    assert found.method == "BCa bootstrap over seeds and source videos"
    assert found.distribution.acceleration != 0
    flat = np.zeros_like(a)
    undefined = compare(flat, b, truth, clusters, "corr", 100, dataset="mosi", interval="bca")
    assert math.isnan(undefined.p_value) and math.isnan(undefined.low)
    same = compare(a, a, truth, clusters, "mae", 100, dataset="mosi", interval="bca")
    assert (same.p_value, same.low, same.high) == (1.0, 0.0, 0.0)
    with pytest.raises(SpecError, match="percentile and bca"):
        compare(a, b, truth, clusters, "mae", dataset="mosi", interval="basic")


def test_it_misses_equally_often_on_both_sides_of_a_skewed_mean() -> None:
    """Means of 15 exponential values; the percentile interval misses above far more often."""
    generator = np.random.default_rng(6)
    weights = counts(15, 999, generator)
    missed = np.zeros((2, 2))
    for _ in range(1500):
        values = generator.exponential(size=(1, 15))

        def mean(videos: np.ndarray, values: np.ndarray = values) -> np.ndarray:
            return (videos @ values.T) / videos.sum(axis=1, keepdims=True)

        def zero(videos: np.ndarray) -> np.ndarray:
            return np.zeros((len(videos), 1))

        draws = mean(weights)[:, 0]
        plain, better = (
            Distribution(draws),
            corrected(draws, float(values.mean()), mean, zero, 15),
        )
        for row, found in zip(missed, (plain, better), strict=True):
            low, high = found.interval(0.9)
            row += [low > 1, high < 1]
    plain_rates, rates = missed / 1500
    assert plain_rates[1] > 0.11
    assert rates[1] < plain_rates[1] - 0.015
    assert abs(rates[1] - rates[0]) < 0.6 * abs(plain_rates[1] - plain_rates[0])
