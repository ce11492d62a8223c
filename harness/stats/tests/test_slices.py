"""Comparisons on parts of the clips: each is that of its clips, all corrected together."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.data.datasets import datasets
from harness.errors import SubmissionError
from harness.stats import between_parts, compare, compare_slices
from harness.stats.slices import FEWEST_CLIPS, FEWEST_VIDEOS

MOSI = datasets["mosi"]
N = 240
VIDEOS = np.repeat(np.arange(20), 12)


def runs(seed: int, noise: float, truth: np.ndarray) -> np.ndarray:
    return truth + np.random.default_rng(seed).normal(0, noise, (3, N))


@pytest.fixture
def given():
    truth = np.random.default_rng(0).integers(-3, 4, N).astype(float)
    return runs(1, 0.5, truth), runs(2, 0.9, truth), truth, VIDEOS


def test_each_part_is_the_comparison_of_its_clips(given) -> None:
    a, b, truth, videos = given
    half = np.arange(N) % 2 == 0
    parts = {("x", "even"): half, ("x", "odd"): ~half, ("y", "strong"): np.abs(truth) > 1}
    found = compare_slices(*given, MOSI, metric="mae", parts=parts)
    for one, inside in zip(found, parts.values(), strict=True):
        alone = compare(
            a[:, inside], b[:, inside], truth[inside], videos[inside], "mae", dataset=MOSI
        )
        assert one.found is not None
        assert (one.found.effect, one.found.p_value) == (alone.effect, alone.p_value)
        assert (one.clips, one.videos) == (inside.sum(), len(set(videos[inside])))
    p = [one.found.p_value for one in found]
    first, second, third = sorted(range(3), key=p.__getitem__)
    stepped = {first: 3 * p[first]}
    stepped[second] = max(stepped[first], 2 * p[second])
    stepped[third] = max(stepped[second], p[third])
    expected = [min(1.0, stepped[place]) for place in range(3)]
    assert [one.p_adjusted for one in found] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("clips", "videos", "small"),
    [(FEWEST_CLIPS, 12, False), (FEWEST_CLIPS - 1, 12, True), (48, FEWEST_VIDEOS - 1, True)],
)
def test_of_small_parts_nothing_is_said(given, clips: int, videos: int, small: bool) -> None:
    inside = np.zeros(N, dtype=bool)
    inside[np.flatnonzero(np.arange(N) // 12 < videos)[:: 1 if videos < 5 else 7][:clips]] = True
    whole = np.ones(N, dtype=bool)
    parts = {("x", "part"): inside, ("x", "all"): whole}
    part, all_clips = compare_slices(*given, MOSI, metric="mae", parts=parts)
    assert (part.found is None) == small
    assert bool(part.too_small) == small
    assert math.isnan(part.p_adjusted) == small
    family = 1 if small else 2
    assert all_clips.p_adjusted <= family * all_clips.found.p_value + 1e-15


def test_equal_systems_are_seldom_told_apart_on_any_part() -> None:
    """Twelve parts of two equal systems: a false claim on any of them is as rare as one alone."""
    rng, sets, false = np.random.default_rng(5), 120, 0
    for _ in range(sets):
        truth = rng.integers(-3, 4, N).astype(float)
        shared = rng.normal(0, 0.4, 20)[VIDEOS]
        a, b = (truth + shared + rng.normal(0, 0.8, (3, N)) for _ in range(2))
        masks = [rng.random(N) < 0.5 for _ in range(6)]
        parts = {
            (str(i), side): m == (side == "in")
            for i, m in enumerate(masks)
            for side in ("in", "out")
        }
        found = compare_slices(a, b, truth, VIDEOS, MOSI, metric="mae", parts=parts)
        false += any(one.p_adjusted < 0.05 for one in found)
    assert false / sets <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / sets)


def test_one_part_against_another_is_what_a_t_test_says_of_videos_of_either() -> None:
    """Where no video is in both parts and each has one clip, the jackknife is Welch's variance."""
    rng = np.random.default_rng(6)
    truth, run = np.zeros(70), rng.normal(0, 1, 70) * np.repeat([0.5, 1.0], [30, 40])
    first = np.arange(70) < 30
    found = between_parts(run, truth, np.arange(70), "mae", first, ~first, dataset=MOSI, name="A")
    errors = np.abs(run)
    assert found.value == pytest.approx(errors[first].mean() - errors[~first].mean())
    welch = errors[first].var(ddof=1) / 30 + errors[~first].var(ddof=1) / 40
    assert found.total == pytest.approx(welch, rel=0.05)  # other divisors than n - 1
    assert found.degrees == pytest.approx(29, rel=0.01)


def test_intervals_between_parts_hold_the_planted_difference() -> None:
    """Videos with clips in both parts, seeds that differ, a system subtracted from a floor."""
    rng, hits, sets = np.random.default_rng(7), [], 400
    for _ in range(sets):
        inside = rng.random(N) < rng.uniform(0.1, 0.9, 20)[VIDEOS]
        by_video = 1 + rng.gamma(4.0, 0.1, 20)[VIDEOS]
        seeds = 1 + rng.gamma(4.0, 0.05, (4, 1))
        errors = by_video * seeds * np.where(inside, 1.3, 1.0) * rng.uniform(0, 1, (4, N))
        still = by_video * np.where(inside, 1.1, 1.0) * rng.uniform(0, 1, N)
        a, b = (
            between_parts(
                *(given, np.zeros(N), VIDEOS, "mae", inside, ~inside), dataset=MOSI, name=name
            )
            for given, name in ((errors, "A"), (still, "B"))
        )
        low, high = (a - b).reference.interval()
        hits.append(low <= 1.4 * 0.5 * (1.2 * 0.3 - 0.1) <= high)
    assert 0.92 <= np.mean(hits) <= 0.985


def test_a_part_of_one_video_is_held_against_nothing(given) -> None:
    a, _, truth, videos = given
    with pytest.raises(SubmissionError, match="fewer than two"):
        between_parts(*(a, truth, videos, "mae", videos == 0, videos > 0), dataset=MOSI, name="A")
