"""Metrics of transfers against independent references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from sklearn.metrics import accuracy_score, f1_score

from harness.data.datasets import datasets
from harness.errors import SubmissionError
from harness.metrics import metrics, metrics_for, score
from harness.metrics.transfer import recalibrated
from harness.stats.resample import evaluator

TO_MOSI, TO_SIMS = "sims-to-mosi", "mosi+mosei-to-sims"


def draw(seed, n=173):
    rng = np.random.default_rng(seed)
    truth = (rng.integers(-15, 16, n) / 15).round(6)
    pred = (0.6 * truth + rng.normal(0, 0.5, n)).round(2)
    return pred, truth


def three(values, band=0.0):
    return np.where(values > band, 2, np.where(values < -band, 0, 1))


@pytest.mark.parametrize("dataset", [TO_MOSI, TO_SIMS])
@given(seed=st.integers(0, 10_000))
def test_classes_agree_with_scikit_learn(dataset, seed):
    pred, truth = draw(seed)
    found, nz = score(pred, truth, dataset, secondary=True), truth != 0
    binary = truth[nz] > 0, pred[nz] > 0
    assert found["acc2_non0"] == pytest.approx(accuracy_score(*binary))
    assert found["macro_f1_non0"] == pytest.approx(f1_score(*binary, average="macro"))
    assert found["acc3_sign"] == pytest.approx(accuracy_score(three(truth), three(pred)))
    assert found["acc3_band"] == pytest.approx(accuracy_score(three(truth, 0.1), three(pred, 0.1)))


@given(seed=st.integers(0, 10_000))
def test_native_mae_is_the_target_datasets_own(seed):
    pred, truth = draw(seed)
    on_mosi = score(3 * pred, 3 * truth, "mosi")["mae"]
    assert score(pred, truth, TO_MOSI)["mae_native"] == pytest.approx(on_mosi)
    assert score(pred, truth, TO_SIMS)["mae_native"] == score(pred, truth, "sims")["mae"]
    assert score(pred, truth, TO_MOSI)["mae"] == pytest.approx(on_mosi / 3)
    assert score(pred, truth, TO_SIMS)["mae"] == np.abs(pred - truth).mean()  # nothing clipped


def test_every_transfer_has_the_same_metrics_and_none_of_one_dataset_alone():
    primary, other = ([m.name for m in metrics_for(d, primary=True)] for d in (TO_MOSI, TO_SIMS))
    assert primary == other
    assert primary[:3] == ["mae", "mae_native", "corr"]
    assert not {"acc2", "acc2_has0", "acc5", "acc7", "f1", "f1_has0"} & set(primary)
    assert not {"mae_native", "acc3_band"} & {m.name for m in metrics_for("mosi")}


@pytest.mark.parametrize("dataset", [TO_MOSI, TO_SIMS])
@pytest.mark.parametrize("name", ["mae_native", "acc3_sign", "acc3_band", "macro_f1_non0"])
def test_bootstrap_sums_give_what_the_drawn_clips_give(name, dataset):
    pred, truth = draw(3)
    rng = np.random.default_rng(0)
    videos = np.arange(len(truth)) // 6
    function = metrics[name].on(datasets[dataset])
    weights = rng.integers(0, 3, size=(4, videos.max() + 1)).astype(float)
    found = evaluator(pred[None], truth, videos, function)(weights)[:, 0]
    for row, value in zip(weights, found, strict=True):
        clips = np.repeat(np.arange(len(truth)), row[videos].astype(int))
        assert value == pytest.approx(function(pred[clips], truth[clips]))


@given(seed=st.integers(0, 10_000))
def test_recalibration_is_least_squares(seed):
    pred, truth = draw(seed)
    line = LinearRegression().fit(pred[:, None], truth)
    given_ = np.random.default_rng(seed).normal(size=(2, 9))
    expected = line.predict(given_.reshape(-1, 1)).reshape(2, 9)
    assert recalibrated(given_, pred, truth) == pytest.approx(expected)


def test_recalibration_undoes_scale_and_offset_and_keeps_ranks():
    pred, truth = draw(1)
    straight = recalibrated(pred, pred, truth)
    assert recalibrated(5 * pred - 2, 5 * pred - 2, truth) == pytest.approx(straight)
    assert (np.argsort(straight) == np.argsort(pred)).all()


def test_recalibrated_constants_predict_the_mean_label():
    truth = np.array([0.2, 0.6])
    assert recalibrated(np.ones(3), np.ones(2), truth) == pytest.approx([0.4] * 3)


@pytest.mark.parametrize(
    ("pred", "truth", "said"),
    [(np.ones(2), np.ones(3), "one prediction per label"), ([], [], "nothing to score")],
)
def test_recalibration_wants_a_prediction_per_label(pred, truth, said):
    with pytest.raises(SubmissionError, match=said):
        recalibrated(np.ones(2), np.array(pred), np.array(truth))
