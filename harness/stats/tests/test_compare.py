"""The bootstrap against a naive loop that copies clips, and what a comparison reports."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.data.datasets import datasets
from harness.errors import SpecError, SubmissionError
from harness.metrics import Metric, metrics, metrics_for
from harness.stats import compare, crossed_t, tost
from harness.stats.resample import counts, evaluator, sums_of

WITH_SUMS = {"ccc", "r2", "calibration_slope", "constant", "macro_f1", "acc2_weak"}
CELLS = [(d, m.name) for d in ("mosi", "sims") for m in metrics_for(d)]


def example(dataset: str, seeds=(3, 2), clips=180, videos=12, noise=(0.6, 0.9), seed=0):
    """Predictions of A and B, labels on a coarse grid with zeros, uneven source videos."""
    generator = np.random.default_rng(seed)
    high = datasets[dataset].high
    truth = generator.integers(-5, 6, clips) / 5 * high
    groups = np.concatenate([np.arange(videos), generator.integers(videos, size=clips - videos)])
    runs = [
        truth + generator.normal(0, scale * high, (count, clips))
        for count, scale in zip(seeds, noise, strict=True)
    ]
    return *runs, truth, groups


def naive(runs, truth, groups, weights, metric: Metric, dataset: str):
    """(D, S): copy the clips of each drawn video as often as it was drawn, and score them."""
    table = []
    for draw in weights.astype(int):
        clips = [
            i
            for video, times in enumerate(draw)
            for i in np.flatnonzero(groups == video)
            for _ in range(times)
        ]
        table.append([metric(run[clips], truth[clips], dataset) for run in runs])
    return np.array(table)


@pytest.mark.parametrize(("dataset", "name"), CELLS)
def test_every_metric_equals_a_naive_loop(dataset: str, name: str) -> None:
    a, _, truth, groups = example(dataset)
    a[1], a[2, groups < 6] = 0.2, 0.4  # collapsed: everywhere, and in half of the videos
    weights = counts(12, 40, np.random.default_rng(1))
    weights[0] = [2.0] * 6 + [0.0] * 6
    metric = metrics[name]
    found = evaluator(a, truth.round(6), groups, metric.on(datasets[dataset]))(weights)
    expected = naive(a, truth, groups, weights, metric, dataset)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("dataset", "name"), CELLS)
def test_primary_metrics_never_take_the_slow_loop(dataset: str, name: str) -> None:
    a, _, truth, groups = example(dataset)
    found = sums_of(a, truth, groups, metrics[name].on(datasets[dataset]))
    assert (found is not None) == (metrics[name].primary or name in WITH_SUMS)


def test_seed_and_video_variation_are_both_in_the_interval() -> None:
    """Against draws that resample seeds and copied videos, by other random numbers."""
    a, b, truth, groups = example("mosi", seeds=(4, 3))
    found = compare(a, b, truth, groups, "mae", draws=4000, dataset="mosi")
    generator = np.random.default_rng(7)
    members = [np.flatnonzero(groups == video) for video in range(12)]
    reference = []
    for _ in range(4000):
        clips = np.concatenate([members[v] for v in generator.integers(12, size=12)])
        mean = [
            np.mean(
                [
                    np.abs(runs[s] - truth)[clips].mean()
                    for s in generator.integers(len(runs), size=len(runs))
                ]
            )
            for runs in (a, b)
        ]
        reference.append(mean[0] - mean[1])
    assert found.effect == pytest.approx(np.abs(a - truth).mean() - np.abs(b - truth).mean())
    assert found.standard_error == pytest.approx(np.std(reference), rel=0.06)
    assert (found.low, found.high) == pytest.approx(
        tuple(np.quantile(reference, [0.025, 0.975])), abs=0.1 * np.std(reference) * 4
    )


def test_swapping_systems_mirrors_the_direction() -> None:
    a, b, truth, groups = example("mosi", seeds=(1, 1))
    ab = compare(a, b, truth, groups, "mae", draws=500, dataset="mosi")
    ba = compare(b, a, truth, groups, "mae", draws=500, dataset="mosi")
    assert (ab.effect, ab.low, ab.high) == pytest.approx((-ba.effect, -ba.high, -ba.low))
    assert ab.p_value == ba.p_value
    assert ab.probability_better == pytest.approx(1 - ba.probability_better)
    assert ab.verdict() == "a better"
    assert ba.verdict() == "b better"


def test_the_same_seed_repeats_and_another_does_not() -> None:
    arguments = (*example("sims"), "corr")
    first, again, other = (
        compare(*arguments, draws=300, seed=seed, dataset="sims") for seed in (1, 1, 2)
    )
    assert np.array_equal(first.distribution.draws, again.distribution.draws)
    assert not np.array_equal(first.distribution.draws, other.distribution.draws)


@pytest.mark.parametrize("interval", ["percentile", "bca"])
@pytest.mark.parametrize("name", [m.name for m in metrics_for("mosi", primary=True)])
def test_interval_and_p_agree(name: str, interval) -> None:
    for seed in range(6):
        data = example("mosi", noise=(0.6, 0.66), seed=seed)
        found = compare(*data, name, draws=999, dataset="mosi", interval=interval)
        assert (found.p_value < 0.05) == (not found.low <= 0 <= found.high)


def test_identical_systems_do_not_differ() -> None:
    a, _, truth, groups = example("mosi", seeds=(1, 1))
    found = compare(a, a, truth, groups, "mae", draws=200, dataset="mosi")
    assert (found.effect, found.p_value, found.probability_better) == (0.0, 1.0, 0.5)
    assert found.verdict(margin=0.01) == "equivalent"
    assert found.verdict() == "undecided"


def test_equal_differences_everywhere_do_not_give_p_zero() -> None:
    _, _, truth, groups = example("mosi")
    found = compare(truth + 0.1, truth + 0.2, truth, groups, "mae", draws=199, dataset="mosi")
    assert found.p_value == pytest.approx(2 / 200)
    assert found.verdict(margin=0.5) == "negligible"


@pytest.mark.parametrize(("seeds", "single"), [((1, 1), True), ((5, 1), True), ((2, 3), False)])
def test_single_runs_are_flagged(seeds: tuple[int, int], single: bool) -> None:
    found = compare(*example("mosi", seeds=seeds), "mae", draws=100, dataset="mosi")
    assert found.conditional_on_one_run is single
    assert found.seeds == seeds
    assert ("seeds" in found.method) == (seeds != (1, 1))


def test_an_undefined_metric_stays_undefined() -> None:
    a, b, truth, groups = example("mosi")
    a[0] = 0.3
    found = compare(a, b, truth, groups, "corr", draws=100, dataset="mosi")
    assert math.isnan(found.effect)
    assert math.isnan(found.p_value)
    assert math.isnan(found.low)
    assert found.verdict(margin=0.1) == "undefined"
    assert found.undefined_draws == 100


def test_a_metric_without_direction_has_no_winner() -> None:
    _, _, truth, groups = example("mosi")
    found = compare(truth, 2 * truth, truth, groups, "calibration_slope", 100, dataset="mosi")
    assert found.verdict() == "different"
    assert math.isnan(found.probability_better)


def test_equivalence_needs_the_interval_inside_the_margin() -> None:
    found = compare(*example("mosi"), "mae", draws=999, dataset="mosi")
    low, high = found.distribution.interval(0.9)
    reach = max(abs(low), abs(high))
    assert tost(found, margin=reach * 1.1).equivalent
    assert not tost(found, margin=reach * 0.9).equivalent
    assert tost(found).margin == 0.01
    with pytest.raises(SpecError, match="declares no equivalence margin for corr"):
        tost(compare(*example("mosi"), "corr", draws=100, dataset="mosi"))
    with pytest.raises(SpecError, match="positive"):
        tost(found, margin=0.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pred_a": np.zeros((2, 5))}, "one prediction per label"),
        ({"pred_a": np.zeros((2, 2, 5))}, "shape"),
        ({"pred_a": np.zeros((0, 180))}, "shape"),
        ({"clusters": np.zeros(5)}, "one source video per clip"),
        ({"clusters": np.zeros(180)}, "one source video:"),
        ({"pred_b": np.full((1, 180), np.nan)}, "finite"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, message: str) -> None:
    a, b, truth, groups = example("mosi")
    arguments = {"pred_a": a, "pred_b": b, "truth": truth, "clusters": groups} | change
    with pytest.raises(SubmissionError, match=message):
        compare(**arguments, metric="mae", dataset="mosi")


def test_too_few_draws_are_refused() -> None:
    with pytest.raises(SpecError, match="100 draws"):
        compare(*example("mosi"), "mae", draws=10, dataset="mosi")


@pytest.mark.parametrize("name", ["mae", "acc2_non0", "acc7"])
def test_the_analytic_twin_is_at_most_the_bootstrap(name: str) -> None:
    """Owen's bounds: one to three times the variance, three where only residuals vary."""
    data = example("mosi", seeds=(6, 4), clips=2000, videos=60)
    boot = compare(*data, name, draws=4000, dataset="mosi")
    twin = crossed_t(*data, name, dataset="mosi")
    assert twin.effect == pytest.approx(boot.effect)
    ratio = boot.standard_error / twin.standard_error
    assert 0.95 <= ratio <= 1.05 * math.sqrt(3)
    assert twin.low < twin.effect < twin.high


def test_the_analytic_twin_refuses_other_metrics() -> None:
    with pytest.raises(SpecError, match="f1_non0 is not one"):
        crossed_t(*example("mosi"), "f1_non0", dataset="mosi")
