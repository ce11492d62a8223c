"""Inference from bootstrap draws of a difference."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from harness.errors import SpecError
from harness.metrics.base import Values

__all__ = ["Distribution"]


@dataclass(frozen=True, eq=False)
class Distribution:
    """Draws of a difference; every answer is NaN when there are none.

    Args:
        draws: (D,) finite values.

    Example:
        >>> draws = Distribution(np.linspace(-1.0, 9.0, 101))
        >>> round(draws.interval(0.8)[1], 6), round(draws.p_value(), 3)
        (8.0, 0.235)
    """

    draws: Values

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Percentile interval at a level in (0, 1)."""
        if not self.draws.size:
            return math.nan, math.nan
        tail = (1.0 - level) / 2.0
        low, high = np.quantile(self.draws, [tail, 1.0 - tail])
        return float(low), float(high)

    def p_value(self) -> float:
        """Two-sided p of no difference: the level at which the interval reaches zero.

        Counting the observed data as one more draw keeps it above zero; draws that are all equal
        to zero give 1.
        """
        if not self.draws.size:
            return math.nan
        below, above = self._beyond((self.draws <= 0).sum()), self._beyond((self.draws >= 0).sum())
        return min(1.0, 2.0 * min(below, above))

    def p_equivalence(self, margin: float) -> float:
        """P-value of two one-sided tests against ±margin; small means equivalent.

        Args:
            margin: Largest difference without practical meaning, > 0.

        Raises:
            SpecError: For a margin that is not positive.

        Source:
            Schuirmann. Journal of Pharmacokinetics and Biopharmaceutics 15, 1987.
        """
        if not margin > 0:
            raise SpecError(f"an equivalence margin is positive, found {margin:g}")
        outside = max((self.draws >= margin).sum(), (self.draws <= -margin).sum())
        return self._beyond(outside)

    def standard_error(self) -> float:
        """Standard deviation of the draws."""
        return float(self.draws.std(ddof=1)) if self.draws.size > 1 else math.nan

    def share_positive(self) -> float:
        """Share of draws above zero, ties half."""
        if not self.draws.size:
            return math.nan
        return float(np.mean((self.draws > 0) + 0.5 * (self.draws == 0)))

    def _beyond(self, found: int) -> float:
        return float(1 + found) / (1 + self.draws.size) if self.draws.size else math.nan
