from __future__ import annotations

import functools
import math
import pickle
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.datasets import datasets
from harness.errors import SpecError, SubmissionError
from harness.metrics import best_index, better, metrics, metrics_for, prepare, score

ALL = [(metric, name) for name in ("mosi", "sims") for metric in metrics_for(name)]
IDS = [f"{metric.name}-{name}" for metric, name in ALL]


class TestTableOrder:
    def test_mosi_family(self):
        binary = ["acc2_has0", "acc2_non0", "f1_has0", "f1_non0"]
        expected = ["mae", "corr", *binary, "acc3", "acc5", "acc7"]
        for name in ("mosi", "mosei"):
            assert [metric.name for metric in metrics_for(name, primary=True)] == expected

    def test_sims_family(self):
        expected = ["mae", "corr", "acc2", "f1", "acc3", "acc5", "acc2_non0", "f1_non0"]
        for name in ("sims", "simsv2"):
            assert [metric.name for metric in metrics_for(name, primary=True)] == expected

    @pytest.mark.parametrize("dataset", list(datasets))
    def test_primary_then_secondary(self, dataset):
        both = metrics_for(dataset)
        assert both == metrics_for(dataset, primary=True) + metrics_for(dataset, primary=False)
        names = {metric.name for metric in metrics_for(dataset, primary=False)}
        assert {"ccc", "macro_f1", "calibration_slope", "constant"} <= names
        assert ("acc2_weak" in names) == ("r2" in names) == (dataset in ("sims", "simsv2"))

    def test_score_has_the_same_order(self):
        names = list(score([0.1, 0.4], [0.2, -0.4], "sims", secondary=True))
        assert names == [metric.name for metric in metrics_for("sims")]

    def test_every_metric_belongs_to_a_dataset(self):
        every = (*datasets, "sims-to-mosi", "mosi-to-sims")
        found = {metric.name for name in every for metric in metrics_for(name)}
        assert found == set(metrics)


class TestMetric:
    @pytest.mark.parametrize(("metric", "dataset"), ALL, ids=IDS)
    def test_card_is_complete(self, metric, dataset):
        assert metric.low < metric.high
        assert metric.title and metric.definition and metric.undefined and metric.source
        assert metric.family in (None, dataset)
        if metric.percent:
            assert (metric.low, metric.high) == (0.0, 1.0)

    @pytest.mark.parametrize(("metric", "dataset"), ALL, ids=IDS)
    def test_undefined_only_where_declared(self, metric, dataset):
        constant = metric([0.2, 0.2], [0.0, 0.0], dataset)
        without_weak_label = metric([0.2, 0.2], [0.8, 0.8], dataset)
        undefined = math.isnan(constant) or math.isnan(without_weak_label)
        assert undefined == (metric.undefined != "never")

    def test_missing_family_is_explained(self):
        with pytest.raises(SpecError, match="'acc7' is not defined for 'sims'") as caught:
            metrics["acc7"]([0.0], [0.0], "sims")
        assert "acc5" in caught.value.hint

    def test_functions_survive_a_process_border(self):
        for metric, name in ALL:
            function = pickle.loads(pickle.dumps(metric.on(datasets[name])))
            pred, truth = np.array([0.3, -0.2, 0.9]), np.array([0.2, -1.0, 0.0])
            assert function(pred, truth) == metric.on(datasets[name])(pred, truth)

    def test_empty_subset_is_undefined_not_zero(self):
        scores = score([0.3, -0.2], [0.0, 0.0], "mosi")
        assert math.isnan(scores["acc2_non0"]) and math.isnan(scores["f1_non0"])
        assert scores["acc2_has0"] == 0.5


class TestComparison:
    @pytest.mark.parametrize(
        ("name", "good", "bad"),
        [
            ("mae", 0.7, 0.8),
            ("corr", 0.8, -0.9),
            ("acc7", 0.5, 0.4),
            ("calibration_slope", 1.1, 0.5),
            ("calibration_slope", 0.9, 1.5),
            ("r2", 0.1, -3.0),
        ],
    )
    def test_follows_the_direction(self, name, good, bad):
        assert better(metrics[name], good, bad)
        assert not better(metrics[name], bad, good)
        assert not better(metrics[name], good, good)

    @given(st.sampled_from(ALL), st.floats(allow_nan=False, allow_infinity=False))
    def test_undefined_is_never_better(self, case, value):
        metric, _ = case
        assert better(metric, value, math.nan)
        assert not better(metric, math.nan, value)
        assert not better(metric, math.nan, math.nan)

    def test_a_first_undefined_epoch_does_not_freeze_the_best(self):
        assert best_index([math.nan, 0.2, 0.9, math.nan, 0.5], metrics["corr"]) == 2

    def test_earliest_of_equals(self):
        assert best_index([0.8, 0.7, 0.7, 0.9], metrics["mae"]) == 1
        assert best_index([math.nan, math.nan], metrics["corr"]) == 0

    @given(st.lists(st.floats(-1, 1) | st.just(math.nan), min_size=1))
    def test_best_is_the_fold_of_better(self, values):
        corr = metrics["corr"]
        kept = functools.reduce(
            lambda best, i: i if better(corr, values[i], values[best]) else best,
            range(len(values)),
        )
        assert best_index(values, corr) == kept

    def test_nothing_has_no_best(self):
        with pytest.raises(ValueError):
            best_index([], metrics["mae"])


class TestBadInput:
    @pytest.mark.parametrize(
        ("pred", "truth", "message"),
        [
            ([], [], "nothing to score"),
            ([0.1], [0.1, 0.2], "found 1 predictions and 2 labels"),
            ([[0.1], [0.2]], [0.1, 0.2], r"predictions must have shape \(N,\), found \(2, 1\)"),
            (0.1, [0.1], r"predictions must have shape \(N,\), found \(\)"),
            ([0.1, math.nan], [0.1, 0.2], "1 of 2 are not, the first is nan at position 1"),
            ([math.inf, 0.1], [0.1, 0.2], "the first is inf at position 0"),
            ([1e300, 0.1], [0.1, 0.2], "within float32 range"),
            ([0.1, 0.2], [0.1, math.nan], "labels must be finite"),
            (["0.1", "0.2"], [0.1, 0.2], "predictions must be numbers, found dtype <U3"),
            ([0.1, None], [0.1, 0.2], "predictions must be numbers, found dtype object"),
            ([True, False], [0.1, 0.2], "predictions must be numbers, found dtype bool"),
            ([[0.1], [0.2, 0.3]], [0.1, 0.2], "one number per clip"),
        ],
    )
    def test_is_refused_with_a_reason(self, pred, truth, message):
        with pytest.raises(SubmissionError, match=message):
            score(pred, truth, "mosi")

    def test_labels_of_another_scale(self):
        with pytest.raises(SubmissionError, match=r"labels of sims lie in \[-1, 1\], found"):
            score([0.1, 0.2], [2.4, -1.0], "sims")

    def test_unknown_dataset(self):
        with pytest.raises(SpecError, match="did you mean mosi"):
            score([0.1], [0.1], "mosy")


class TestPrepare:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_returns_float64_and_leaves_the_input_alone(self, dtype):
        given = np.array([0.1, -0.7, 2 / 3, 1e-50], dtype=dtype)
        before = given.copy()
        pred, truth = prepare(given, given)
        assert pred.dtype == truth.dtype == np.float64
        assert pred.tolist() == [*given[:3].astype(np.float64), 0.0]  # as they are
        assert truth.tolist() == [0.1, -0.7, 0.666667, 0.0]  # as datasets are stored
        assert given.dtype == dtype and (given == before).all()

    def test_huge_finite_predictions_are_scored(self):
        scores = score(np.array([3e38, -3e38, 1.0], dtype=np.float32), [1.0, -1.0, 0.2], "mosi")
        assert all(math.isfinite(value) for value in scores.values())


@pytest.mark.parametrize("dataset", ["mosi", "sims"])
def test_scoring_is_cheap_enough_for_every_epoch(dataset):
    rng = np.random.default_rng(0)
    pred, truth = rng.normal(size=700), rng.uniform(-1, 1, 700).round(1)
    score(pred, truth, dataset)
    fastest = math.inf
    for _ in range(20):
        start = time.perf_counter()
        score(pred, truth, dataset)
        fastest = min(fastest, time.perf_counter() - start)
    assert fastest < 1e-3 * len(metrics_for(dataset, primary=True))


def test_import_needs_only_numpy():
    heavy = "('pandas', 'scipy', 'sklearn', 'torch', 'pyarrow')"
    code = (
        "import sys, harness.metrics as m; m.score([0.1], [0.2], 'mosi'); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
