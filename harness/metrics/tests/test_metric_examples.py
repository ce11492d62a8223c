"""Worked examples: values computed by running the cited repositories' own metric code."""

from __future__ import annotations

import functools
import math

import numpy as np
import pandas as pd
import pytest

from harness.metrics import score, score_conventions
from harness.tests.research import research_data

TRUTH = [0, 0, -0.5, 0.5, 1.5, 2.5, -1.5, -2.5, 1, -1]
PRED = [-0.1, 0, 0, 1.4, 2.5, 3.6, -0.5, -1.5, -0.2, -1.2]

POINT = 0.0006  # references printed with three decimals
TENTH = 0.06  # references printed as percent with one decimal


@functools.cache
def _table(name):
    path = research_data(name, "label.csv")
    return pd.read_csv(path, dtype={"video_id": str, "clip_id": str})


def labels(name, split="test"):
    table = _table(name)
    return table.loc[table["mode"] == split, "label"].to_numpy().round(6)


def percent(value):
    return 100 * value


def by_convention(pred, truth, dataset):
    return {row["convention"]: row for row in score_conventions(pred, truth, dataset)}


class TestTenClips:
    @pytest.mark.parametrize(
        ("convention", "column", "expected"),
        [
            ("canonical", "mae", 0.700),
            ("canonical", "corr", 0.884),
            ("canonical", "acc7", 0.600),
            *[
                (name, column, value)
                for name in ("canonical", "mmsa", "mmim", "misa")
                for column, value in [
                    ("acc2_has0", 0.700),
                    ("f1_has0", 0.703),
                    ("acc2_non0", 0.875),
                    ("f1_non0", 0.873),
                ]
            ],
            *[
                (name, column, value)
                for name in ("mmsa_before_fix", "text", "kuda", "tfr_net")
                for column, value in [
                    ("acc2_has0", 0.700),
                    ("f1_has0", 0.697),
                    ("acc2_non0", 0.875),
                    ("f1_non0", 0.877),
                    ("mae", 0.700),
                    ("corr", 0.884),
                ]
            ],
            ("mult", "acc2_non0", 0.875),
            ("mult", "f1_non0", 0.877),
            ("mult_zeros_kept", "acc2_has0", 0.900),
            ("mult_zeros_kept", "f1_has0", 0.903),
            ("cenet", "acc2_non0", 0.750),
            ("cenet", "f1_non0", 0.750),
            ("mag_bert", "acc2_non0", 0.750),
            ("mag_bert", "f1_non0", 0.750),
            ("mag_bert", "mae", 0.8625),
            ("mag_bert", "corr", 0.894),
        ],
    )
    def test_each_repository_gets_its_own_value(self, convention, column, expected):
        row = by_convention(PRED, TRUTH, "mosi")[convention]
        assert row[column] == pytest.approx(expected, abs=POINT)

    def test_half_away_from_zero_would_give_another_acc7(self):
        def away(values):
            return np.sign(values) * np.floor(np.abs(np.clip(values, -3, 3)) + 0.5)

        assert np.mean(away(np.array(PRED)) == away(np.array(TRUTH))) == pytest.approx(0.5)
        assert score(PRED, TRUTH, "mosi")["acc7"] == pytest.approx(0.6)


@pytest.mark.data
class TestCollapsedModel:
    @pytest.mark.parametrize(
        ("dataset", "sign", "columns", "expected"),
        [
            ("sims", -1, ("acc2", "f1"), (69.37, 56.82, 81.91)),
            ("simsv2", -1, ("acc2", "f1"), (59.09, 43.90, 74.29)),
            ("mosi", -1, ("acc2_has0", "f1_has0"), (55.25, 39.32, 71.17)),
            ("mosei", 1, ("acc2_has0", "f1_has0"), (71.02, 58.99, 83.06)),
            ("mosei", 1, ("acc2_non0", "f1_non0"), (62.85, 48.51, 77.19)),
        ],
    )
    def test_swapped_f1_flatters_it(self, dataset, sign, columns, expected):
        truth = labels(dataset)
        rows = by_convention(np.full(truth.size, 0.1 * sign), truth, dataset)
        accuracy_column, f1_column = columns
        found = (rows["mmsa"][accuracy_column], rows["mmsa"][f1_column], rows["text"][f1_column])
        assert [percent(value) for value in found] == pytest.approx(expected, abs=0.006)

    def test_macro_f1_and_constant_expose_it(self):
        truth = labels("sims")
        scores = score(np.full(truth.size, -0.1), truth, "sims", secondary=True)
        assert percent(scores["macro_f1"]) == pytest.approx(40.96, abs=0.006)
        assert scores["constant"] == 1.0
        assert scores["ccc"] == 0.0
        assert all(math.isnan(scores[name]) for name in ("corr", "spearman", "calibration_slope"))


@pytest.mark.data
class TestReferencePoints:
    @pytest.mark.parametrize(
        ("dataset", "mae", "shares"),
        [
            ("mosi", 1.464, dict(acc2_has0=44.8, acc2_non0=42.2, acc7=15.5, acc5=15.5)),
            ("mosei", 0.841, dict(acc2_has0=71.0, acc2_non0=62.9, acc7=41.4, acc5=41.4)),
            ("sims", 0.589, dict(acc2=69.4, acc3=54.3, acc5=21.2)),
            ("simsv2", 0.544, dict(acc2=59.1, acc3=11.9, acc5=11.9)),
        ],
    )
    def test_train_mean(self, dataset, mae, shares):
        truth = labels(dataset)
        scores = score(np.full(truth.size, labels(dataset, "train").mean()), truth, dataset)
        assert scores["mae"] == pytest.approx(mae, abs=POINT)
        assert {name: percent(scores[name]) for name in shares} == pytest.approx(shares, abs=TENTH)
        assert math.isnan(scores["corr"])

    @pytest.mark.parametrize(
        ("dataset", "mae"), [("mosi", 1.417), ("mosei", 0.838), ("sims", 0.606), ("simsv2", 0.539)]
    )
    def test_zero(self, dataset, mae):
        truth = labels(dataset)
        assert score(np.zeros(truth.size), truth, dataset)["mae"] == pytest.approx(mae, abs=POINT)


def averages(dataset, corr, draws=200):
    """Percent per convention and column over predictors: shrunken labels plus Gaussian noise."""
    truth, rng = labels(dataset), np.random.default_rng(0)
    spread = truth.std() * corr * math.sqrt(1 - corr**2)
    shrunken = truth.mean() + corr**2 * (truth - truth.mean())
    preds = shrunken + spread * rng.standard_normal((draws, truth.size))
    rows = pd.concat(pd.DataFrame(score_conventions(pred, truth, dataset)) for pred in preds)
    return 100 * rows.groupby("convention").mean(numeric_only=True)


@pytest.mark.data
class TestRealisticPredictor:
    """Corr is printed with two digits, which leaves 0.8 points of MAE open on MOSI."""

    @pytest.mark.parametrize(
        ("dataset", "corr", "expected"),
        [
            ("mosi", 0.80, (83.5, 85.4, 84.1, 83.4, 83.6, 76.3, 77.0)),
            ("mosei", 0.77, (77.0, 83.4, 75.1, 77.9, 76.1, 56.3, 59.8)),
        ],
    )
    def test_mosi_family(self, dataset, corr, expected):
        table = averages(dataset, corr)
        found = (
            table.loc["mmsa", "acc2_has0"],
            table.loc["mmsa", "acc2_non0"],
            table.loc["mult_zeros_kept", "acc2_has0"],
            table.loc["mmsa", "f1_has0"],
            table.loc["text", "f1_has0"],
            table.loc["mmsa", "mae"],
            table.loc["mag_bert", "mae"],
        )
        assert found == pytest.approx(expected, abs=0.8)

    def test_sims(self):
        table = averages("sims", 0.61)
        found = (table.loc["mmsa", "acc2"], table.loc["merbench", "acc2_non0"])
        assert found == pytest.approx((76.2, 78.2), abs=0.8)


@pytest.mark.data
class TestPerfectRaterOnAGrid:
    @pytest.mark.parametrize(
        ("dataset", "grid", "expected"),
        [
            ("mosi", 1.0, dict(acc2_non0=93.3, acc7=100)),
            ("mosi", 0.5, dict(acc2_non0=96.7, acc7=81.0)),
            ("mosei", 1.0, dict(acc2_non0=84.2, acc7=100)),
            ("mosei", 0.5, dict(acc2_non0=99.97, acc7=72.2)),
            ("sims", 1.0, dict(acc2=90.6, acc5=63.7)),
            ("sims", 0.5, dict(acc2=93.9, acc5=85.1)),
            *[(name, grid, dict(acc2_non0=100, acc7=100)) for name in ("mosi", "mosei")
              for grid in (0.2, 0.1)],
            *[("sims", grid, dict(acc2=100, acc5=100)) for grid in (0.2, 0.1)],
        ],
    )  # fmt: skip
    def test_scores_below_100_where_the_grid_is_coarse(self, dataset, grid, expected):
        truth = labels(dataset)
        scores = score(np.rint(truth / grid) * grid, truth, dataset)
        found = {name: percent(scores[name]) for name in expected}
        assert found == pytest.approx(expected, abs=TENTH)

    def test_three_words_beat_the_best_published_mae(self):
        truth = labels("mosi")
        scores = score(1.5 * np.sign(truth), truth, "mosi")
        assert (scores["mae"], scores["corr"]) == pytest.approx((0.600, 0.893), abs=POINT)


class TestBinEdges:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize(
        ("pred", "same_bin", "next_bin"), [(0.1, 0.0, 0.2), (-0.7, -0.8, -0.6)]
    )
    def test_do_not_depend_on_dtype(self, dtype, pred, same_bin, next_bin):
        values = np.array([pred], dtype=dtype)
        assert score(values, [same_bin], "sims")["acc5"] == 1.0
        assert score(values, [next_bin], "sims")["acc5"] == 0.0

    def test_float32_labels_are_rounded_too(self):
        assert score([0.0], np.array([0.1], dtype=np.float32), "sims")["acc3"] == 1.0
        assert score([0.5], np.array([2 / 3], dtype=np.float32), "mosei")["mae"] == pytest.approx(
            1 / 6, abs=1e-6
        )

    @pytest.mark.parametrize("edge", [0.5, 1.5, 2.5, -0.5, -1.5, -2.5])
    def test_ties_round_to_the_even_integer(self, edge):
        even = 2 * round(edge / 2)
        assert score([edge], [even], "mosi")["acc7"] == 1.0
