"""Expected values against closed forms, calibration against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import linregress

from harness.errors import SpecError, SubmissionError
from harness.metrics.affine import Affine, fit_affine
from mllm_eval.prompt.letters import LOW_MASS, Letters
from mllm_eval.prompt.outcomes import Outcome

THREE = Letters(values=(1.0, -1.0, 0.0))
LOG = st.floats(-30, 0)


def test_the_expected_value_is_renormalised_over_the_letters() -> None:
    found = THREE.expected([("A", math.log(0.3)), ("B", math.log(0.1)), ("The", math.log(0.5))])
    assert found.value == pytest.approx((0.3 - 0.1) / 0.4)
    assert found.mass == pytest.approx(0.4)
    assert found.mass is not None
    assert found.mass < LOW_MASS


def test_tokens_that_differ_in_space_are_one_letter() -> None:
    found = THREE.expected([("A", math.log(0.2)), (" A", math.log(0.2)), ("C\n", math.log(0.6))])
    assert found.value == pytest.approx(0.4)
    assert found.mass == pytest.approx(1.0)


@pytest.mark.parametrize("shift", [0.0, -5.0, -300.0])
def test_raw_probabilities_need_no_normalisation(shift: float) -> None:
    found = THREE.expected([("A", shift + math.log(0.6)), ("B", shift + math.log(0.4))])
    assert found.value == pytest.approx(0.2)
    assert found.mass == pytest.approx(math.exp(shift))


@given(st.lists(LOG, min_size=3, max_size=3))
def test_the_expected_value_is_a_weighted_mean(logs: list[float]) -> None:
    found = THREE.expected(zip("ABC", logs, strict=True))
    weights = np.exp(np.subtract(logs, max(logs)))
    assert found.value == pytest.approx(np.average(THREE.values, weights=weights), abs=1e-12)
    assert found.value is not None
    assert -1.0 <= found.value <= 1.0


@pytest.mark.parametrize(
    "logprobs",
    [
        [],
        [("D", -0.1), ("a", -0.1), ("AB", -0.1), ("", -0.1)],
        [("A", -math.inf), ("B", -9999.0)],
        [("A", math.nan)],
        [("A", None)],
        [("A", -1.0), ("B", None)],
        [("A", -1.0), ("the", math.nan)],
        [("A", -1.0), ("B", math.nan)],
        [("A", 0.5)],
        [("A", math.inf)],
    ],
)
def test_what_has_no_expected_value_is_unparsed(logprobs: list[tuple[str, float]]) -> None:
    assert THREE.expected(logprobs).outcome is Outcome.UNPARSED


@given(st.lists(st.tuples(st.sampled_from(["A", "B", " C", "x"]), st.floats())))
def test_no_log_probabilities_raise(logprobs: list[tuple[str, float]]) -> None:
    found = THREE.expected(logprobs)
    assert (found.value is None) == (found.outcome is Outcome.UNPARSED)


def test_one_letter_is_its_level() -> None:
    assert [THREE.read(answer).value for answer in ("A", " B\n", "C")] == [1.0, -1.0, 0.0]
    assert {THREE.read(a).outcome for a in ("D", "a", "AB", "A.", "")} == {Outcome.UNPARSED}
    assert THREE.read("I cannot say.").outcome is Outcome.REFUSED


# Permutation


def test_letters_carry_every_level_once() -> None:
    letters = Letters.permuted(-3, 3, clip="a_1")
    assert sorted(letters.values) == [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0]
    assert letters == Letters.permuted(-3, 3, clip="a_1")
    orders = {Letters.permuted(-3, 3, clip=f"a_{i}").values for i in range(50)}
    assert len(orders) > 40


@given(st.lists(LOG, min_size=7, max_size=7), st.text(alphabet="abc_0", max_size=5))
def test_a_preference_for_positions_cancels_over_the_turns(bias: list[float], clip: str) -> None:
    weights = np.log(np.exp(bias) / np.exp(bias).sum()).tolist()
    turns = [Letters.permuted(-3, 3, clip=clip, turn=turn) for turn in range(7)]
    values = [letters.expected(zip("ABCDEFG", weights, strict=True)).value for letters in turns]
    assert sum(value for value in values if value is not None) == pytest.approx(0, abs=1e-9)
    assert None not in values


@pytest.mark.parametrize(
    ("low", "high", "levels"), [(1, -1, 7), (0, 0, 7), (-1, 1, 1), (-1, 1, 27)]
)
def test_letters_that_cannot_be(low: float, high: float, levels: int) -> None:
    with pytest.raises(SpecError, match="expected 2 to 26 levels"):
        Letters.permuted(low, high, levels=levels, clip="a")


@pytest.mark.parametrize("values", [(), (1.0,), (1.0, 1.0), tuple(map(float, range(27)))])
def test_letters_stand_for_different_values(values: tuple[float, ...]) -> None:
    with pytest.raises(SpecError, match="2 to 26 different"):
        Letters(values=values)


# Calibration

POINTS = st.lists(st.tuples(st.integers(-30, 30), st.integers(-30, 30)), min_size=3)


@given(POINTS)
def test_the_line_is_that_of_least_squares(points: list[tuple[int, int]]) -> None:
    x, y = np.array(points, dtype=np.float64).T / 10
    line = fit_affine(x, y)
    if np.ptp(x):
        reference = linregress(x, y)
        assert line.slope == pytest.approx(reference.slope, abs=1e-9)
        assert line.intercept == pytest.approx(reference.intercept, abs=1e-9)
    else:
        np.testing.assert_allclose(line(x), y.mean(), atol=1e-12)


def test_a_wrong_scale_is_undone() -> None:
    truth = np.linspace(-3, 3, 13)
    line = fit_affine(truth * 0.5 + 1.0, truth)
    assert (line.slope, line.intercept) == pytest.approx((2.0, -2.0), abs=1e-5)
    assert (line.clips, Affine.label) == (13, "calibrated, uses labels")


@pytest.mark.parametrize(("pred", "truth"), [([], []), ([1.0], [1.0, 2.0]), ([math.nan], [1.0])])
def test_what_cannot_be_fitted_is_named(pred: list[float], truth: list[float]) -> None:
    with pytest.raises(SubmissionError):
        fit_affine(pred, truth)
