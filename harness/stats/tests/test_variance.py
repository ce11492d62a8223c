"""Variance components: closed forms, known populations, and what follows from them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.datasets import datasets
from harness.errors import SpecError, SubmissionError
from harness.metrics import metrics
from harness.stats import resolution
from harness.stats.estimate import estimate
from harness.stats.variance import (
    SOURCES,
    Components,
    SeedTerms,
    clip_scores,
    components,
    components_of_difference,
)

UNEQUAL = np.repeat(np.arange(14), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 3, 20])
SD = {"seed": 0.3, "video": 0.5, "clip": 0.8, "seed_video": 0.2, "seed_clip": 0.6}


def simulate(generator, videos, runs, sd):
    """(S, N) scores of one system under the model."""
    count = videos.max() + 1
    return (
        sd["seed"] * generator.normal(size=(runs, 1))
        + sd["video"] * generator.normal(size=count)[videos]
        + sd["clip"] * generator.normal(size=videos.size)
        + sd["seed_video"] * generator.normal(size=(runs, count))[:, videos]
        + sd["seed_clip"] * generator.normal(size=(runs, videos.size))
    )


def balanced_anova(cube):
    """The textbook table for (runs, videos, clips of a video), all equal in number."""
    runs, videos, clips = cube.shape
    total = cube.mean()
    run, video = cube.mean(axis=(1, 2)), cube.mean(axis=(0, 2))
    clip, cell = cube.mean(axis=0), cube.mean(axis=2)
    ms_run = videos * clips * ((run - total) ** 2).sum() / (runs - 1)
    ms_video = runs * clips * ((video - total) ** 2).sum() / (videos - 1)
    ms_clip = runs * ((clip - video[:, None]) ** 2).sum() / (videos * (clips - 1))
    cross = cell - run[:, None] - video + total
    ms_cross = clips * (cross**2).sum() / ((runs - 1) * (videos - 1))
    rest = cube - cell[:, :, None] - clip + video[:, None]
    ms_rest = (rest**2).sum() / ((runs - 1) * videos * (clips - 1))
    return {
        "seed": (ms_run - ms_cross) / (videos * clips),
        "video": (ms_video - ms_clip - ms_cross + ms_rest) / (runs * clips),
        "clip": (ms_clip - ms_rest) / runs,
        "seed_video": (ms_cross - ms_rest) / clips,
        "seed_clip": ms_rest,
    }


@pytest.mark.parametrize("shape", [(2, 2, 2), (5, 7, 4), (3, 12, 9)])
def test_equal_videos_give_the_textbook_table(shape) -> None:
    cube = np.random.default_rng(3).normal(size=shape) + np.arange(shape[1])[:, None]
    videos = np.repeat(np.arange(shape[1]), shape[2])
    found = components(cube.reshape(shape[0], -1), videos)
    assert found.estimates == pytest.approx(balanced_anova(cube))
    assert found.effective_videos == pytest.approx(shape[1])


def test_the_order_and_names_of_videos_do_not_matter() -> None:
    generator = np.random.default_rng(1)
    scores = simulate(generator, UNEQUAL, 3, SD)
    order = generator.permutation(UNEQUAL.size)
    named = np.array([f"v{video}" for video in UNEQUAL], dtype=object)
    shuffled = components(scores[:, order], named[order])
    assert shuffled.estimates == pytest.approx(components(scores, UNEQUAL).estimates)


def test_estimates_are_unbiased_for_unequal_videos() -> None:
    generator = np.random.default_rng(11)
    found = [components(simulate(generator, UNEQUAL, 4, SD), UNEQUAL) for _ in range(1500)]
    for source in SOURCES:
        draws = np.array([one.estimates[source] for one in found])
        error = draws.std(ddof=1) / math.sqrt(draws.size)
        assert draws.mean() == pytest.approx(SD[source] ** 2, abs=4 * error), source


def test_of_two_systems_only_what_differs_between_them_counts() -> None:
    generator = np.random.default_rng(5)
    own = dict.fromkeys(SD, 0.0) | {"video": 0.3, "clip": 0.4}
    quiet, loud = SD | {"video": 0.0, "clip": 0.0}, SD | {"video": 0.0, "clip": 0.0, "seed": 0.6}
    found = []
    for _ in range(1200):
        common = simulate(generator, UNEQUAL, 1, dict.fromkeys(SD, 0.0) | {"video": 3, "clip": 3})
        a = common + simulate(generator, UNEQUAL, 1, own) + simulate(generator, UNEQUAL, 3, quiet)
        b = common + simulate(generator, UNEQUAL, 6, loud)
        found.append(components_of_difference(a, b, UNEQUAL))
    expected = {
        "seed": SD["seed"] ** 2 + 0.6**2,
        "video": 0.3**2,
        "clip": 0.4**2,
        "seed_video": 2 * SD["seed_video"] ** 2,
        "seed_clip": 2 * SD["seed_clip"] ** 2,
    }
    for source in SOURCES:
        draws = np.array([one.estimates[source] for one in found])
        error = draws.std(ddof=1) / math.sqrt(draws.size)
        assert draws.mean() == pytest.approx(expected[source], abs=4 * error), source


@pytest.mark.parametrize("loudest", SOURCES)
def test_the_standard_error_is_the_spread_of_means_in_new_studies(loudest) -> None:
    generator = np.random.default_rng(8)
    sd = SD | {loudest: 4.0}  # so that every source decides one of the cases
    truth = known({name: value**2 for name, value in sd.items()}, UNEQUAL, runs=3)
    means = [simulate(generator, UNEQUAL, 3, sd).mean() for _ in range(4000)]
    assert truth.standard_error() == pytest.approx(np.std(means), rel=0.04)


def test_equal_videos_agree_with_the_crossed_variance() -> None:
    generator = np.random.default_rng(2)
    videos = np.repeat(np.arange(20), 6)
    own = SD | {"seed": 1.0}
    a, b = simulate(generator, videos, 4, own), simulate(generator, videos, 7, own)
    found = components_of_difference(a, b, videos)
    of_videos = [x.reshape(-1, 20, 6).mean(axis=2) for x in (a, b)]
    one, other = (
        estimate(x.mean(axis=1), x, np.full(20, 6.0), runs=name, videos="test")
        for name, x in zip("ab", of_videos, strict=True)
    )
    law = (one - other).reference
    assert found.floored == ()
    assert found.mean == pytest.approx(law.effect)
    assert found.standard_error() == pytest.approx(law.standard_error())


def known(variances, videos, runs=5) -> Components:
    """Components with given variances, for the layout of ``videos``."""
    blank = components(np.zeros((2, videos.size)), videos)
    return Components(
        mean=0.0,
        clips=blank.clips,
        videos=blank.videos,
        effective_videos=blank.effective_videos,
        video=variances["video"],
        clip=variances["clip"],
        systems=(
            SeedTerms(
                runs=runs,
                seed=variances["seed"],
                seed_video=variances["seed_video"],
                seed_clip=variances["seed_clip"],
            ),
        ),
    )


def test_an_estimate_below_zero_is_floored_and_named() -> None:
    noise = np.random.default_rng(0).normal(size=(2, UNEQUAL.size))
    scores = noise - noise.mean(axis=1, keepdims=True)  # all runs have one mean
    found = components(scores, UNEQUAL)
    assert found.estimates["seed"] < 0
    assert "seed" in found.floored
    assert found.variances["seed"] == 0
    assert sum(found.shares.values()) == pytest.approx(100)
    assert min(found.of_mean().values()) >= 0


def test_one_run_has_no_seed_terms() -> None:
    scores = np.random.default_rng(0).normal(size=(1, UNEQUAL.size))
    found = components(scores, UNEQUAL)
    assert [found.estimates[name] for name in ("seed", "seed_video", "seed_clip")] == [0, 0, 0]
    assert found.runs_needed(1.01 * found.floor) == 1
    assert found.runs_needed(0.99 * found.floor) is None


def test_with_one_clip_per_video_they_are_one_source() -> None:
    generator = np.random.default_rng(4)
    sd = SD | {"video": 0.0, "seed_video": 0.0}
    found = components(simulate(generator, np.arange(4000), 3, sd), np.arange(4000))
    assert found.clip == 0
    assert found.video == pytest.approx(SD["clip"] ** 2, rel=0.1)
    assert found.estimates["seed_clip"] == 0
    assert found.estimates["seed_video"] == pytest.approx(SD["seed_clip"] ** 2, rel=0.1)


def test_scores_that_never_vary_have_no_shares() -> None:
    found = components(np.ones((3, UNEQUAL.size)), UNEQUAL)
    assert all(math.isnan(share) for share in found.shares.values())
    assert found.standard_error() == 0


positive = st.floats(1e-6, 1.0)


@given(st.fixed_dictionaries(dict.fromkeys(SOURCES, positive)), st.floats(1e-3, 3.0))
def test_seeds_needed_is_the_smallest_number_that_suffices(variances, delta) -> None:
    found = known(variances, UNEQUAL)
    needed = found.runs_needed(delta)
    if needed is None:
        assert found.floor >= delta
        assert found.detectable(10**9) >= delta
    else:
        assert found.detectable(needed) <= delta * (1 + 1e-9)
        assert needed == 2 or found.detectable(needed - 1) > delta * (1 - 1e-9)
        assert found.floor < delta


def test_the_floor_is_what_more_seeds_approach() -> None:
    found = known({name: sd**2 for name, sd in SD.items()}, UNEQUAL)
    detectable = [found.detectable(runs) for runs in (2, 5, 10, 100, 10**8)]
    assert detectable == sorted(detectable, reverse=True)
    assert detectable[-1] == pytest.approx(found.floor, rel=1e-6)
    assert found.detectable() == resolution(found.standard_error(5))
    with pytest.raises(SpecError, match="positive"):
        found.runs_needed(0.0)


@pytest.mark.parametrize(
    ("dataset", "metric"),
    [
        *(("mosi", name) for name in ("mae", "acc2_has0", "acc2_non0", "acc3", "acc5", "acc7")),
        *(("sims", name) for name in ("mae", "acc2", "acc2_non0", "acc2_weak", "acc3", "acc5")),
    ],
)
def test_scores_per_clip_average_to_the_metric(dataset, metric) -> None:
    generator = np.random.default_rng(7)
    high = datasets[dataset].high
    truth = generator.integers(-5, 6, 80) / 5 * high
    pred = truth + generator.normal(size=(3, 80))
    scores, counted = clip_scores(pred, truth, metrics[metric], datasets[dataset])
    expected = [metrics[metric](run, truth, dataset) for run in pred]
    assert scores.mean(axis=1) == pytest.approx(expected)
    assert scores.shape == (3, counted.sum())


@pytest.mark.parametrize("metric", ["corr", "f1_non0", "spearman"])
def test_other_metrics_have_no_components(metric) -> None:
    truth = np.linspace(-3, 3, 20)
    with pytest.raises(SpecError, match="not a mean over clips"):
        clip_scores(truth[None], truth, metrics[metric], datasets["mosi"])


@pytest.mark.parametrize(
    ("scores", "videos", "message"),
    [
        (np.ones((2, 5)), np.zeros(5), "one source video"),
        (np.ones((2, 5)), np.arange(4), "one source video per clip"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(scores, videos, message) -> None:
    with pytest.raises(SubmissionError, match=message):
        components(scores, videos)


def test_two_systems_are_scored_on_the_same_clips() -> None:
    with pytest.raises(SubmissionError, match="same clips"):
        components_of_difference(np.ones((2, 5)), np.ones((2, 6)), np.arange(5))
