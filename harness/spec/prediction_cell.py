"""What a prediction was made under: the condition of the clips, and the variant of the answer.

A condition is what happened to the clips that a system saw. A variant is everything else that sets
predictions of the same clips by the same run apart: another policy for questions without an answer,
one prompt alone, judgements that clips swapped. The two are columns of every stored table of
predictions, and a ``PredictionCell`` is how rows of such a table are chosen.

Stores of before had one column for both, and systems still give one name to each of their further
predictions. ``PredictionCell.named`` is the one rule that takes such a name apart.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from harness.errors import SpecError
from harness.spec.conditions import CLEAN, Condition

__all__ = [
    "CALIBRATED",
    "COUNTED",
    "EXCLUDED",
    "MIXED",
    "PLAIN",
    "SWAPPED",
    "WORST_CASE",
    "PredictionCell",
]

PLAIN = "plain"
"""The variant that counts: what the system says, by its own rules."""

MIXED = "mixed"
"""Condition in which every clip went through its own drawing of a law of training corruption."""

SWAPPED = "judgements swapped"
"""Variant in which clips swapped what a network judged of them."""

EXCLUDED, WORST_CASE, CALIBRATED = "excluded", "worst_case", "calibrated"
"""Variants of a model that was asked: clips without an answer have no prediction, or the end of the
scale farthest from the label; answers went through a line fitted on labels."""

_PROMPT = "prompt:"
_PASS = "pass "


@dataclass(frozen=True, kw_only=True)
class PredictionCell:
    """Which of a run's predictions of a split are meant; the default are those that count.

    Args:
        condition: Name of a ``Condition``, or ``mixed``.
        variant: ``plain``, or what else sets these predictions apart.

    Raises:
        SpecError: When no condition is called so.

    Example:
        >>> PredictionCell() == PredictionCell.named("clean")
        True
        >>> PredictionCell.named("excluded")
        PredictionCell(condition='clean', variant='excluded')
        >>> str(PredictionCell(condition="noise=0.5")), str(PredictionCell.of_prompt("en-cues"))
        ('noise=0.5', 'clean, prompt:en-cues')
    """

    condition: str = CLEAN.name
    variant: str = PLAIN

    def __post_init__(self) -> None:
        if self.condition != MIXED:
            Condition.parse(self.condition)

    def __str__(self) -> str:
        """The condition, with the variant where it is not the plain one; ``named`` reads it."""
        return self.condition if self.variant == PLAIN else f"{self.condition}, {self.variant}"

    @classmethod
    def named(cls, name: str) -> PredictionCell:
        """The cell that one name stands for.

        A condition stands for its plain predictions, ``CONDITION, VARIANT`` for both, any other
        name for a variant on clean clips.

        Example:
            >>> PredictionCell.named("mixed, judgements swapped")
            PredictionCell(condition='mixed', variant='judgements swapped')
        """
        condition, comma, variant = name.partition(", ")
        if comma and _is_condition(condition):
            return cls(condition=condition, variant=variant)
        return cls(condition=name) if _is_condition(name) else cls(variant=name)

    @classmethod
    def of_prompt(cls, prompt: str) -> PredictionCell:
        """What a model that was asked predicts by one of its prompts alone."""
        return cls(variant=f"{_PROMPT}{prompt}")

    @classmethod
    def of_pass(cls, number: int) -> PredictionCell:
        """What a network whose predictions change predicts when it sees the clips once more.

        Args:
            number: Of the pass, from 2: the first is the one that counts.
        """
        return cls(variant=f"{_PASS}{number}")

    @property
    def prompt(self) -> str | None:
        """The one prompt that these predictions are by; None where that is not their variant."""
        found = self.variant.removeprefix(_PROMPT)
        return None if found == self.variant else found


COUNTED = PredictionCell()
"""Those that count: plain answers about clips as they are."""


@functools.cache
def _is_condition(name: str) -> bool:
    try:
        PredictionCell(condition=name)
    except SpecError:
        return False
    return True
