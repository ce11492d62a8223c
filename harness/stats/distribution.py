"""Inference from bootstrap draws of a difference.

Interval and p-value are one inversion: p < alpha exactly when the 1 - alpha interval leaves zero
out. Counting the observed data as one more draw keeps every p-value above zero; the bounds of an
interval are draws, infinite where there are too few of them for its level.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from harness.errors import SpecError
from harness.metrics import Values

__all__ = ["Distribution"]

_Side: TypeAlias = Literal[1, -1]
_BELOW_ONE = 1.0 - 2.0**-53  # the largest float64 below 1, where ndtri is still finite
_ABOVE_ZERO = 2.0**-53  # keeps the denominator of BCa positive


@dataclass(frozen=True, eq=False)
class Distribution:
    """Draws of a difference; every answer is NaN when there are none.

    Args:
        draws: (D,) finite values.
        bias: z0 of a BCa interval, 0 for a percentile interval.
        acceleration: a of a BCa interval, 0 for a percentile interval.

    Source:
        Efron. Better bootstrap confidence intervals. JASA 82(397), 1987, for bias and acceleration.

    Example:
        >>> draws = Distribution(np.linspace(-1.0, 9.0, 101))
        >>> round(draws.interval(0.8)[1], 6), round(draws.p_value(), 3)
        (8.1, 0.235)
    """

    draws: Values
    bias: float = 0.0
    acceleration: float = 0.0

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Interval at a level in (0, 1)."""
        if not self.draws.size:
            return math.nan, math.nan
        alpha = round(1.0 - level, 12)  # 1 - 0.95 is a little more than 0.05
        size = self.draws.size
        from_below = self._rank(alpha, 1)
        from_above = self._rank(alpha, -1)
        wanted = [rank for rank in (from_below - 1, size - from_above) if 0 <= rank < size]
        # Two order statistics need no sort.
        placed = np.partition(self.draws, wanted) if wanted else self.draws
        return (
            float(placed[from_below - 1]) if from_below else -math.inf,
            float(placed[size - from_above]) if from_above else math.inf,
        )

    def p_value(self) -> float:
        """Two-sided p of no difference: the level at which the interval reaches zero.

        It is at least 2 / (D + 1); draws that are all equal to zero give 1.
        """
        if not self.draws.size:
            return math.nan
        below, above = self._beyond(0.0, 1), self._beyond(0.0, -1)
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
        if not self.draws.size:
            return math.nan
        return max(self._beyond(-margin, 1), self._beyond(margin, -1))

    def standard_error(self) -> float:
        """Standard deviation of the draws."""
        return float(self.draws.std(ddof=1)) if self.draws.size > 1 else math.nan

    def share_positive(self) -> float:
        """Share of draws above zero, ties half."""
        if not self.draws.size:
            return math.nan
        return float(np.mean((self.draws > 0) + 0.5 * (self.draws == 0)))

    def _rank(self, alpha: float, side: _Side) -> int:
        """How many draws a bound has beyond it, itself included; 0 where it is infinite."""
        return _rank(self.draws.size, alpha, side * self.bias, side * self.acceleration)

    def _beyond(self, value: float, side: _Side) -> float:
        """One-sided p of a difference up to ``value`` (side 1), or of ``value`` or more (-1)."""
        found = np.count_nonzero(self.draws <= value if side == 1 else self.draws >= value)
        shift, acceleration = side * self.bias, side * self.acceleration
        return float(_tail(np.array(found), self.draws.size, shift, acceleration))


@lru_cache(256)  # all percentile intervals of a level share one; those of BCa share none
def _rank(size: int, alpha: float, bias: float, acceleration: float) -> int:
    """The first count of draws on the other side at which a one-sided test is not significant."""
    stops = 2.0 * _tail(np.arange(size + 1), size, bias, acceleration) >= alpha
    return int(stops.argmax())


def _tail(found: NDArray[np.intp], size: int, bias: float, acceleration: float) -> Values:
    """One-sided p-values when so many of ``size`` draws are on the other side."""
    share: Values = np.asarray((1.0 + found) / (1.0 + size), dtype=np.float64)
    if bias == acceleration == 0.0:
        return share
    # BCa's level Φ(z0 + w / (1 - a w)) with w = z0 + z_alpha (Efron 1987), solved for alpha.
    distance = ndtri(np.minimum(share, _BELOW_ONE)) - bias
    scale = np.maximum(1.0 + acceleration * distance, _ABOVE_ZERO)
    corrected: Values = np.maximum(ndtr(distance / scale - bias), 1.0 / (1.0 + size))
    return np.where(found == size, 1.0, corrected)  # a share of 1 was moved below 1
