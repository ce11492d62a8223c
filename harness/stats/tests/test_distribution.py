"""Percentile intervals and p-values are one inversion."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.distribution import Distribution

DRAWS = st.lists(st.integers(-3, 9), min_size=1, max_size=120).map(np.array)


@given(DRAWS, st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99]))
def test_p_is_below_alpha_exactly_when_the_interval_leaves_zero_out(draws, level) -> None:
    found = Distribution(draws.astype(np.float64))
    low, high = found.interval(level)
    assert low <= high
    assert (found.p_value() < round(1 - level, 12)) == (not low <= 0 <= high)


@given(DRAWS)
def test_signs_do_not_matter(draws) -> None:
    found, turned = Distribution(draws.astype(np.float64)), Distribution(-draws.astype(np.float64))
    low, high = found.interval(0.8)
    assert turned.interval(0.8) == (-high, -low)
    assert turned.p_value() == found.p_value()
    assert 2 / (draws.size + 1) <= found.p_value() <= 1


def test_bounds_are_draws_and_infinite_where_those_are_too_few() -> None:
    assert Distribution(np.arange(1.0, 40.0)).interval() == (-math.inf, math.inf)
    assert Distribution(np.arange(1.0, 80.0)).interval() == (1.0, 79.0)
    assert Distribution(np.arange(1.0, 2000.0)).interval() == pytest.approx((50, 1950), abs=1)


def test_no_draws_and_no_variation() -> None:
    nothing = Distribution(np.empty(0))
    assert math.isnan(nothing.p_value()) and math.isnan(nothing.interval()[0])
    still = Distribution(np.zeros(99))
    assert (still.p_value(), still.interval()) == (1.0, (0.0, 0.0))
