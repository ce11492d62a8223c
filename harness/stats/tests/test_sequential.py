"""Levels of looks: known bounds, by simulation, and whole spending at a single look."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from harness.errors import SpecError
from harness.stats import levels


def test_one_look_spends_everything() -> None:
    assert levels((5,)) == pytest.approx((0.05,), abs=1e-8)
    assert levels((5,), alpha=0.01) == pytest.approx((0.01,), abs=1e-8)


@pytest.mark.parametrize("looks", [(3, 5, 10), (3, 5, 10, 20), (2, 4), (5, 6, 7, 8)])
def test_the_walk_leaves_the_bounds_as_often_as_said(looks) -> None:
    rng = np.random.default_rng(0)
    steps = np.diff([0, *looks])
    scores = np.cumsum(rng.normal(size=(400_000, len(looks))) * np.sqrt(steps), axis=1)
    p = 2 * stats.norm.sf(np.abs(scores) / np.sqrt(looks))
    assert (p < np.array(levels(looks))).any(axis=1).mean() == pytest.approx(0.05, abs=0.0015)
    assert (p < 0.05).any(axis=1).mean() > 0.06


def test_later_looks_have_more_and_all_have_less_than_the_whole() -> None:
    found = levels((3, 5, 10, 20))
    assert list(found) == sorted(found)
    assert found[-1] < 0.05
    assert found[-1] > 0.03  # little is lost by looking


def test_five_equally_spaced_looks_are_those_of_the_paper() -> None:
    """Shape .25, five looks, alpha .05: the constant, which is the last bound, is 2.136."""
    last = stats.norm.isf(levels((2, 4, 6, 8, 10))[-1] / 2)
    assert last == pytest.approx(2.136, abs=0.001)


@pytest.mark.parametrize("looks", [(), (1, 2), (5, 5), (10, 5)])
def test_looks_that_do_not_rise_are_refused(looks) -> None:
    with pytest.raises(SpecError, match="rising numbers of seeds"):
        levels(looks)
