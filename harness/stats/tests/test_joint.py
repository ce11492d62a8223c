"""All pairs together: against the studentised range, and honest where single tests are not."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from harness.stats import joint
from harness.stats.estimate import Estimate, RunPart, VideoPart, estimate
from harness.stats.joint import Joint


def of_runs(values, mean_square, degrees=1e6) -> list[Estimate]:
    """Systems that only their seeds vary, with a known variance."""
    size = 3
    return [
        Estimate(
            value=value,
            runs={f"s{i}": Known(np.full(size, math.sqrt(mean_square / size)), degrees)},
            videos={"test": VideoPart(influence=np.zeros(300), degrees=299.0)},
        )
        for i, value in enumerate(values)
    ]


class Known(RunPart):
    """A run part whose variance is known: as many degrees of freedom as said."""

    def __init__(self, deviation, degrees) -> None:
        super().__init__(deviation=deviation, rest=0.0)
        object.__setattr__(self, "_degrees", degrees)

    @property
    def degrees(self) -> float:
        return self._degrees


@pytest.mark.parametrize("systems", [3, 6, 10])
def test_the_first_step_is_tukeys_where_variances_are_known(systems: int) -> None:
    """The largest of all pairs' statistics is the studentised range over √2."""
    critical = stats.studentized_range.ppf(0.95, systems, 1e5) / math.sqrt(2)
    values = np.zeros(systems)
    values[0] = critical * math.sqrt(2.0)  # one pair's statistic at the critical value, variance 2
    family = Joint(of_runs(values, 1.0), seed=0).family(20_000)
    assert family.adjusted[:1].min() == pytest.approx(0.05, abs=0.006)


def test_two_systems_need_no_correction() -> None:
    joint = Joint(of_runs([0.0, 3.0], 1.0), seed=0)
    assert joint.family(20_000).adjusted[0] == pytest.approx(
        2 * stats.norm.sf(3.0 / math.sqrt(2)), abs=0.004
    )


def test_adjusted_p_values_keep_the_order_and_never_fall_below_the_single_ones() -> None:
    rng = np.random.default_rng(2)
    estimates = [
        estimate(x.mean(1), x, np.full(12, 4.0), runs=f"s{i}", videos="test")
        for i, x in enumerate(rng.normal(0, 1, (6, 3, 12)) + np.arange(6)[:, None, None] / 2)
    ]
    joint = Joint(estimates, seed=1)
    adjusted = joint.family(2000).adjusted
    single = [(a - b).reference.p_value() for a, b in itertools.combinations(estimates, 2)]
    assert (adjusted >= np.array(single) * (1 - 0.01)).all()
    order = np.argsort(single)
    assert (np.diff(adjusted[order]) >= 0).all()


def test_differences_are_those_of_the_estimates() -> None:
    rng = np.random.default_rng(3)
    estimates = [
        estimate(x.mean(1), x, np.arange(1.0, 10.0), runs=f"s{i}", videos="test")
        for i, seeds in enumerate((5, 1, 2, 2, 3))
        for x in (np.full((seeds, 1), i) + rng.normal(0, (1, 0.05)[i == 3], (seeds, 9)),)
    ]
    joint = Joint(estimates, seed=1)
    for k, (a, b) in enumerate(itertools.combinations(estimates, 2)):
        difference = a - b
        assert joint.effects[k] == pytest.approx(difference.value)
        assert joint.totals[k] == pytest.approx(difference.total)
        assert joint.rests[k] == pytest.approx(difference.rest)
        assert joint.degrees[k] == pytest.approx(difference.degrees)


@pytest.mark.parametrize(("seeds", "videos"), [(3, 200), (2, 30), (5, 8)])
def test_few_seeds_or_few_videos_make_no_more_false_claims(seeds: int, videos: int) -> None:
    """Six equal systems that seeds vary more than videos do; Holm over the same tests errs more."""
    rng, families = np.random.default_rng(seeds), 200
    false = missed = 0
    for i in range(families):
        shared = rng.normal(0, 0.5, videos)
        estimates = []
        for system in range(6):
            x = shared + rng.normal(0, 0.3, (seeds, 1)) + rng.normal(0, 1.0, (seeds, videos))
            estimates.append(
                estimate(x.mean(1), x, np.full(videos, 5.0), runs=f"s{system}", videos="test")
            )
        family = Joint(estimates, seed=i).family(400)
        false += bool((family.adjusted < 0.05).any())
        missed += bool(family.not_highest[0] < 0.05)  # each of the equal systems is the highest
    bound = 0.05 + 3 * math.sqrt(0.05 * 0.95 / families)
    assert false / families <= bound
    assert missed / families <= bound


def test_systems_that_are_the_same_are_never_told_apart() -> None:
    same = np.random.default_rng(4).normal(size=(1, 40))
    estimates = [
        estimate(same.mean(1), same, np.full(40, 2.0), runs=f"s{i}", videos="test")
        for i in range(3)
    ]
    family = Joint(estimates, seed=0).family(200)
    assert (family.adjusted == 1.0).all()
    assert (family.not_lowest == 1.0).all()


def test_what_is_drawn_repeats() -> None:
    estimates = of_runs([0.0, 1.0, 2.5], 1.0, degrees=4.0)
    first, again = (Joint(estimates, seed=7).family(300) for _ in range(2))
    other = Joint(estimates, seed=8).family(300)
    assert (first.adjusted == again.adjusted).all()
    assert (first.adjusted != other.adjusted).any()


@pytest.mark.parametrize("videos", [20, 90])
def test_slices_change_no_number(videos: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, estimates = np.random.default_rng(videos), []
    for system in range(5):
        x = rng.normal(system / 20, 1.0, (3, videos))
        estimates.append(
            estimate(x.mean(1), x, np.full(videos, 4.0), runs=f"s{system}", videos="test")
        )
    found = []
    for size in (1, 70, 2**30):  # one draw at a time, seven, all
        monkeypatch.setattr(joint, "_SLICE", size)
        found.append(Joint(estimates, seed=3).family(200))
    for family in found[1:]:
        assert (family.adjusted == found[0].adjusted).all()
        assert (family.not_lowest == found[0].not_lowest).all()
        assert (family.not_highest == found[0].not_highest).all()


def test_estimates_of_the_same_runs_are_not_subtracted() -> None:
    one, other = of_runs([0.0, 1.0], 1.0)
    with pytest.raises(ValueError, match="both estimates hold the runs of 's0'"):
        (one - other) - one


@pytest.mark.parametrize("shape", [(50,), (50, 3)])
def test_deviates_drawn_a_few_draws_at_a_time_are_those_drawn_at_once(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    influence = np.random.default_rng(1).standard_normal((4, 90))
    whole = joint._normal(shape, influence, np.random.default_rng(2))
    monkeypatch.setattr(joint, "_MOST", 90 * 3 * 8)
    sliced = joint._normal(shape, influence, np.random.default_rng(2))
    np.testing.assert_allclose(sliced, whole, rtol=1e-12, atol=1e-12)
