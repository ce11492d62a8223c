"""The reference distribution: Student's t without a rest, simulation with one, one law for all."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.errors import SpecError
from harness.stats.reference import Laws, Reference, Tail

POSITIVE = st.floats(1e-6, 1e3)
DEGREES = st.floats(1.0, 500.0)


def law(effect=1.0, total=1.0, rest=0.0, degrees=5.0) -> Reference:
    return Reference(effect=effect, total=total, rest=rest, degrees=degrees)


@pytest.mark.parametrize("degrees", [1.0, 2.0, 3.7, 10.0, 60.0, 675.0])
@pytest.mark.parametrize("distance", [0.0, 0.3, 1.0, 2.0, 4.0, 9.0])
def test_without_a_rest_it_is_students_t(degrees: float, distance: float) -> None:
    expected = 2.0 * stats.t.sf(distance, degrees)
    assert law(2.0 * distance, 4.0, 0.0, degrees).p_value() == pytest.approx(expected, rel=1e-4)
    low, high = law(0.0, 4.0, 0.0, degrees).interval(0.9)
    assert high == pytest.approx(2.0 * stats.t.ppf(0.95, degrees), rel=1e-4)
    assert low == -high


@pytest.mark.parametrize(("total", "rest", "degrees"), [(1.0, 0.3, 4.0), (1.0, 0.9, 7.0)])
def test_with_a_rest_it_is_the_law_that_is_written_down(total, rest, degrees) -> None:
    rng = np.random.default_rng(0)
    variance = np.maximum(total * degrees / rng.chisquare(degrees, 2_000_000) - rest, rest)
    for distance in (0.5, 1.5, 3.0):
        expected = (2.0 * stats.norm.sf(distance / np.sqrt(variance))).mean()
        assert law(distance, total, rest, degrees).p_value() == pytest.approx(expected, rel=0.01)


def test_where_the_rest_is_everything_the_estimate_is_gaussian() -> None:
    """T = E says that the mean squares fell short of what the rest alone makes."""
    found = law(1.96, total=1.0, rest=1.0, degrees=1e6)
    assert found.p_value() == pytest.approx(0.05, abs=1e-4)
    assert found.standard_error() == 1.0


@settings(max_examples=40, deadline=None)
@given(st.floats(-10, 10), POSITIVE, st.floats(0, 1), DEGREES)
def test_interval_p_and_equivalence_are_one(effect, total, share, degrees) -> None:
    found = law(effect, total, share * total, degrees)
    low, high = found.interval()
    p = found.p_value()
    if abs(p - 0.05) > 1e-9:
        assert (p < 0.05) == (low > 0 or high < 0)
    at_bound = law(found.reach(), total, share * total, degrees)
    assert at_bound.p_value() == pytest.approx(0.05, rel=1e-4)
    low90, high90 = found.interval(0.9)
    margin = max(abs(low90), abs(high90))
    assert found.p_equivalence(margin * 1.01) < 0.05 < found.p_equivalence(margin * 0.99)
    assert found.share_positive() == pytest.approx(1 - p / 2 if effect > 0 else p / 2)


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 50), POSITIVE, st.floats(0, 1), DEGREES)
def test_the_quick_tail_is_the_exact_one(away, total, share, degrees) -> None:
    distance = away * math.sqrt(total)
    exact = law(distance, total, share * total, degrees).p_value()
    arrays = [np.array([value]) for value in (distance, total, share * total, degrees)]
    (quick,) = Tail()(*arrays)
    assert quick == pytest.approx(exact, rel=0.02, abs=1e-6)


def test_a_rest_makes_the_interval_narrower_and_never_narrower_than_it_alone() -> None:
    reaches = [law(total=1.0, rest=rest).reach() for rest in (0.0, 0.1, 0.3, 0.5)]
    assert reaches == sorted(reaches, reverse=True)
    assert law(total=0.5, rest=0.5, degrees=3.0).reach() >= 1.96 * math.sqrt(0.5)


def test_what_does_not_vary_is_certain() -> None:
    assert law(0.0, 0.0).p_value() == 1.0
    assert law(0.1, 0.0).p_value() == 0.0
    assert law(0.1, 0.0).interval() == (0.1, 0.1)
    assert law(0.0, 0.0).share_positive() == 0.5


def test_an_undefined_estimate_stays_undefined() -> None:
    for found in (law(math.nan), law(total=math.nan, rest=math.nan)):
        assert math.isnan(found.p_value())
        assert all(map(math.isnan, found.interval()))


def test_many_laws_are_each_their_own() -> None:
    totals, rests = np.array([1.0, 4.0, 0.0]), np.array([0.2, 0.0, 0.0])
    degrees, effects = np.array([3.0, 8.0, 1.0]), np.array([0.5, -3.0, 0.0])
    many = Laws(totals, rests, degrees)
    single = [law(*values) for values in zip(effects, totals, rests, degrees, strict=True)]
    np.testing.assert_allclose(many.beyond(np.abs(effects)), [one.p_value() for one in single])
    np.testing.assert_allclose(many.reach(0.95), [one.reach() for one in single])


def test_power_at_the_detectable_difference_is_what_was_asked() -> None:
    """Simulated t tests with 12 degrees of freedom, at the difference called detectable."""
    detectable = law(total=1.0, degrees=12.0).detectable()
    rng = np.random.default_rng(1)
    scale = np.sqrt(rng.chisquare(12, 200_000) / 12)
    t = (detectable + rng.normal(size=200_000)) / scale
    assert np.mean(np.abs(t) > stats.t.ppf(0.975, 12)) == pytest.approx(0.8, abs=0.02)


def test_a_margin_is_positive() -> None:
    with pytest.raises(SpecError, match="positive"):
        law().p_equivalence(0.0)
