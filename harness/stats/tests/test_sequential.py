"""Looking several times: levels against another integral, and false claims counted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import multivariate_normal

from harness.errors import SpecError
from harness.stats.estimate import Estimate, estimate
from harness.stats.sequential import LOOKS, levels

COMPARISONS = 800


@pytest.mark.parametrize("looks", [LOOKS, (2, 4, 6, 8, 10), (3, 5)])
def test_levels_add_up_by_the_normal_distribution_of_all_looks(looks: tuple[int, ...]) -> None:
    seeds = np.array(looks, dtype=np.float64)
    together = np.sqrt(np.minimum.outer(seeds, seeds) / np.maximum.outer(seeds, seeds))
    bounds = -ndtri(np.array(levels(looks)) / 2)
    law = multivariate_normal(cov=together, abseps=1e-6, maxpts=10**6, seed=1)
    assert law.cdf(bounds, lower_limit=-bounds) == pytest.approx(0.95, abs=1e-4)
    assert bounds * (seeds / seeds[-1]) ** 0.25 == pytest.approx(bounds[-1])


def test_one_look_has_the_whole_level() -> None:
    assert levels((5,)) == pytest.approx((0.05,))
    assert levels((5,), alpha=0.01) == pytest.approx((0.01,))


@pytest.mark.parametrize("looks", [(), (1, 3), (3, 3), (5, 3)])
def test_looks_rise_from_two_seeds_on(looks: tuple[int, ...]) -> None:
    with pytest.raises(SpecError, match="rising numbers of seeds"):
        levels(looks)


def of(pseudo: np.ndarray, name: str) -> Estimate:
    return estimate(pseudo.mean(axis=1), pseudo, np.ones(pseudo.shape[1]), runs=name, videos="test")


def test_false_claims_over_all_looks_are_as_rare_as_with_one() -> None:
    rng, asked, videos = np.random.default_rng(7), levels(LOOKS), 40
    declared = naive = 0
    for _ in range(COMPARISONS):
        shared = rng.normal(0.0, 1.0, videos)
        a, b = (
            shared
            + rng.normal(0.0, 0.3, (LOOKS[-1], 1))
            + rng.normal(0.0, 1.0, (LOOKS[-1], videos))
            for _ in range(2)
        )
        p = [(of(a[:seeds], "A") - of(b[:seeds], "B")).reference.p_value() for seeds in LOOKS]
        declared += any(value < level for value, level in zip(p, asked, strict=True))
        naive += any(value < 0.05 for value in p)
    reach = 0.05 + 3 * math.sqrt(0.05 * 0.95 / COMPARISONS)
    assert declared / COMPARISONS <= reach
    assert naive / COMPARISONS > reach


def test_five_equally_spaced_looks_have_the_known_constant() -> None:
    """Shape .25, five looks, alpha .05: the constant, which is the last bound, is 2.136."""
    assert -ndtri(levels((2, 4, 6, 8, 10))[-1] / 2) == pytest.approx(2.136, abs=0.001)
