"""Clips without an answer: counted, and scored as the policies say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import SpecError
from mllm_eval.prompt.outcomes import (
    Outcome,
    Policy,
    Reading,
    count,
    excluded,
    train_mean,
    worst_case,
)

LACKING = [outcome for outcome in Outcome if outcome is not Outcome.ANSWERED]


def answered(value: float) -> Reading:
    return Reading(outcome=Outcome.ANSWERED, value=value)


def lacking(outcome: Outcome = Outcome.REJECTED) -> Reading:
    return Reading(outcome=outcome)


READINGS = st.lists(
    st.one_of(st.floats(-3, 3).map(answered), st.sampled_from(LACKING).map(lacking)), min_size=1
)


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_an_answer_has_a_finite_value(value: float | None) -> None:
    with pytest.raises(ValueError, match="if and only if"):
        Reading(outcome=Outcome.ANSWERED, value=value)


@pytest.mark.parametrize("outcome", LACKING)
@pytest.mark.parametrize("value", [0.0, 1.0, math.nan])
def test_nothing_else_has_a_value(outcome: Outcome, value: float) -> None:
    with pytest.raises(ValueError, match="if and only if"):
        Reading(outcome=outcome, value=value)


def test_every_outcome_and_policy_is_explained() -> None:
    meanings = [item.meaning for item in (*Outcome, *Policy)]
    assert len(set(meanings)) == len(meanings) == 12


@given(READINGS)
def test_counts_add_up(readings: list[Reading]) -> None:
    counts = count(readings)
    assert list(counts) == list(Outcome)
    assert sum(counts.values()) == len(readings)
    assert counts[Outcome.ANSWERED] == excluded(readings).answered


def test_policies_by_hand() -> None:
    readings = [answered(1.0), lacking(), lacking(Outcome.REFUSED), answered(-2.0), lacking()]
    truth = [1.0, 2.0, -0.2, -1.0, 0.0]
    main = train_mean(readings, 0.15)
    assert main.pred.tolist() == [1.0, 0.15, 0.15, -2.0, 0.15]
    only = excluded(readings)
    assert only.pred.tolist() == [1.0, -2.0]
    assert only.kept.tolist() == [True, False, False, True, False]
    worst = worst_case(readings, truth, -3.0, 3.0)
    assert worst.pred.tolist() == [1.0, -3.0, 3.0, -2.0, -3.0]
    assert {policy.coverage for policy in (main, only, worst)} == {0.4}
    assert [p.policy for p in (main, only, worst)] == list(Policy)


@given(READINGS, st.floats(-3, 3), st.data())
def test_policies_agree_on_answers_and_nothing_beats_the_worst(
    readings: list[Reading], mean: float, data: st.DataObject
) -> None:
    truth = np.array([data.draw(st.floats(-3, 3)) for _ in readings])
    main, only, worst = (
        train_mean(readings, mean),
        excluded(readings),
        worst_case(readings, truth, -3.0, 3.0),
    )
    for scored in (main, worst):
        assert scored.pred.shape == truth.shape
        assert scored.kept.all()
        np.testing.assert_array_equal(scored.pred[only.kept], only.pred)
    assert (main.pred[~only.kept] == mean).all()
    errors = np.abs(worst.pred - truth)[~only.kept]
    assert (errors >= 3.0).all()
    assert (errors >= np.abs(main.pred - truth)[~only.kept]).all()


def test_nothing_answered_is_no_coverage_and_no_zero() -> None:
    readings = [lacking(outcome) for outcome in LACKING]
    assert excluded(readings).pred.size == 0
    assert train_mean(readings, 0.3).coverage == 0.0
    assert 0.0 not in train_mean(readings, 0.3).pred
    assert 0.0 not in worst_case(readings, np.zeros(len(readings)), -1.0, 1.0).pred


@pytest.mark.parametrize(
    "labels", [[], [0.0, 0.0], [4.0], [math.nan]], ids=["none", "two", "off", "nan"]
)
def test_labels_must_fit(labels: list[float]) -> None:
    with pytest.raises(SpecError, match="expected 1 labels in"):
        worst_case([lacking()], labels, -3.0, 3.0)


def test_impossible_requests_are_named() -> None:
    with pytest.raises(SpecError, match="no readings"):
        excluded([])
    with pytest.raises(SpecError, match="found nan"):
        train_mean([lacking()], math.nan)
