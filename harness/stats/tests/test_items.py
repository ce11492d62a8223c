"""Clips as test items, against SciPy, textbook tables and simulations with known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from harness.errors import SpecError
from harness.stats.items import against, difficulty, discrimination, parting, reliability


def planted(rng: np.random.Generator, systems: int, clips: int, noise: float):
    """Errors of systems whose skill counts a[i] times on clip i, which is b[i] hard."""
    skill = rng.normal(0.0, 1.0, systems)
    a, b = rng.uniform(-0.5, 2.5, clips), rng.normal(3.0, 1.0, clips)
    errors = b + skill[:, None] * a + rng.normal(0.0, noise, (systems, clips))
    return errors, a, b


def test_difficulty_is_a_t_interval_over_systems() -> None:
    errors = np.random.default_rng(0).gamma(2.0, 1.0, (7, 5))
    found = difficulty(errors)
    for clip, own in enumerate(errors.T):
        known = stats.ttest_1samp(own, 0.0).confidence_interval(0.95)
        assert found.low[clip] == pytest.approx(max(known.low, 0.0))
        assert found.high[clip] == pytest.approx(known.high)
    alone = difficulty(errors[:1])
    assert alone.value.tolist() == errors[0].tolist()
    assert np.isnan(alone.low).all()


def test_discrimination_is_the_slope_on_the_clips_of_other_videos() -> None:
    rng = np.random.default_rng(1)
    errors, _, _ = planted(rng, 9, 12, 0.3)
    videos = np.repeat(["a", "b", "c", "d"], 3)
    found = discrimination(errors, videos)
    for clip in range(12):
        line = stats.linregress(errors[:, videos != videos[clip]].mean(axis=1), errors[:, clip])
        reach = stats.t.ppf(0.975, 7) * line.stderr
        assert found.value[clip] == pytest.approx(line.slope)
        assert found.high[clip] - found.value[clip] == pytest.approx(reach)


@pytest.mark.parametrize(
    ("errors", "videos"),
    [
        (np.arange(8.0).reshape(2, 4), [0, 0, 1, 1]),  # two systems
        (np.arange(12.0).reshape(3, 4), [0, 0, 0, 0]),  # one video
        (np.tile(np.arange(4.0), (3, 1)), [0, 0, 1, 1]),  # equal systems
    ],
)
def test_what_tells_nothing_discriminates_nothing(errors, videos) -> None:
    assert np.isnan(discrimination(errors, videos).value).all()


def test_planted_difficulty_and_discrimination_are_in_their_intervals() -> None:
    rng = np.random.default_rng(2)
    hits = {"difficulty": [], "discrimination": []}
    for _ in range(40):
        errors, a, b = planted(rng, 8, 200, 0.5)
        videos = np.arange(200) // 4
        for name, found, truth in (
            ("difficulty", difficulty(errors), b),
            ("discrimination", discrimination(errors, videos), a / a.mean()),
        ):
            hits[name].append(np.mean((found.low <= truth) & (truth <= found.high)))
    # Systems are drawn anew each time, so that the truth is that of all systems.
    assert 0.92 < np.mean(hits["difficulty"]) < 0.98
    assert 0.93 < np.mean(hits["discrimination"]) < 0.97


def test_reliability_is_that_of_an_analysis_of_variance() -> None:
    rng = np.random.default_rng(3)
    errors = rng.normal(0.0, 1.0, 50) + rng.normal(0.0, 1.0, (6, 50)) + rng.normal(0, 1, (6, 1))
    own = errors - errors.mean(axis=0) - errors.mean(axis=1, keepdims=True) + errors.mean()
    of_clips = 6 * errors.mean(axis=0).var(ddof=1)
    rest = (own**2).sum() / (5 * 49)
    assert reliability(errors) == pytest.approx(1.0 - rest / of_clips)  # Hoyt's form
    assert abs(reliability(rng.normal(0.0, 1.0, (6, 5000)))) < 0.1
    assert math.isnan(reliability(errors[:1]))
    assert math.isnan(reliability(np.ones((3, 4))))


def test_two_systems_are_parted_by_welchs_test() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.normal(1.0, 0.2, (5, 30)), rng.normal(0.9, 0.5, (3, 30))
    found = parting(a, b)
    known = stats.ttest_ind(a, b, equal_var=False)
    interval = known.confidence_interval(0.95)
    assert found.p == pytest.approx(known.pvalue)
    assert found.difference.low == pytest.approx(interval.low)
    assert found.difference.high == pytest.approx(interval.high)
    assert found.q == pytest.approx(stats.false_discovery_control(known.pvalue))
    still = parting(a, b[:1], still=(False, True))
    assert still.p == pytest.approx(stats.ttest_1samp(a - b[0], 0.0).pvalue)


def test_what_seeds_do_is_not_made_up() -> None:
    a, b = np.array([[1.0, 2.0]]), np.array([[0.5, 2.0], [0.7, 2.0]])
    unseen = parting(a, b)
    assert unseen.difference.value == pytest.approx([0.4, 0.0])
    assert np.isnan([*unseen.difference.low, *unseen.p, *unseen.q]).all()
    exact = parting(a, b[:1], still=(True, True))
    assert exact.difference.low.tolist() == exact.difference.value.tolist() == [0.5, 0.0]
    assert parting(b, b).p.tolist() == [1.0, 1.0]  # on the second, no seed changes anything


def test_a_label_of_zero_has_no_side() -> None:
    runs = [np.array([[0.5, 0.5, -0.5]]), np.array([[0.1, 0.0, -0.1], [0.2, 0.1, -0.2]])]
    assert against(runs, [-1.0, -1.0, 0.0]).tolist() == [True, False, False]
    with pytest.raises(SpecError, match="no systems"):
        against([], [1.0])
