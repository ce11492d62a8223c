"""The best of k trials against its definition by simulation, and a parameter's influence."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.errors import SpecError
from harness.stats.search import best_of, influence


def simulated(costs: np.ndarray, values: np.ndarray, k: int, draws: int = 200_000) -> float:
    """Draw k with replacement, keep the least cost, equal ones by lot; failed draws are spent."""
    rng = np.random.default_rng(7)
    picks = rng.integers(0, len(costs), (draws, k))
    noise = rng.random((draws, k))
    drawn = np.where(np.isfinite(costs), costs, np.inf)[picks]
    order = np.lexsort((noise, drawn), axis=1)[:, 0]
    rows = np.arange(draws)
    usable = np.isfinite(drawn[rows, order])
    return float(values[picks[rows, order]][usable].mean())


@pytest.mark.parametrize("k", [1, 2, 5, 12])
@pytest.mark.parametrize("kind", ["apart", "ties", "failed"])
def test_the_expectation_is_that_of_drawing(kind: str, k: int) -> None:
    rng = np.random.default_rng(1)
    costs, values = rng.normal(size=12), rng.normal(size=12)
    if kind == "ties":
        costs = np.round(costs)
    if kind == "failed":
        costs[[0, 4, 5]] = math.nan
    (found,) = best_of(costs, values, [k])
    expected = simulated(costs, values, k)
    assert found.value == pytest.approx(expected, abs=0.012)
    assert found.low <= found.value <= found.high


def test_the_formula_is_that_of_the_source() -> None:
    costs = np.array([3.0, 1.0, 2.0, 5.0])
    ascending = np.sort(-costs)  # the source maximises
    for k in (1, 3, 4, 40):
        at_most = np.arange(1, 5) / 4
        below = np.arange(4) / 4
        expected = float((ascending * (at_most**k - below**k)).sum())
        assert best_of(costs, costs, [k])[0].value == pytest.approx(-expected)
    assert best_of(costs, costs, [400])[0].value == pytest.approx(1.0)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    truth = -0.8463  # expected least of three standard normal draws
    found = [
        best_of(x, x, [3], draws=400, seed=i)[0] for i, x in enumerate(rng.normal(size=(300, 40)))
    ]
    held = np.mean([one.low <= truth <= one.high for one in found])
    assert 0.88 <= held <= 0.99


def test_what_cannot_be_drawn_from_is_refused_or_undefined() -> None:
    for costs, ks in (([], [1]), ([1.0], [0]), ([1.0], [])):
        with pytest.raises(SpecError):
            best_of(costs, costs, ks)
    with pytest.raises(SpecError, match="N costs and N values"):
        best_of([1.0, 2.0], [1.0], [1])
    (nothing,) = best_of([math.nan], [1.0], [2])
    assert math.isnan(nothing.value)
    assert math.isnan(nothing.low)


def test_influence_tells_what_decides_from_what_does_not() -> None:
    rng = np.random.default_rng(0)
    strong, weak = rng.uniform(size=40), rng.uniform(size=40)
    costs = strong**2 + 0.01 * rng.normal(size=40)
    assert influence(strong.tolist(), costs).share > 0.8
    unimportant = influence(weak.tolist(), costs)
    assert unimportant.share < 0.3
    choices = ["a" if value < 0.5 else "b" for value in strong]
    found = influence(choices, costs)
    assert found.share > 0.6 > found.chance
    assert influence([1] * 40, costs).share == 0.0
    with pytest.raises(SpecError, match="finite"):
        influence([1, 2], [1.0, math.nan])


def test_a_parameter_without_influence_exceeds_chance_one_time_in_twenty() -> None:
    rng = np.random.default_rng(5)
    above = 0
    for seed in range(60):
        found = influence(rng.integers(0, 3, 24).tolist(), rng.normal(size=24), seed=seed)
        above += found.share > found.chance
    assert above <= 9
