"""What a comparison reports, against closed forms and loops that leave videos out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from harness.data.datasets import datasets
from harness.errors import SpecError, SubmissionError
from harness.metrics import metrics, metrics_for
from harness.stats import compare, compare_run_by_run, tost

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


def left_out(runs, truth, groups, metric, dataset):
    """(S,) values and (S, V) pseudo-values by copying the clips of all other videos."""
    videos = len(set(groups))
    whole = np.array([metric(run, truth, dataset) for run in runs])
    rest = [
        [metric(run[groups != v], truth[groups != v], dataset) for v in range(videos)]
        for run in runs
    ]
    return whole, videos * whole[:, None] - (videos - 1) * np.array(rest)


def crossed(a, b):
    """T, E and degrees of (S, V) scores, from the sums of squares of two-way tables."""
    parts, degrees, rest = [], [], 0.0
    videos = a.shape[1]
    for x in (a, b):
        seeds = len(x)
        if seeds > 1:
            parts.append(np.var(x.mean(1), ddof=1) / seeds)
            degrees.append(seeds - 1)
            residual = x - x.mean(1)[:, None] - x.mean(0) + x.mean()
            rest += (residual**2).sum() / ((seeds - 1) * (videos - 1)) / (seeds * videos)
    parts.append(np.var(a.mean(0) - b.mean(0), ddof=1) / videos)
    return np.array(parts), rest, degrees


@pytest.mark.parametrize(("dataset", "name"), CELLS)
def test_the_variance_is_that_of_crossed_factors_for_every_metric(dataset: str, name: str) -> None:
    a, b, truth, groups = example(dataset, clips=120, videos=8)
    found = compare(a, b, truth, groups, name, dataset=dataset)
    (value_a, x), (value_b, y) = (
        left_out(runs, truth, groups, metrics[name], dataset) for runs in (a, b)
    )
    assert found.effect == pytest.approx(value_a.mean() - value_b.mean(), abs=1e-9)
    parts, rest, degrees = crossed(x, y)
    sizes = np.bincount(groups)
    degrees = np.array([*degrees, sizes.sum() ** 2 / (sizes**2).sum() - 1])
    total = parts.sum()
    assert found.difference.total == pytest.approx(total, rel=1e-6, abs=1e-15)
    assert found.difference.rest == pytest.approx(rest, rel=1e-6, abs=1e-15)
    assert found.standard_error**2 == pytest.approx(max(total - rest, rest), rel=1e-6, abs=1e-15)
    if total > 1e-12:
        least = [0.15 if len(runs) == 2 else 0.0 for runs in (a, b) if len(runs) > 1]
        seen = np.maximum(parts, total * np.array([*least, 0.0]))
        satterthwaite = total**2 / (seen**2 / degrees).sum()
        assert found.degrees == pytest.approx(max(satterthwaite, 1.0), rel=1e-6)


def test_with_one_run_each_and_equal_videos_it_is_the_t_test_over_videos() -> None:
    rng = np.random.default_rng(3)
    truth, groups = rng.integers(-5, 6, 120) / 5.0, np.repeat(np.arange(24), 5)
    a, b = truth + rng.normal(0, 0.6, 120), truth + rng.normal(0, 0.7, 120)
    found = compare(a, b, truth, groups, "mae", dataset="mosi")
    by_video = [np.abs(run - truth).reshape(24, 5).mean(1) for run in (a, b)]
    theirs = stats.ttest_rel(*by_video)
    assert found.p_value == pytest.approx(theirs.pvalue, rel=1e-4)
    interval = theirs.confidence_interval()
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-4)


def test_two_seeds_that_agree_by_chance_do_not_make_many_degrees_of_freedom() -> None:
    rng = np.random.default_rng(5)
    truth, groups = np.zeros(2000), np.repeat(np.arange(500), 4)
    a, b = (rng.normal(0, 1, 2000) for _ in range(2))
    twice, thrice = (
        compare(np.stack([a] * n), np.stack([b] * n), truth, groups, "mae", dataset="mosi")
        for n in (2, 3)
    )
    assert twice.degrees == pytest.approx(1 / (2 * 0.15**2 + 1 / 499))
    assert thrice.degrees == pytest.approx(499)
    assert twice.standard_error == pytest.approx(thrice.standard_error)
    assert twice.p_value > thrice.p_value


def test_when_only_seeds_vary_it_is_welchs_test() -> None:
    """Runs shifted by a constant each: no video tells them apart."""
    rng = np.random.default_rng(4)
    truth, groups = np.zeros(60), np.repeat(np.arange(12), 5)
    shifts = rng.normal(1.0, 0.2, 3), rng.normal(1.3, 0.4, 5)
    a, b = (np.repeat(shift[:, None], 60, axis=1) for shift in shifts)
    found = compare(a, b, truth, groups, "mae", dataset="mosi")
    theirs = stats.ttest_ind(*shifts, equal_var=False)
    assert found.p_value == pytest.approx(theirs.pvalue, rel=1e-4)
    assert found.degrees == pytest.approx(theirs.df)


def test_neither_the_order_of_clips_nor_names_of_videos_matter() -> None:
    a, b, truth, groups = example("sims")
    order = np.random.default_rng(0).permutation(truth.size)
    names = np.array([f"v{(7 * g) % 12}" for g in groups])
    first = compare(a, b, truth, groups, "corr", dataset="sims")
    again = compare(a[:, order], b[:, order], truth[order], names[order], "corr", dataset="sims")
    assert again.p_value == pytest.approx(first.p_value, rel=1e-9)
    assert (again.low, again.high) == pytest.approx((first.low, first.high), rel=1e-9)


def test_swapping_systems_mirrors_the_direction() -> None:
    a, b, truth, groups = example("mosi", seeds=(1, 1))
    ab = compare(a, b, truth, groups, "mae", dataset="mosi")
    ba = compare(b, a, truth, groups, "mae", dataset="mosi")
    assert (ab.effect, ab.low, ab.high) == pytest.approx((-ba.effect, -ba.high, -ba.low))
    assert ab.p_value == ba.p_value
    assert ab.probability_better == pytest.approx(1 - ba.probability_better)
    assert ab.verdict() == "a better"
    assert ba.verdict() == "b better"


@pytest.mark.parametrize("name", [m.name for m in metrics_for("mosi", primary=True)])
def test_interval_and_p_agree(name: str) -> None:
    for seed in range(6):
        data = example("mosi", noise=(0.6, 0.66), seed=seed)
        found = compare(*data, name, dataset="mosi")
        assert (found.p_value < 0.05) == (not found.low <= 0 <= found.high)


def test_identical_systems_do_not_differ() -> None:
    a, _, truth, groups = example("mosi", seeds=(1, 1))
    found = compare(a, a, truth, groups, "mae", dataset="mosi")
    assert (found.effect, found.p_value, found.probability_better) == (0.0, 1.0, 0.5)
    assert found.verdict(margin=0.01) == "equivalent"
    assert found.verdict() == "undecided"


def test_equal_differences_everywhere_leave_no_doubt() -> None:
    _, _, truth, groups = example("mosi")
    found = compare(truth + 0.125, truth + 0.25, truth, groups, "mae", dataset="mosi")
    assert found.p_value == 0
    assert (found.low, found.high) == pytest.approx((-0.125, -0.125))
    assert found.verdict(margin=0.5) == "negligible"


@pytest.mark.parametrize(("seeds", "single"), [((1, 1), True), ((5, 1), True), ((2, 3), False)])
def test_single_runs_are_flagged(seeds: tuple[int, int], single: bool) -> None:
    found = compare(*example("mosi", seeds=seeds), "mae", dataset="mosi")
    assert found.conditional_on_one_run is single
    assert found.seeds == seeds


def test_an_undefined_metric_stays_undefined() -> None:
    a, b, truth, groups = example("mosi")
    a[0] = 0.3
    found = compare(a, b, truth, groups, "corr", dataset="mosi")
    assert math.isnan(found.effect)
    assert math.isnan(found.p_value)
    assert math.isnan(found.low)
    assert found.verdict(margin=0.1) == "undefined"


def test_a_metric_without_direction_has_no_winner() -> None:
    _, _, truth, groups = example("mosi")
    found = compare(truth, 2 * truth, truth, groups, "calibration_slope", dataset="mosi")
    assert found.verdict() == "different"
    assert math.isnan(found.probability_better)


def test_equivalence_needs_the_interval_inside_the_margin() -> None:
    found = compare(*example("mosi"), "mae", dataset="mosi")
    low, high = found.reference.interval(0.9)
    reach = max(abs(low), abs(high))
    assert tost(found, margin=reach * 1.1).equivalent
    assert not tost(found, margin=reach * 0.9).equivalent
    assert tost(found).margin == 0.01
    with pytest.raises(SpecError, match="declares no equivalence margin for corr"):
        tost(compare(*example("mosi"), "corr", dataset="mosi"))
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


# Run by run


def test_run_by_run_is_the_two_way_layout_of_the_differences():
    """For MAE, whose video means are its pseudo-values where videos have as many clips."""
    generator = np.random.default_rng(3)
    seeds, videos, clips = 4, 12, 5
    truth = generator.uniform(-3, 3, videos * clips)
    groups = np.repeat(np.arange(videos), clips)
    a, b = (truth + generator.normal(0, s, (seeds, truth.size)) for s in (1.0, 1.2))
    b += generator.normal(0, 1, (seeds, 1)) + np.repeat(generator.normal(0, 1, videos), clips)
    found = compare_run_by_run(a, b, truth, groups, "mae", dataset="mosi")
    errors = [np.abs(pred - truth).reshape(seeds, videos, clips).mean(axis=2) for pred in (a, b)]
    gaps = errors[0] - errors[1]  # (S, V)
    grand, by_seed, by_video = gaps.mean(), gaps.mean(axis=1), gaps.mean(axis=0)
    rest = ((gaps - by_seed[:, None] - by_video + grand) ** 2).sum() / ((seeds - 1) * (videos - 1))
    mean_squares = (videos * by_seed.var(ddof=1), seeds * by_video.var(ddof=1), rest)
    variance = (mean_squares[0] + mean_squares[1] - mean_squares[2]) / (seeds * videos)
    assert found.effect == pytest.approx(grand, rel=1e-5)
    assert found.standard_error == pytest.approx(math.sqrt(variance), rel=1e-4)
    assert (found.seeds, found.videos) == ((seeds, seeds), videos)


def test_run_by_run_what_seeds_share_cancels():
    """Runs that differ much from seed to seed, and little by what was done to each."""
    generator = np.random.default_rng(0)
    truth = np.linspace(-3, 3, 120)
    groups = np.repeat(np.arange(24), 5)
    common = truth + generator.normal(0, 1, (5, truth.size)) + generator.normal(0, 1, (5, 1))
    better = truth + 0.98 * (common - truth)
    paired = compare_run_by_run(better, common, truth, groups, "mae", dataset="mosi")
    apart = compare(better, common, truth, groups, "mae", dataset="mosi")
    assert paired.effect == pytest.approx(apart.effect)
    assert paired.standard_error < 0.1 * apart.standard_error
    assert paired.high < 0


def test_run_by_run_the_same_predictions_differ_by_nothing():
    truth = np.linspace(-3, 3, 40)
    runs = truth + np.array([[0.3], [0.5]])
    found = compare_run_by_run(runs, runs, truth, np.repeat(np.arange(8), 5), "mae", dataset="mosi")
    assert (found.effect, found.low, found.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_run_by_run_takes_as_many_runs_of_either():
    truth = np.linspace(-3, 3, 40)
    with pytest.raises(SubmissionError, match="found 2 of A and 1 of B"):
        compare_run_by_run(
            np.stack([truth, truth]),
            truth,
            truth,
            np.repeat(np.arange(8), 5),
            "mae",
            dataset="mosi",
        )
