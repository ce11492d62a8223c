"""What is rounded, classes alone, and what is not: moments of predictions that hardly differ."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from harness.data.datasets import datasets
from harness.metrics import Metric, metrics, metrics_for, score, score_conventions
from harness.metrics.base import six_decimals
from harness.metrics.classification import ClassScore
from harness.metrics.regression import calibration_slope, ccc, corr, r2
from harness.stats.resample import evaluator

MOMENTS = ["corr", "ccc", "calibration_slope", "r2"]
MOSI, SIMS = datasets["mosi"], datasets["sims"]
SPREADS = [1e-7, 1e-5, 1e-3, 1.0, 1e3, 1e6]
OFFSETS = [0.0, 1.0, -50.0, 1e3, 1e6]  # in spreads


def labels(clips, seed=0):
    return (np.random.default_rng(seed).integers(-15, 16, clips) / 5).round(6)


def noisy(truth, seed=0):
    return truth / 3 + np.random.default_rng(seed).normal(size=truth.size)


def exact(name, pred, truth):
    """The textbook formula in extended precision."""
    p, y = (values.astype(np.longdouble) for values in (pred, truth))
    dp, dy, shift = p - p.mean(), y - y.mean(), p.mean() - y.mean()
    return float(
        {
            "corr": lambda: dp @ dy / np.sqrt((dp @ dp) * (dy @ dy)),
            "ccc": lambda: 2 * (dp @ dy) / (dp @ dp + dy @ dy + p.size * shift**2),
            "calibration_slope": lambda: dp @ dy / (dp @ dp),
            "r2": lambda: 1 - ((y - p) @ (y - p)) / (dy @ dy),
        }[name]()
    )


def function_of(name) -> Metric:
    return metrics[name].functions["sims"].function if name == "r2" else metrics[name].on(MOSI)


def from_sums(name, pred, truth):
    terms, read = function_of(name).parts(pred[None], truth)
    return float(read(np.stack([term.sum(axis=1) for term in terms], axis=-1))[0])


class TestTinySpread:
    @pytest.mark.parametrize("dataset", ["mosi", "sims"])
    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    def test_a_collapsed_network_keeps_its_correlation(self, dataset, dtype):
        truth = labels(300) / 3 * datasets[dataset].high
        pred = (0.1234567 + 1e-7 * noisy(truth)).astype(dtype)
        expected = stats.pearsonr(pred.astype(np.float64), truth).statistic
        found = score(pred, truth.round(6), dataset, secondary=True)
        assert found["corr"] == pytest.approx(expected, rel=1e-5)
        assert found["spearman"] == pytest.approx(stats.spearmanr(pred, truth).statistic)
        assert found["constant"] == 0.0
        rows = score_conventions(pred, truth.round(6), dataset)
        among_all = [row["corr"] for row in rows if row["convention"] != "mag_bert"]
        assert {value for value in among_all if value is not None} == {found["corr"]}

    @pytest.mark.parametrize("factor", [1e-5, 1e-12, 1e-30, 1e5, 1e30])
    def test_a_factor_changes_no_correlation_and_divides_the_slope(self, factor):
        truth = labels(300)
        pred = noisy(truth)
        plain, scaled = (score(p, truth, "mosi", secondary=True) for p in (pred, factor * pred))
        assert scaled["corr"] == pytest.approx(plain["corr"], rel=1e-12)
        assert scaled["spearman"] == plain["spearman"]
        slope = plain["calibration_slope"] / factor
        assert scaled["calibration_slope"] == pytest.approx(slope, rel=1e-12)

    def test_one_unit_in_the_last_place_is_a_difference(self):
        truth = labels(50)
        pred = np.full(50, np.float32(0.1))
        pred[7] = np.nextafter(np.float32(0.1), np.float32(1))
        expected = stats.pearsonr(np.arange(50) == 7, truth).statistic
        assert score(pred, truth, "mosi")["corr"] == pytest.approx(expected, rel=1e-9)

    @pytest.mark.parametrize("factor", [1e-170, 1e-300, 5e-324])
    def test_squares_that_would_underflow(self, factor):
        pred, truth = np.array([0.0, 1.0, 2.0, 5.0]) * factor, np.array([0.0, 1.0, 1.0, 3.0])
        assert corr(pred, truth) == pytest.approx(corr(pred / factor, truth), rel=0.3)
        assert corr(pred, truth) > 0 and calibration_slope(pred, truth) > 0
        assert math.isnan(score(pred, truth, "mosi")["corr"])  # zero in float32

    @pytest.mark.parametrize("name", ["corr", "calibration_slope", "spearman"])
    @pytest.mark.parametrize("value", [0.1, -1 / 3, 0.1234567, 1e-7, 1e30, np.float32(0.7), 0.0])
    @pytest.mark.parametrize("clips", [1, 2, 3, 457, 4643])
    def test_constants_are_undefined_at_any_value(self, name, value, clips):
        pred, truth = np.full(clips, value), labels(clips)
        found = score(pred, truth, "mosi", secondary=True)
        assert math.isnan(found[name])
        assert found["constant"] == 1.0
        assert found["ccc"] == 0.0 or clips == 1


class TestSums:
    @pytest.mark.parametrize("spread", SPREADS)
    @pytest.mark.parametrize("offset", OFFSETS)
    @pytest.mark.parametrize("name", MOMENTS)
    def test_agree_with_the_function_and_with_extended_precision(self, name, offset, spread):
        truth = labels(500)
        pred = spread * (noisy(truth) + offset)
        expected = exact(name, pred, truth)
        assert function_of(name)(pred, truth) == pytest.approx(expected, rel=1e-9)
        assert from_sums(name, pred, truth) == pytest.approx(expected, rel=1e-9)

    @settings(deadline=None)
    @given(
        spread=st.floats(-7, 6).map(lambda power: 10.0**power),
        offset=st.floats(-1e6, 1e6),
        shape=hnp.arrays(np.float64, 30, elements=st.integers(-9, 9).map(float)),
        seed=st.integers(0, 99),
    )
    def test_any_scale_and_offset(self, spread, offset, shape, seed):
        pred, truth = spread * (shape + offset), labels(30, seed)
        for name in MOMENTS:
            if np.ptp(pred) == 0 and name in ("corr", "calibration_slope"):
                assert math.isnan(function_of(name)(pred, truth))
                assert math.isnan(from_sums(name, pred, truth))
                continue
            expected = exact(name, pred, truth)
            near = pytest.approx(expected, rel=1e-9, abs=1e-9 * min(1.0, abs(expected)) + 1e-12)
            assert function_of(name)(pred, truth) == near
            assert from_sums(name, pred, truth) == near

    @pytest.mark.parametrize("value", [0.1, -1 / 3, 0.1234567, 1e-7, 1e30, np.float32(0.7)])
    @pytest.mark.parametrize("clips", [1, 2, 457, 4643])
    def test_undefined_in_the_same_cases(self, value, clips):
        constant, truth = np.full(clips, np.float64(value)), labels(clips)
        for name in (*MOMENTS, "constant"):
            for pred, y in ((constant, truth), (truth, constant), (constant, constant)):
                expected = function_of(name)(pred, y)
                found = from_sums(name, pred, y)
                assert found == pytest.approx(expected, nan_ok=True, rel=1e-9, abs=1e-12)

    @pytest.mark.parametrize("spread", SPREADS)
    @pytest.mark.parametrize("offset", OFFSETS)
    @pytest.mark.parametrize("name", ["corr", "ccc", "calibration_slope", "constant"])
    def test_draws_of_videos(self, name, offset, spread):
        truth, videos = labels(200), np.arange(200) // 10
        pred = spread * (noisy(truth) + offset)
        pred[videos < 3] = pred[0]  # draws of these alone are constant
        weights = np.random.default_rng(1).integers(0, 3, (20, 20)).astype(float)
        weights[0] = [1.0, 2.0, 1.0] + [0.0] * 17
        found = evaluator(pred[None], truth, videos, function_of(name))(weights)[:, 0]
        for value, times in zip(found, weights, strict=True):
            clips = np.repeat(np.arange(200), times[videos].astype(int))
            expected = function_of(name)(pred[clips], truth[clips])
            assert value == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True)


def around(*edges):
    """Numbers at an edge, and less and more than half a millionth to its sides."""
    steps = st.sampled_from([-2e-6, -6e-7, -4e-7, -1e-9, 0.0, 1e-9, 4e-7, 6e-7, 2e-6])
    return st.tuples(st.sampled_from(edges), steps).map(sum) | st.floats(-3, 3)


@pytest.mark.parametrize("dataset", ["mosi", "sims", "sims-to-mosi"])
@given(pred=st.lists(around(0.0, 0.1, -0.1, 0.5, -0.7, 1.5), min_size=1), seed=st.integers(0, 99))
def test_classes_are_those_of_six_decimals(dataset, pred, seed):
    known = datasets[dataset]
    truth = (labels(len(pred), seed) / 3 * known.high).round(6)
    runs = np.stack([pred, six_decimals(np.array(pred))])
    classes = [m.on(known) for m in metrics_for(known) if isinstance(m.on(known), ClassScore)]
    assert len(classes) > 4
    for function in classes:
        values = [function(run, truth) for run in runs]
        assert values[0] == pytest.approx(values[1], abs=0, nan_ok=True)
        terms, read = function.parts(runs, truth)
        found = read(np.stack([term.sum(axis=1) for term in terms], axis=-1))
        assert found == pytest.approx(values, nan_ok=True)


@given(st.lists(st.floats(-3, 3), min_size=2))
def test_errors_are_of_predictions_as_they_are(pred):
    truth = labels(len(pred))
    expected = np.abs(np.array(pred) - truth).mean()
    assert score(pred, truth, "mosi")["mae"] == pytest.approx(expected, rel=1e-12, abs=1e-12)


@given(hnp.arrays(np.float64, 20, elements=st.floats(-2, 2)), st.integers(0, 9))
def test_moments_of_anything_agree_with_extended_precision(pred, seed):
    truth = labels(20, seed)
    assume(np.ptp(pred) > 1e-30)
    for name, function in (("corr", corr), ("ccc", ccc), ("r2", r2)):
        expected = exact(name, pred, truth)
        assert function(pred, truth) == pytest.approx(expected, rel=1e-9, abs=1e-12)
