"""Continuous scores from label probabilities.

A model that names one of K letters has an expected value over all K. Servers return raw
log-probabilities, taken before any mask on the output, so the K are renormalised and the
probability that they cover is kept. Letters are permuted, for models prefer some positions.

Shapes: K letters.
"""

from __future__ import annotations

import math
import string
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from harness._util.seeds import derive
from harness.errors import SpecError
from mllm_eval.prompt.outcomes import Outcome, Reading
from mllm_eval.prompt.parse import unread, unwrapped

__all__ = ["LOW_MASS", "Letters"]

LOW_MASS = 0.5
"""Below this covered probability an expected value is of low confidence."""

_ROUNDING = 1e-3  # log-probabilities computed in half precision can exceed zero by as much


@dataclass(frozen=True, kw_only=True)
class Letters:
    """What each letter stands for in one request.

    Args:
        values: K values; letter A stands for the first.
    """

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not 2 <= len(set(self.values)) == len(self.values) <= len(string.ascii_uppercase):
            raise SpecError(f"letters stand for 2 to 26 different values, found {self.values}")

    @classmethod
    def permuted(
        cls, low: float, high: float, *, levels: int = 7, clip: str, seed: int = 0, turn: int = 0
    ) -> Letters:
        """Evenly spaced levels in an order of the clip's own, rotated once per turn.

        Over ``levels`` turns each level stands once behind each letter, so that a preference for
        letters, whatever it is, cancels in the mean.

        Args:
            low: Lowest level.
            high: Highest level.
            levels: Number of levels, 2 to 26; servers return 20 log-probabilities by default.
            clip: Clip id; clips have orders of their own.
            seed: Of the orders.
            turn: 0 for the first pass.

        Raises:
            SpecError: For a scale or a number of levels that letters cannot have.
        """
        if not (low < high and 2 <= levels <= len(string.ascii_uppercase)):
            raise SpecError(f"expected 2 to 26 levels from low to high, found {levels}")
        generator = np.random.default_rng(derive(seed, "letters", clip))
        order = generator.permutation(np.linspace(low, high, levels))  # (K,)
        return cls(values=tuple(np.roll(order, turn).tolist()))

    @property
    def letters(self) -> tuple[str, ...]:
        """A, B, C and so on, K of them."""
        return tuple(string.ascii_uppercase[: len(self.values)])

    def listed(self) -> str:
        """One line per letter, for a prompt.

        Example:
            >>> print(Letters(values=(1.0, -1.0, 0.0)).listed())
            A: +1
            B: -1
            C: 0
        """
        pairs = zip(self.letters, self.values, strict=True)
        return "\n".join(f"{letter}: {f'{value:+.2g}' if value else 0}" for letter, value in pairs)

    def expected(self, logprobs: Iterable[tuple[str, float | None]]) -> Reading:
        """The expected value, Σ p·v / Σ p over the letters, and the mass Σ p that they cover.

        Tokens that differ in white space only are one letter. Letters the server does not list
        count as improbable: the mass tells how much that leaves out.

        Args:
            logprobs: Token and log-probability of the candidates for the answer's only token.

        Returns:
            Unparsed when no letter is among them, or any log-probability is missing or none that
            can be.
        """
        stands_for = dict(zip(self.letters, self.values, strict=True))
        told = [(token.strip(), math.nan if p is None else p) for token, p in logprobs]
        if any(math.isnan(p) or p > _ROUNDING for _, p in told):
            detail = "a log-probability is missing, NaN or positive"
            return Reading(outcome=Outcome.UNPARSED, detail=detail)
        weighted = [(stands_for[token], math.exp(p)) for token, p in told if token in stands_for]
        mass = math.fsum(weight for _, weight in weighted)  # exact, whatever the order
        if not mass:
            return Reading(outcome=Outcome.UNPARSED, detail="no letter is probable", mass=0.0)
        mean = math.fsum(value * (weight / mass) for value, weight in weighted)
        value = min(max(mean, min(self.values)), max(self.values))  # rounding can overshoot
        return Reading(outcome=Outcome.ANSWERED, value=value, mass=min(mass, 1.0))

    def read(self, answer: str) -> Reading:
        """The level of an answer that is one letter, where log-probabilities are not to be had."""
        letter = unwrapped(answer)
        if letter not in self.letters:
            return unread(answer, f"a letter from A to {self.letters[-1]}")
        return Reading(outcome=Outcome.ANSWERED, value=self.values[self.letters.index(letter)])
