from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.datasets import datasets
from harness.errors import SubmissionError
from harness.metrics import CONVENTIONS, metrics_for, score, score_conventions

FAMILIES = ["mosi", "sims"]


def draw(dataset, n=300, seed=0):
    rng, high = np.random.default_rng(seed), datasets[dataset].high
    truth = (rng.integers(-5, 6, n) / 5 * high).round(1)
    return (truth * 0.7 + rng.normal(0, high / 2, n)).round(1), truth


def rows_of(dataset, seed=0):
    return {row["convention"]: row for row in score_conventions(*draw(dataset, seed=seed), dataset)}


def test_names_are_unique():
    names = [convention.name for convention in CONVENTIONS]
    assert len(set(names)) == len(names)
    assert all(convention.title and convention.note for convention in CONVENTIONS)


@pytest.mark.parametrize("dataset", list(datasets))
def test_every_convention_of_the_family_and_no_other(dataset):
    rows = score_conventions(*draw(dataset), dataset)
    expected = [c.name for c in CONVENTIONS if datasets[dataset].family in c.rules]
    assert [row["convention"] for row in rows] == expected
    assert expected[0] == "canonical"
    assert all(row.keys() == rows[0].keys() for row in rows)


@pytest.mark.parametrize("dataset", FAMILIES)
@pytest.mark.parametrize("seed", range(3))
def test_canonical_row_is_the_canonical_score(dataset, seed):
    scores = score(*draw(dataset, seed=seed), dataset)
    row = rows_of(dataset, seed)["canonical"]
    assert {name: row[name] for name in scores} == scores
    assert {metric.name for metric in metrics_for(dataset, primary=True)} <= row.keys()


def test_repositories_that_score_both_families():
    both = {c.name for c in CONVENTIONS if set(c.rules) == set(FAMILIES)}
    swapped = {"mmsa_before_fix", "text", "kuda", "tfr_net"}
    assert both == {"canonical", "mmsa", "merbench"} | swapped


@pytest.mark.parametrize("dataset", FAMILIES)
def test_swapping_changes_f1_alone(dataset):
    rows = rows_of(dataset)
    correct, swapped = rows["mmsa"], rows["mmsa_before_fix"]
    differ = {name for name in correct if correct[name] != swapped[name]}
    everything = "f1_has0" if dataset == "mosi" else "f1"
    assert differ - {"convention", "note", "f1_non0"} == {everything}


def test_unreported_is_none_and_undefined_is_nan():
    rows = {
        row["convention"]: row for row in score_conventions([0.5, 0.5, 0.5], [0, 1, -1], "mosi")
    }
    assert rows["merbench"]["corr"] is None
    assert rows["multibench"]["f1_non0"] is None
    assert math.isnan(rows["mmsa"]["corr"])


def test_number_of_clips_used():
    _, truth = draw("mosi")
    used = {name: row["n"] for name, row in rows_of("mosi").items()}
    non_zero = int(np.count_nonzero(truth))
    assert non_zero < truth.size
    for name in ("canonical", "mmsa", "text", "mult_zeros_kept", "misa", "cenet"):
        assert used[name] == truth.size
    for name in ("mult", "mag_bert", "multibench", "dlf", "merbench", "mmla"):
        assert used[name] == non_zero


@given(st.integers(0, 200))
def test_mag_bert_is_cenet_among_non_zero_labels(seed):
    pred, truth = draw("mosi", n=40, seed=seed)
    kept = truth != 0
    whole = {row["convention"]: row for row in score_conventions(pred, truth, "mosi")}
    part = {row["convention"]: row for row in score_conventions(pred[kept], truth[kept], "mosi")}
    for column in ("acc2_non0", "f1_non0", "mae", "corr"):
        assert whole["mag_bert"][column] == part["cenet"][column]


def test_prediction_of_exactly_zero():
    rows = {row["convention"]: row for row in score_conventions([0.0, -1.0], [0.5, -1.0], "mosi")}
    assert rows["mmsa"]["acc2_non0"] == 0.5
    assert rows["cenet"]["acc2_non0"] == rows["mag_bert"]["acc2_non0"] == 1.0


def test_sims_v2_code_adds_two_metrics():
    rows = rows_of("simsv2")
    scores = score(*draw("simsv2"), "simsv2", secondary=True)
    for column in ("acc2_weak", "r2"):
        assert rows["chsims_v2"][column] == scores[column]
        assert rows["mmsa"][column] is None


def test_bad_input_is_refused():
    with pytest.raises(SubmissionError, match="position 1"):
        score_conventions([0.1, math.nan], [0.1, 0.2], "mosi")
