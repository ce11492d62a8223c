"""What results per seed say by themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from harness.errors import SpecError
from harness.stats.spread import detectable_between_seeds, spread


@pytest.mark.parametrize("seeds", [2, 5, 30])
def test_the_interval_is_the_one_of_scipy(seeds) -> None:
    values = np.random.default_rng(seeds).normal(size=seeds)
    found = spread(values)
    low, high = stats.ttest_1samp(values, 0).confidence_interval()
    assert found.mean - found.half_width == pytest.approx(low)
    assert found.mean + found.half_width == pytest.approx(high)
    assert (found.low, found.high, found.seeds) == (values.min(), values.max(), seeds)
    assert found.sd == pytest.approx(values.std(ddof=1))


@pytest.mark.parametrize("seeds", [2, 5, 20])
def test_the_detectable_difference_is_found_four_times_in_five(seeds) -> None:
    generator = np.random.default_rng(1)
    a, b = generator.normal(0, 0.7, size=(2, seeds, 20_000))
    p = stats.ttest_ind(a + detectable_between_seeds(0.7, seeds), b).pvalue
    assert np.mean(p < 0.05) == pytest.approx(0.8, abs=0.012)


def test_many_seeds_need_no_more_than_a_normal_test() -> None:
    normal = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    found = detectable_between_seeds(1.0, 2000)
    assert found == pytest.approx(normal * math.sqrt(2 / 2000), rel=0.001)


def test_one_seed_or_an_undefined_one_leaves_the_spread_undefined() -> None:
    one = spread([0.5])
    assert one.mean == 0.5
    assert all(map(math.isnan, (one.sd, one.half_width, one.detectable)))
    undefined = spread([0.5, math.nan, 0.7])
    assert all(map(math.isnan, (undefined.mean, undefined.sd, undefined.detectable)))
    with pytest.raises(SpecError, match="two seeds"):
        detectable_between_seeds(1.0, 1)
