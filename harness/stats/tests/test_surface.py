"""Surfaces: what they say of one cell is what a comparison says; bands cover the largest."""

from __future__ import annotations

import numpy as np
import pytest

from harness.data.datasets import datasets
from harness.data.split_labels import SplitLabels
from harness.errors import SpecError
from harness.metrics import metrics
from harness.stats import fields_of
from harness.stats.estimate import Estimate, RunPart, VideoPart
from harness.stats.surface import Surface, largest, sample

DATASET = datasets["mosi"]
NAMES = ("mae", "corr", "acc2_non0", "f1_non0")


def labelled(truth, videos):
    return SplitLabels(
        dataset=DATASET,
        split="test",
        ids=tuple(map(str, range(len(truth)))),
        videos=videos.astype(str),
        labels=truth,
    )


@pytest.fixture(scope="module")
def clips():
    rng = np.random.default_rng(0)
    truth = rng.uniform(-3, 3, 150).round(1)
    pred = truth + rng.normal(size=(3, 20, 1)) / 5 + rng.normal(size=(3, 20, 150))
    return pred, truth, rng.integers(0, 12, 150)


@pytest.mark.parametrize("name", NAMES)
def test_values_are_those_of_the_metric(clips, name):
    pred, truth, videos = clips
    surface = Surface.of("x", pred, metrics[name], sample(labelled(truth, videos)))
    expected = [
        np.mean([metrics[name](run[cell], truth, DATASET) for run in pred]) for cell in range(20)
    ]
    np.testing.assert_allclose(surface.values, expected)
    assert surface.area([3, 5, 7]).value == pytest.approx(
        np.mean([expected[place] for place in (3, 5, 7)])
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_cell_is_estimated_as_it_is_by_itself(clips, name):
    pred, truth, videos = clips
    surface = Surface.of("x", pred, metrics[name], sample(labelled(truth, videos)))
    alone = fields_of({"x": pred[:, 4]}, truth, videos, [name], dataset=DATASET)[name]
    cell, usual = surface.area([4]), alone.estimates["x"]
    assert cell.total == pytest.approx(usual.total, rel=1e-9)
    assert cell.rest == pytest.approx(usual.rest, rel=1e-9)
    assert cell.reference.interval() == pytest.approx(usual.reference.interval(), rel=1e-9)


def test_cells_see_the_same_videos_and_seeds(clips):
    """A cell and its copy average to what either is; independent cells would be surer."""
    pred, truth, videos = clips
    twice = np.concatenate([pred, pred], axis=1)
    surface = Surface.of("x", twice, metrics["mae"], sample(labelled(truth, videos)))
    assert surface.area([3, 23]).total == pytest.approx(surface.area([3]).total, rel=1e-9)
    assert surface.only([3, 23]).area([0]).total == pytest.approx(surface.area([3]).total)


def test_an_area_is_the_metric_of_an_average_where_that_is_linear(clips):
    """Mean absolute errors of cells, averaged clip by clip, are scores of a cell of their own."""
    pred, truth, videos = clips
    surface = Surface.of("x", pred, metrics["mae"], sample(labelled(truth, videos)))
    errors = np.abs(pred[:, :6] - truth).mean(axis=1)  # (S, N)
    alone = fields_of({"x": truth + errors}, truth, videos, ["mae"], dataset=DATASET)[
        "mae"
    ].estimates["x"]
    area = surface.area(range(6))
    assert (area.value, area.total, area.rest) == pytest.approx(
        (alone.value, alone.total, alone.rest), rel=1e-6
    )


def test_a_metric_of_ranks_is_refused(clips):
    pred, truth, videos = clips
    ranks = [m for m in metrics.values() if m.name in ("spearman", "kendall")]
    for metric in ranks:
        with pytest.raises(SpecError, match="no function of sums"):
            Surface.of("x", pred, metric, sample(labelled(truth, videos)))
    assert ranks


def measured(values, error, videos=20):
    """Quantities with independent errors of known size."""
    rng = np.random.default_rng(5)
    return [
        Estimate(
            value=value,
            runs={"x": RunPart(deviation=np.empty(0), rest=0.0)},
            videos={
                f"v{i}": VideoPart(
                    influence=(part := rng.normal(size=videos)) * error / np.sqrt(part @ part),
                    degrees=1e6,
                )
            },
        )
        for i, value in enumerate(values)
    ]


@pytest.mark.parametrize("true", [np.zeros(10), np.linspace(-1, 0, 10)], ids=["ties", "one"])
def test_the_interval_of_the_largest_covers_it(true):
    """Where all are equal, the interval of the largest observed one lies above too often."""
    rng, covered, naive = np.random.default_rng(1), 0, 0
    for _ in range(200):
        estimates = measured(true + 0.2 * rng.normal(size=10), 0.2)
        found = largest(estimates)
        covered += found.low <= true.max() <= found.high
        low, high = estimates[found.place].reference.interval()
        naive += low <= true.max() <= high
    assert covered / 200 > 0.92
    if not true.any():
        assert naive < covered - 20


def test_the_interval_of_a_single_quantity_is_its_own():
    (one,) = measured([2.0], 0.3)
    found = largest([one])
    assert (found.low, found.high) == pytest.approx(one.reference.interval(), abs=0.03)


def test_without_variation_the_largest_is_exact():
    found = largest(measured([1.0, 3.0], 0.0))
    assert (found.place, found.value, found.low, found.high) == (1, 3.0, 3.0, 3.0)


def test_an_undefined_quantity_leaves_no_largest():
    found = largest(measured([1.0, np.nan], 0.1))
    assert np.isnan([found.value, found.low, found.high]).all()
