from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

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


TINY = -4e-7


@pytest.mark.parametrize(
    ("convention", "column", "value"),
    [
        ("canonical", "acc2_has0", 1.0),  # zero to 6 decimals, and zero is not negative
        ("canonical", "f1_has0", 1.0),
        *(("mmsa", "acc2_has0", 0.5), ("text", "acc2_has0", 0.5), ("kuda", "acc2_has0", 0.5)),
        *(("misa", "acc2_has0", 0.5), ("mmim", "f1_has0", 1 / 3), ("cenet", "acc2_has0", 0.5)),
        *(("cenet", "acc2_non0", 0.5), ("mag_bert", "acc2_non0", 0.5), ("dlf", "acc2_non0", 0.5)),
    ],
)
def test_a_prediction_just_below_zero_is_negative_where_nothing_is_rounded(
    convention, column, value
):
    rows = {row["convention"]: row for row in score_conventions([TINY, -1.0], [0.5, -1.0], "mosi")}
    assert rows[convention][column] == pytest.approx(value)


@pytest.mark.parametrize("tiny", [4e-7, 1e-9, 1e-30])
@pytest.mark.parametrize("dataset", FAMILIES)
def test_a_prediction_just_above_zero_is_positive_where_nothing_is_rounded(dataset, tiny):
    label = datasets[dataset].high / 3
    scored = score_conventions([tiny, -label], [label, -label], dataset)
    for row in scored:
        rounds = row["convention"] == "canonical"
        assert row.get("acc2_non0") in (None, 0.5 if rounds else 1.0)
        assert row.get("acc2") in (None, 0.5 if rounds else 1.0)


def test_bins_are_those_of_float32():
    edges = np.float32([-0.7, -0.1, 0.1, 0.7])
    above, below = np.nextafter(edges, np.float32(2)), np.nextafter(edges, np.float32(-2))
    truth = np.array([-1.0, -0.4, 0.0, 0.4])  # each bin is closed on its right
    for pred, expected in ((edges, 1.0), (below, 1.0), (above, 0.0)):
        for values in (pred, pred.astype(np.float64)):
            rows = {row["convention"]: row for row in score_conventions(values, truth, "sims")}
            assert rows["mmsa"]["acc5"] == expected
            assert rows["canonical"]["acc5"] == 1.0
    exact = {r["convention"]: r for r in score_conventions([-0.7, -0.1, 0.1, 0.7], truth, "sims")}
    assert exact["mmsa"]["acc5"] == 1.0


def near(*points):
    """Float32 numbers at, and a few units in the last place around, given points."""
    steps = st.integers(-3, 3)
    exact = st.tuples(st.sampled_from(points), steps).map(
        lambda pair: np.float32(pair[0] + pair[1] * np.spacing(np.float32(abs(pair[0]) + 1e-7)))
    )
    return exact | st.floats(-3, 3, width=32).map(np.float32)


@given(st.lists(st.tuples(near(0.0, 0.1, -0.1, 0.5, 2.5), st.integers(-15, 15)), min_size=2))
def test_mmsa_is_its_own_code_in_float32(pairs):
    """Against MMSA's ``__eval_mosi_regression``, written down anew, on what a network returns."""
    pred = np.array([p for p, _ in pairs], np.float32)
    truth = np.array([y / 5 for _, y in pairs], np.float32)
    (row,) = (r for r in score_conventions(pred, truth, "mosi") if r["convention"] == "mmsa")
    kept = truth != 0
    assert row["acc2_has0"] == np.mean((pred >= 0) == (truth >= 0))
    assert row["acc2_non0"] == pytest.approx(
        np.mean((pred[kept] > 0) == (truth[kept] > 0)) if kept.any() else math.nan, nan_ok=True
    )
    for limit, name in ((2.0, "acc5"), (3.0, "acc7")):
        p, y = (np.round(np.clip(v, -limit, limit)) for v in (pred, truth))
        assert row[name] == np.mean(p == y)
    assert row["mae"] == pytest.approx(np.abs(pred.astype(float) - truth).mean(), abs=1e-6)


@given(st.lists(st.tuples(near(0.0, 0.1, -0.1, 0.7, -0.7), st.integers(-5, 5)), min_size=2))
def test_mmsa_on_sims_is_its_own_code_in_float32(pairs):
    pred = np.array([p for p, _ in pairs], np.float32)
    truth = np.array([y / 5 for _, y in pairs], np.float32)
    (row,) = (r for r in score_conventions(pred, truth, "sims") if r["convention"] == "mmsa")
    for name, edges in (("acc2", [0.0]), ("acc3", [-0.1, 0.1]), ("acc5", [-0.7, -0.1, 0.1, 0.7])):
        cuts = np.float32(edges)
        p, y = (np.searchsorted(cuts, np.clip(v, -1, 1)) for v in (pred, truth))
        assert row[name] == np.mean(p == y)


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=30))
def test_canonical_classes_are_of_rounded_predictions_and_all_else_of_them_as_they_are(pred):
    truth = np.linspace(-3, 3, len(pred)).round(1)
    row = score_conventions(pred, truth, "mosi")[0]
    rounded, given = (score(values, truth, "mosi") for values in (np.round(pred, 6), pred))
    for name, value in (rounded | {name: given[name] for name in ("mae", "corr")}).items():
        assert row[name] == pytest.approx(value, nan_ok=True, abs=0)


def test_sims_v2_code_adds_two_metrics():
    rows = rows_of("simsv2")
    scores = score(*draw("simsv2"), "simsv2", secondary=True)
    for column in ("acc2_weak", "r2"):
        assert rows["chsims_v2"][column] == scores[column]
        assert rows["mmsa"][column] is None


def test_bad_input_is_refused():
    with pytest.raises(SubmissionError, match="position 1"):
        score_conventions([0.1, math.nan], [0.1, 0.2], "mosi")


def as_mmdg_bench(pred, truth):
    """What MMDG-Bench does, on labels in ±3: scikit-learn is given predictions first."""
    f1 = f1_score(pred > 0, truth > 0, average="weighted")
    found = {"mae": np.abs(pred - truth).mean(), "acc2": ((pred > 0) == (truth > 0)).mean()}
    for k, limit in ((5, 2), (7, 3)):
        clipped = [np.round(np.clip(values, -limit, limit)) for values in (pred, truth)]
        found[f"acc{k}"] = (clipped[0] == clipped[1]).mean()
    return {**found, "f1": f1}


@pytest.mark.parametrize(
    ("dataset", "scale"),
    [("mosi", 1), ("sims", 3), ("mosei-to-mosi", 3), ("mosi+mosei-to-sims", 3)],
)
def test_mmdg_bench_scores_in_its_own_units(dataset, scale):
    pred, truth = draw(dataset)
    if scale == 3 and dataset != "sims":
        truth = np.random.default_rng(1).integers(-30, 31, len(truth)) / 30  # with ties at .5
    (row,) = (r for r in score_conventions(pred, truth, dataset) if r["convention"] == "mmdg_bench")
    expected = as_mmdg_bench(scale * pred, (scale * truth).round(5))
    has0 = "_has0" if dataset == "mosi" else ""
    found = {name: row[f"{name}{has0 if name in ('acc2', 'f1') else ''}"] for name in expected}
    assert found == pytest.approx(expected, abs=1e-5)
    assert row["n"] == len(truth)
