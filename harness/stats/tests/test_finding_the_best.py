"""How often k seeds find the best: closed forms, simulation, coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from harness.errors import SpecError
from harness.stats.finding import chance_of_best, finds_best

MEANS = np.array([0.72, 0.73, 0.735, 0.75, 0.78])
SDS = np.array([0.010, 0.017, 0.020, 0.015, 0.03])


@pytest.mark.parametrize("k", [1, 3, 10])
def test_of_two_systems_it_is_the_normal_law_of_their_difference(k: int) -> None:
    expected = stats.norm.cdf(0.01 / math.sqrt((0.010**2 + 0.017**2) / k))
    assert chance_of_best(MEANS[:2], SDS[:2], k) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("systems", [2, 5])
def test_equal_systems_are_found_as_often_as_by_lot(systems: int) -> None:
    found = chance_of_best(np.full(systems, 0.7), np.full(systems, 0.02), 5)
    assert found == pytest.approx(1 / systems, abs=1e-6)


@pytest.mark.parametrize("k", [1, 5])
def test_it_is_the_share_of_simulated_studies(k: int) -> None:
    generator = np.random.default_rng(k)
    seen = MEANS + SDS / math.sqrt(k) * generator.standard_normal((200_000, 5))
    share = (seen.argmin(axis=1) == 0).mean()
    assert chance_of_best(MEANS, SDS, k) == pytest.approx(share, abs=0.004)


def test_more_seeds_find_it_oftener_and_the_interval_holds_the_estimate() -> None:
    generator = np.random.default_rng(0)
    costs = (MEANS[:, None] + SDS[:, None] * generator.standard_normal((5, 10))).tolist()
    found = [finds_best(costs, k) for k in (1, 3, 5, 10)]
    chances = [one.probability for one in found]
    assert chances == sorted(chances)
    assert all(one.low <= one.probability <= one.high for one in found)
    assert finds_best(costs, 3) == found[1]


def test_the_interval_covers_the_truth() -> None:
    generator, truth, held = np.random.default_rng(2), chance_of_best(MEANS, SDS, 3), 0
    for _ in range(60):
        costs = MEANS[:, None] + SDS[:, None] * generator.standard_normal((5, 10))
        found = finds_best(costs.tolist(), 3)
        held += found.low <= truth <= found.high
    assert held / 60 >= 0.9


@pytest.mark.parametrize(
    ("costs", "k", "message"),
    [
        ([[0.7, 0.8]], 1, "two systems and a seed, found 1 and 1"),
        ([[0.7, 0.8], [0.7, 0.9]], 0, "found 2 and 0"),
        ([[0.7, 0.8], [0.7]], 1, "two seeds or more, found 1"),
        ([[0.7, 0.8], [0.7, 0.7]], 1, "the same for every seed"),
        ([[0.7, 0.8], [0.7, math.nan]], 1, "undefined"),
    ],
)
def test_what_has_no_law_is_refused(costs: list[list[float]], k: int, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        finds_best(costs, k)
