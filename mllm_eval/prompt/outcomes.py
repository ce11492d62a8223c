"""What became of a request, and what a clip without an answer counts as.

A refusal is no neutral rating. Every clip has an outcome; the clips without a value are counted,
and scored under each of three stated policies. Transport trouble is no outcome: such a question is
asked again, and nothing is scored before it has been answered, unless a share of such clips was
accepted beforehand.

Shapes: N clips asked, n clips scored.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.errors import SpecError

__all__ = [
    "Outcome",
    "Policy",
    "Reading",
    "Scored",
    "count",
    "excluded",
    "outcome_of",
    "train_mean",
    "worst_case",
]


class Outcome(StrEnum):
    """How a request ended."""

    ANSWERED = "answered"
    REFUSED = "refused"
    UNPARSED = "unparsed"
    CUT = "cut"
    OUT_OF_RANGE = "out_of_range"
    BLOCKED = "blocked"
    REJECTED = "rejected"
    NO_MEDIA = "no_media"
    UNANSWERED = "unanswered"

    @property
    def meaning(self) -> str:
        """One line for a legend."""
        return _MEANINGS[self]


_MEANINGS = {
    Outcome.ANSWERED: "one value on the scale",
    Outcome.REFUSED: "the model declined",
    Outcome.UNPARSED: "an answer that is not in the form asked for",
    Outcome.CUT: "cut off before the model ended it",
    Outcome.OUT_OF_RANGE: "a number off the scale",
    Outcome.BLOCKED: "stopped by the provider's content filter",
    Outcome.REJECTED: "a request that the server cannot take, such as one that is too long",
    Outcome.NO_MEDIA: "not asked: the recording is missing or broken, or its times have no length",
    Outcome.UNANSWERED: "left open by the transport, within the share that was accepted",
}

_OPEN: Final[Mapping[str, Outcome]] = dict.fromkeys(("timed_out", "failed"), Outcome.UNANSWERED)
"""States of requests that the transport left open -> what they count as where that is accepted."""


def outcome_of(state: str) -> Outcome:
    """What the last state of a request counts as, where it brought nothing to read.

    Example:
        >>> outcome_of("timed_out").value
        'unanswered'
    """
    return _OPEN.get(state) or Outcome(state)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What was read from one answer: a value if and only if the outcome is ``answered``.

    Raises:
        ValueError: For an answer without a finite value, or a value without an answer.
    """

    outcome: Outcome
    value: float | None = None
    detail: str = ""
    """Why there is no value, for the journal."""
    mass: float | None = None
    """Probability covered by the labels, 0 to 1; None where labels were not scored."""

    def __post_init__(self) -> None:
        answered = self.outcome is Outcome.ANSWERED
        if answered != (self.value is not None) or not math.isfinite(self.value or 0.0):
            raise ValueError(
                f"a reading has a finite value if and only if it is answered;"
                f" found {self.outcome}, {self.value}"
            )


class Policy(StrEnum):
    """What a clip without an answer counts as."""

    TRAIN_MEAN = "train_mean"
    EXCLUDED = "excluded"
    WORST_CASE = "worst_case"

    @property
    def meaning(self) -> str:
        """One line for a legend."""
        return _POLICIES[self]


_POLICIES = {
    Policy.TRAIN_MEAN: "clips without an answer get the mean label of the training set (main)",
    Policy.EXCLUDED: "only answered clips are scored",
    Policy.WORST_CASE: "clips without an answer get the end of the scale farthest from the label",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Scored:
    """Predictions under one policy.

    Args:
        policy: What was done about clips without an answer.
        pred: (n,) finite predictions, in the order of the clips kept.
        kept: (N,) which clips are scored.
        answered: Number of clips with an answer.
    """

    policy: Policy
    pred: NDArray[np.float64]
    kept: NDArray[np.bool_]
    answered: int

    @property
    def coverage(self) -> float:
        """Share of the N clips that were answered, 0 to 1, whatever the policy."""
        return self.answered / self.kept.size


def count(readings: Iterable[Reading]) -> dict[Outcome, int]:
    """Number of readings of every outcome, zeros included.

    Example:
        >>> count([Reading(outcome=Outcome.REFUSED)])[Outcome.REFUSED]
        1
    """
    counts = dict.fromkeys(Outcome, 0)
    for reading in readings:
        counts[reading.outcome] += 1
    return counts


def train_mean(readings: Sequence[Reading], mean: float) -> Scored:
    """The main policy: a clip without an answer gets the training set's mean label.

    Args:
        readings: N readings.
        mean: Mean training label.

    Returns:
        (N,) predictions.

    Raises:
        SpecError: Without readings, or for a mean that is not finite.
    """
    if not math.isfinite(mean):
        raise SpecError(f"the mean training label is a finite number, found {mean}")
    values, answered = _values(readings)
    return Scored(
        policy=Policy.TRAIN_MEAN,
        pred=np.where(answered, values, mean),
        kept=np.ones(answered.shape, dtype=np.bool_),
        answered=int(answered.sum()),
    )


def excluded(readings: Sequence[Reading]) -> Scored:
    """Only answered clips are scored; their number belongs beside every value.

    Args:
        readings: N readings.

    Returns:
        (n,) predictions of the answered clips; n is 0 when none was.

    Raises:
        SpecError: Without readings.
    """
    values, answered = _values(readings)
    return Scored(
        policy=Policy.EXCLUDED,
        pred=values[answered],
        kept=answered,
        answered=int(answered.sum()),
    )


def worst_case(readings: Sequence[Reading], truth: ArrayLike, low: float, high: float) -> Scored:
    """A clip without an answer gets the end of the scale that is farthest from its label.

    That is the largest error and always the wrong class; no correlation is bounded by it. A label
    in the middle gets the lower end, for "zero or more" counts it among the positive.

    Args:
        readings: N readings.
        truth: (N,) labels.
        low: Lower end of the scale.
        high: Upper end of the scale.

    Returns:
        (N,) predictions.

    Raises:
        SpecError: Without readings, or when labels are not N numbers on the scale.
    """
    values, answered = _values(readings)
    labels = np.asarray(truth, dtype=np.float64)
    if labels.shape != values.shape or not ((low <= labels) & (labels <= high)).all():
        raise SpecError(f"expected {values.size} labels in [{low:g}, {high:g}], one per reading")
    farthest = np.where(labels - low >= high - labels, low, high)
    return Scored(
        policy=Policy.WORST_CASE,
        pred=np.where(answered, values, farthest),
        kept=np.ones(answered.shape, dtype=np.bool_),
        answered=int(answered.sum()),
    )


def _values(readings: Sequence[Reading]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(N,) values, NaN where there is none, and (N,) which clips were answered."""
    if not readings:
        raise SpecError("there are no readings to score")
    values = np.array([math.nan if r.value is None else r.value for r in readings])
    return values, ~np.isnan(values)
