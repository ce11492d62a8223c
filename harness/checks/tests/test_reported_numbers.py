"""Reported numbers: what cannot be is found, what was really measured is never accused."""

from __future__ import annotations

import dataclasses
import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from harness.checks.reported_numbers import (
    LintFinding,
    Reported,
    binary_constants,
    canonical_name,
    canonical_names,
    label_constants,
    lint,
)
from harness.checks.reported_numbers.f1 import can_go_together
from harness.data.datasets import Counts, Dataset, datasets
from harness.errors import SubmissionError
from harness.metrics import metrics, score

MOSI, MOSEI, SIMS = datasets["mosi"], datasets["mosei"], datasets["sims"]


def linted(dataset: Dataset, runs: int | None = 1, **printed: str) -> list[LintFinding]:
    row = {name: Reported.parse(name, text) for name, text in printed.items()}
    return lint(row, dataset, runs=runs)


def brief(findings: list[LintFinding]) -> list[tuple[str, str]]:
    return [(finding.kind, finding.verdict) for finding in findings]


# Printed numbers and names


@pytest.mark.parametrize(
    ("metric", "text", "value", "step"),
    [
        ("acc7", "38.60", "0.386", "0.0001"),
        ("acc7", "38.6", "0.386", "0.001"),
        ("acc7", "0.386", "0.386", "0.001"),
        ("acc7", " 38.6% ", "0.386", "0.001"),
        ("acc7", "0.5%", "0.005", "0.001"),
        ("mae", "1.464", "1.464", "0.001"),
        ("corr", "-0.07", "-0.07", "0.01"),
        ("corr", "7.5e-1", "0.75", "0.01"),
    ],
)
def test_a_printed_number_is_an_interval(metric: str, text: str, value: str, step: str) -> None:
    number = Reported.parse(metric, text)
    assert (number.value, number.step) == (Fraction(value), Fraction(step))
    assert (number.low + number.high) / 2 == number.value
    assert number.high - number.low == number.step
    assert number.widened().high - number.widened().low == 2 * number.step


@pytest.mark.parametrize(
    ("metric", "text", "value", "step", "spread"),
    [
        ("mae", "0.712 ± 0.01", "0.712", "0.001", "0.01"),
        ("acc7", "46.36±0.5", "0.4636", "0.0001", "0.005"),
        ("acc7", r"\textbf{46.4}", "0.464", "0.001", None),
        ("acc7", "46,36†", "0.4636", "0.0001", None),
        ("corr", "−0.5", "-0.5", "0.1", None),
        ("corr", "79.1 ± 0.3 %", "0.791", "0.001", "0.003"),
    ],
)
def test_a_number_keeps_its_spread_and_its_precision(
    metric: str, text: str, value: str, step: str, spread: str | None
) -> None:
    number = Reported.parse(metric, text)
    assert number == Reported(
        text=text,
        value=Fraction(value),
        step=Fraction(step),
        spread=None if spread is None else Fraction(spread),
    )
    assert number.widened().spread == number.spread


@pytest.mark.parametrize("text", ["", "-", "n/a", "nan", "–"])
def test_a_cell_without_a_number_is_none(text: str) -> None:
    assert Reported.parse("mae", text) is None


@pytest.mark.parametrize("text", ["inf", "1e99999", "1e-999", "1,234", "83.2/84.1", "not run"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(SubmissionError, match="should be a number, found"):
        Reported.parse("mae", text)


@given(st.floats(0.02, 1), st.integers(0, 4))
def test_the_interval_holds_what_was_printed(value: float, decimals: int) -> None:
    for text in (f"{value:.{decimals + 2}f}", f"{100 * value:.{decimals}f}%"):
        number = Reported.parse("acc2", text)
        assert number.low - Fraction("1e-15") <= Fraction(value) <= number.high + Fraction("1e-15")


@pytest.mark.parametrize(
    ("dataset", "printed", "name"),
    [
        ("mosi", "Has0_acc_2", ("acc2_has0", False)),
        ("mosi", "Acc2_has0", ("acc2_has0", False)),
        ("mosi", "Non0_F1_score", ("f1_non0", False)),
        ("mosi", "Mult_acc_7", ("acc7", False)),
        ("mosi", "Acc-7", ("acc7", False)),
        ("mosi", "MAE", ("mae", False)),
        ("simsv2", "Corr_x100", ("corr", True)),
        ("simsv2", "R2_x100", ("r2", True)),
        ("sims", "Mult_acc_2", ("acc2", False)),
        ("sims", "F1_score", ("f1", False)),
        ("sims", "Acc7", None),
        ("mosi", "Acc2", None),
        ("mosi", "F1", None),
        ("mosi", "Acc2_has0@missing_avg", None),
        ("simsv2", "Acc2_weak", ("acc2_weak", False)),
        ("mosi", "Acc-7 (%) ↑", ("acc7", True)),
        ("mosi", "Corr (×100)", ("corr", True)),
        ("mosi", "Acc-2 has0/non0", None),
    ],
)
def test_printed_names(dataset: str, printed: str, name: tuple[str, bool] | None) -> None:
    assert canonical_name(printed, datasets[dataset]) == name


@pytest.mark.parametrize(
    ("dataset", "printed", "names"),
    [
        ("mosi", "Acc-2 (has0/non0)", ("acc2_has0", "acc2_non0")),
        ("mosi", "Acc-2 (non0 / has0), %", ("acc2_non0", "acc2_has0")),
        ("mosei", "Has0_F1_score/Non0_F1_score", ("f1_has0", "f1_non0")),
        ("mosi", "MAE", ("mae",)),
        ("mosi", "Acc-2", None),
        ("mosi", "Acc-2 (a/b)", None),
        ("sims", "Acc-2 (has0/non0)", None),
    ],
)
def test_a_name_can_be_of_two_metrics(
    dataset: str, printed: str, names: tuple[str, ...] | None
) -> None:
    found = canonical_names(printed, datasets[dataset])
    assert (found and found[0]) == names


# Counts


@pytest.mark.parametrize(
    ("printed", "verdict"),
    [
        ({"acc2_has0": "86.44"}, []),  # 593 of 686
        ({"acc2_non0": "88.72"}, []),  # 582 of 656
        ({"acc2_has0": "77.38"}, [("count", "impossible")]),
        ({"acc2_has0": "0.7738"}, [("count", "impossible")]),
        ({"acc2_has0": "77.4"}, []),
        ({"acc2_has0": "86.45"}, [("count", "impossible")]),
    ],
)
def test_one_run_is_a_count(printed: dict[str, str], verdict: list[tuple[str, str]]) -> None:
    assert brief(linted(MOSI, **printed)) == verdict


def test_a_number_cut_off_is_said_to_be() -> None:
    assert brief(linted(MOSI, acc7="38.62")) == [("truncated", "note")]  # 265 / 686 = 38.6297
    assert brief(linted(MOSI, acc7="38.63")) == []


def test_without_a_number_of_runs_nothing_is_impossible() -> None:
    assert brief(linted(MOSI, None, acc2_has0="77.38")) == [("count", "note")]


def test_means_can_be_too_fine_to_check() -> None:
    assert brief(linted(MOSEI, 5, acc2_has0="81.24", acc7="53.24")) == [("not-checkable", "note")]
    assert brief(linted(MOSI, 5, acc2_has0="77.38")) == []
    assert brief(linted(MOSI, 2, acc2_has0="77.38")) == [("count", "impossible")]


def test_a_mean_of_five_in_which_every_value_is_a_count_looks_like_one_run() -> None:
    """TETFN on MOSI in MMSA's table of five-seed means: 571, 560, 368, 314 clips."""
    tetfn = {"acc2_has0": "83.24", "acc2_non0": "85.37", "acc5": "53.64", "acc7": "45.77"}
    assert brief(linted(MOSI, 5, **tetfn)) == [("one-run", "suspicious")]
    assert brief(linted(MOSI, None, **tetfn)) == [("one-run", "note")]
    assert brief(linted(MOSI, 1, **tetfn)) == []
    assert brief(linted(MOSI, 5, **tetfn | {"acc5": "53.67"})) == []


# Ranges and orders


@pytest.mark.parametrize(
    "printed", [{"corr": "1.02"}, {"corr": "-1.1"}, {"mae": "-0.2"}, {"acc7": "101.2"}]
)
def test_values_outside_their_range(printed: dict[str, str]) -> None:
    assert ("range", "impossible") in brief(linted(MOSI, None, **printed))


def test_the_ends_of_a_range_are_inside() -> None:
    assert brief(linted(MOSI, 1, corr="1.0", mae="0.0", acc7="100.00")) == []


@pytest.mark.parametrize(
    ("dataset", "printed", "verdict"),
    [
        (MOSI, {"acc5": "40.2", "acc7": "45.0"}, "impossible"),
        (MOSI, {"acc3": "40.2", "acc5": "45.0"}, "impossible"),
        (MOSI, {"acc3": "40.2", "acc7": "45.0"}, "impossible"),
        (MOSI, {"acc2_has0": "76.7", "acc2_non0": "46.4"}, "suspicious"),
        (MOSI, {"acc2_has0": "80.0", "acc2_non0": "86.0"}, "suspicious"),
        (MOSI, {"acc2_has0": "86.44", "acc2_non0": "88.72"}, None),  # 11 of 30 zero clips
        (SIMS, {"acc2": "70.0", "acc2_non0": "86.0"}, "impossible"),
        (SIMS, {"acc2": "80.0", "acc2_non0": "86.0"}, None),
        (SIMS, {"acc3": "40.0", "acc5": "41.0"}, "impossible"),
        (SIMS, {"acc2": "60.0", "acc3": "76.0"}, "impossible"),
        (SIMS, {"acc2": "62.0", "acc3": "76.0"}, None),  # 69 zero clips are 15.1 %
    ],
)
def test_orders_that_follow_from_the_definitions(
    dataset: Dataset, printed: dict[str, str], verdict: str | None
) -> None:
    found = [f.verdict for f in linted(dataset, None, **printed) if f.kind == "order"]
    assert found == ([] if verdict is None else [verdict])


# F1


def pairs(positive: int, negative: int, *, swapped: bool) -> set[tuple[float, float]]:
    """Every (accuracy, weighted F1) there is, by scikit-learn."""
    truth = np.repeat([1, 0], [positive, negative])
    found = set()
    for hits, called in itertools.product(range(positive + 1), range(negative + 1)):
        pred = np.zeros_like(truth)
        pred[:hits] = 1
        pred[positive : positive + called] = 1
        order = (pred, truth) if swapped else (truth, pred)
        f1 = f1_score(*order, average="weighted", labels=[0, 1], zero_division=0.0)
        found.add((accuracy_score(truth, pred), float(f1)))
    return found


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(("positive", "negative"), [(4, 3), (1, 6), (5, 5)])
def test_exactly_the_pairs_of_one_run_can_go_together(
    positive: int, negative: int, swapped: bool
) -> None:
    possible = pairs(positive, negative, swapped=swapped)
    step = Fraction(1, 10**6)
    accuracies = {accuracy for accuracy, _ in possible}
    for accuracy, f1 in itertools.product(accuracies, np.linspace(0, 1, 23)):
        expected = any(a == accuracy and abs(f - f1) <= 6e-7 for a, f in possible)
        assert can(accuracy, f1, positive, negative, 1, step, swapped) == expected
    for accuracy, f1 in possible:
        assert can(accuracy, f1, positive, negative, 1, step, swapped)


POSSIBLE = {swapped: pairs(4, 3, swapped=swapped) for swapped in (False, True)}


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_means_of_possible_pairs_can_go_together(data: st.DataObject) -> None:
    swapped = data.draw(st.booleans())
    possible = sorted(POSSIBLE[swapped])
    chosen = data.draw(st.lists(st.sampled_from(possible), min_size=2, max_size=5))
    digits = data.draw(st.integers(1, 4))
    accuracy, f1 = np.round(np.mean(np.round(chosen, digits), axis=0), digits)
    assert can(accuracy, f1, 4, 3, len(chosen), Fraction(1, 10**digits), swapped)


def can(
    accuracy: float,
    f1: float,
    positive: int,
    negative: int,
    runs: int | None,
    step: Fraction,
    swapped: bool,
) -> bool:
    printed = [Reported(text="", value=Fraction(v), step=step) for v in (accuracy, f1)]
    return can_go_together(*printed, positive, negative, runs, swapped=swapped)


def test_f1_that_no_mean_can_have() -> None:
    step = Fraction(1, 1000)
    assert not can(0.9, 0.5, 277, 379, None, step, False)
    assert not can(0.6, 0.9, 277, 379, None, step, False)


@pytest.mark.parametrize(
    ("dataset", "printed", "swapped"),
    [
        (MOSI, {"acc2_has0": "55.25", "f1_has0": "39.32"}, "71.17"),
        (MOSEI, {"acc2_has0": "71.02", "f1_has0": "58.99"}, "83.06"),
        (MOSEI, {"acc2_non0": "62.85", "f1_non0": "48.51"}, "77.19"),
        (SIMS, {"acc2": "69.37", "f1": "56.82"}, "81.91"),
        (datasets["simsv2"], {"acc2": "59.09", "f1": "43.90"}, "74.29"),
    ],
)
def test_a_dead_model_and_its_swapped_f1(
    dataset: Dataset, printed: dict[str, str], swapped: str
) -> None:
    assert brief(linted(dataset, **printed)) == [("constant", "suspicious")] * 2
    f1 = next(name for name in printed if name.startswith("f1"))
    found = linted(dataset, **printed | {f1: swapped})
    assert brief(found) == [("f1", "suspicious"), ("constant", "suspicious")]
    assert "it can with its arguments swapped" in found[0].text
    found = linted(dataset, **printed | {f1: "97.31"})
    assert ("f1", "impossible") in brief(found)


# Constant predictors


def test_one_sign_for_every_clip_scores_as_scikit_learn_says() -> None:
    counts = MOSI.splits["test"]
    labels = np.repeat([-1.0, 0.0, 1.0], [counts.negative, counts.zero, counts.positive])
    for name, value in (("positive for every clip", 1.0), ("negative for every clip", -1.0)):
        scores = binary_constants(MOSI)[name]
        for suffix, kept in (("has0", labels == labels), ("non0", labels != 0)):
            truth = labels[kept] >= 0
            pred = np.full(truth.size, value > 0)
            assert scores[f"acc2_{suffix}"] == pytest.approx(accuracy_score(truth, pred))
            expected = f1_score(truth, pred, average="weighted")
            assert scores[f"f1_{suffix}"] == pytest.approx(expected)


def test_constants_from_labels() -> None:
    train, test = [-1.0, 0.0, 2.5], np.array([-2.0, -2.2, 0.4, 3.0])
    found = label_constants(train, test, MOSI)
    assert found["the train mean"]["mae"] == pytest.approx(np.abs(test - 0.5).mean())
    assert found["zero"]["mae"] == pytest.approx(np.abs(test).mean())
    assert "corr" not in found["zero"]
    assert found["the best constant"]["acc7"] == 0.5
    row = {"acc7": Reported.parse("acc7", "50.00"), "mae": Reported.parse("mae", "1.900")}
    said = [finding.text for finding in lint(row, MOSI, constants=found)]
    assert "MAE 1.900 is that of predicting zero" in said
    assert "Acc-7 50.00 is that of predicting the best constant" in said


def test_a_coarse_number_equals_a_constant_by_chance() -> None:
    assert brief(linted(SIMS, 1, acc2="0.69")) == []
    assert brief(linted(SIMS, 1, acc2="0.694")) == [("constant", "suspicious")]


# What was measured


@st.composite
def measured(draw: st.DrawFn, *, zeros: bool) -> tuple[Dataset, list[dict[str, float]]]:
    """A small dataset and the scores of some runs on it; predictions may be 0 where asked."""
    base = draw(st.sampled_from([MOSI, SIMS]))
    grid = [round(base.high * k / 5, 6) for k in range(-5, 6)]
    labels = np.array(draw(st.lists(st.sampled_from(grid), min_size=3, max_size=40)))
    counts = Counts(
        clips=labels.size,
        negative=int((labels < 0).sum()),
        zero=int((labels == 0).sum()),
        positive=int((labels > 0).sum()),
        videos=1,
    )
    values = st.floats(-4, 4, width=32).filter(lambda v: zeros or abs(v) > 1e-3)
    run = st.lists(values, min_size=labels.size, max_size=labels.size)
    runs = draw(st.lists(run, min_size=1, max_size=4))
    dataset = dataclasses.replace(base, splits={"test": counts})
    return dataset, [score(pred, labels, dataset) for pred in runs]


def printed_mean(name: str, values: list[float], decimals: int, *, first: bool) -> Reported | None:
    """As tables print a mean: of values, or of values that were rounded first."""
    factor = 100 if metrics[name].percent else 1
    digits = decimals + (0 if factor == 100 else 2)
    scaled = [factor * value for value in values]
    rounded = [round(value, digits) for value in scaled] if first else scaled
    text = f"{np.mean(rounded):.{digits}f}"
    return Reported.parse(name, text + ("%" if factor == 100 else ""))


@given(st.data(), st.integers(0, 3), st.booleans(), st.booleans(), st.booleans())
@settings(max_examples=300, deadline=None)
def test_measured_numbers_are_never_accused(
    data: st.DataObject, decimals: int, zeros: bool, first: bool, stated: bool
) -> None:
    dataset, scores = data.draw(measured(zeros=zeros))
    row = {
        name: number
        for name in scores[0]
        if not np.isnan([run[name] for run in scores]).any()
        and (number := printed_mean(name, [s[name] for s in scores], decimals, first=first))
    }
    found = lint(row, dataset, runs=len(scores) if stated else None, constants={})
    accused = [f for f in found if f.verdict == "impossible" or f.kind == "f1"]
    accused += [f for f in found if f.kind == "order" and not zeros]
    assert accused == []
