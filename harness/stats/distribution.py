"""Intervals and p-values from bootstrap draws, by their percentiles.

Both are one inversion: p < alpha exactly when the 1 - alpha interval leaves zero out. Counting the
observed data as one more draw keeps every p-value above zero; the bounds of an interval are draws,
infinite where there are too few of them for its level.

For what is resampled as a whole: qualities of scores, means over videos. Systems are compared by
``harness.stats.compare``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from harness.metrics import Values

__all__ = ["Distribution"]


@dataclass(frozen=True, eq=False)
class Distribution:
    """Draws of an estimate; every answer is NaN when there are none.

    Args:
        draws: (D,) finite values.

    Source:
        Davison, Hinkley. Bootstrap Methods and their Application. Cambridge University Press,
        1997, sections 4.2 and 5.3.

    Example:
        >>> draws = Distribution(np.linspace(-1.0, 9.0, 101))
        >>> round(draws.interval(0.8)[1], 6), round(draws.p_value(), 3)
        (8.1, 0.235)
    """

    draws: Values

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Interval at a level in (0, 1)."""
        size = self.draws.size
        if not size:
            return math.nan, math.nan
        # So many draws a bound has beyond it, itself included, for p to reach alpha; 1 - level is a
        # little more than alpha.
        beyond = math.ceil(round((1.0 - level) * (1.0 + size) / 2.0, 9)) - 1
        if beyond < 1:
            return -math.inf, math.inf
        placed = np.partition(self.draws, [beyond - 1, size - beyond])  # two need no sort
        return float(placed[beyond - 1]), float(placed[size - beyond])

    def p_value(self) -> float:
        """Two-sided p of a truth of zero: the level at which the interval reaches zero.

        It is at least 2 / (D + 1); draws that are all equal to zero give 1.
        """
        if not self.draws.size:
            return math.nan
        below = int(np.count_nonzero(self.draws <= 0.0))
        above = int(np.count_nonzero(self.draws >= 0.0))
        return min(1.0, 2.0 * (1.0 + min(below, above)) / (1.0 + self.draws.size))
