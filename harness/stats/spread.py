"""What a handful of results per seed say by themselves, without the predictions behind them.

Everything here is about new seeds on *the same* test clips. New clips and videos vary too, and a
table of results per seed does not hold what that would take.

Shapes: S seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from harness.errors import SpecError

__all__ = ["Spread", "detectable_between_seeds", "spread"]

_LEVEL, _POWER = 0.05, 0.8


@dataclass(frozen=True, kw_only=True)
class Spread:
    """One metric over S seeds; NaN where it is undefined for a seed or S is 1.

    Args:
        seeds: S.
        mean: Over all seeds.
        sd: Sample standard deviation (S - 1).
        low: Smallest value.
        high: Largest value.
        half_width: Of the 95 % t interval of the mean.
        detectable: ``detectable_between_seeds`` of this spread.
    """

    seeds: int
    mean: float
    sd: float
    low: float
    high: float
    half_width: float
    detectable: float


def spread(values: Sequence[float]) -> Spread:
    """Describe a metric over seeds.

    Args:
        values: One per seed, at least one, NaN where undefined: then everything is undefined, for
            the other seeds alone would flatter.

    Example:
        >>> found = spread([0.7, 0.8, 0.9])
        >>> round(found.mean, 6), round(found.sd, 6), round(found.half_width, 3)
        (0.8, 0.1, 0.248)
    """
    data = np.asarray(values, dtype=np.float64)
    sd = float(data.std(ddof=1)) if data.size > 1 else math.nan
    reach = float(stats.t.ppf(1.0 - _LEVEL / 2.0, data.size - 1)) if data.size > 1 else math.nan
    return Spread(
        seeds=data.size,
        mean=float(data.mean()),
        sd=sd,
        low=float(data.min()),
        high=float(data.max()),
        half_width=reach * sd / math.sqrt(data.size),
        detectable=detectable_between_seeds(sd, data.size) if data.size > 1 else math.nan,
    )


def detectable_between_seeds(sd: float, seeds: int) -> float:
    """Smallest true difference that a two-sample t test over seeds finds.

    A lower bound on what two systems must differ by to be told apart: it takes these test clips
    for the whole world.

    Args:
        sd: Standard deviation over seeds, the same for both systems.
        seeds: S of each system, 2 or more.

    Returns:
        The difference that a two-sided 5 % test finds with 80 % power, exact for Gaussian results.

    Raises:
        SpecError: With fewer than two seeds.

    Source:
        Power of the t test: its square follows a non-central F distribution.

    Example:
        >>> round(detectable_between_seeds(1.0, 5), 3)
        2.024
    """
    if seeds < 2:
        raise SpecError(f"a spread over seeds takes two seeds or more, found {seeds}")
    degrees = 2 * (seeds - 1)
    critical = float(stats.t.ppf(1.0 - _LEVEL / 2.0, degrees))

    def lacking(distance: float) -> float:
        return float(stats.ncf.sf(critical**2, 1, degrees, distance**2)) - _POWER

    return float(optimize.brentq(lacking, 1e-6, 3.0 * critical)) * sd * math.sqrt(2.0 / seeds)
