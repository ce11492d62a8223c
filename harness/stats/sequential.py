"""Adding seeds until it is decided, without paying for it in false claims.

Whoever looks at p after 3 seeds, again after 5 and again after 10 has three chances of a false
claim: 8 to 12 in a hundred instead of 5. Here the looks are declared beforehand, and each has a
level of its own, so that the probability of a false claim at any look is 5 %.

The levels are the two-sided bounds of Wang and Tsiatis with shape 1/4, for a statistic whose
information grows with the number of seeds. The source videos are the same at every look: looks
depend on each other more than the bounds take for granted, and the error is at most what it should
be. Of the rules tried on simulated test sets (the page on calibration), this one loses a twentieth
of the power of a single look at the last number of seeds; equal levels at all looks (Pocock) stop
sooner and lose a sixth, O'Brien and Fleming's lose nothing and hardly ever stop.

Source:
    Wang, Tsiatis. Biometrics 43(1), 1987; Armitage, McPherson, Rowe. JRSS A 132(2), 1969, for the
    recursion.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from harness.errors import SpecError

__all__ = ["LOOKS", "levels"]

LOOKS = (3, 5, 10, 20)
"""Numbers of seeds at which it is looked, unless others are declared."""

_SHAPE = 0.25
_NODES = 96


def levels(looks: Sequence[int], alpha: float = 0.05) -> tuple[float, ...]:
    """The level of the test at each look.

    Args:
        looks: Numbers of seeds, rising, the first at least 2; all declared before the first look.
        alpha: Probability of a false claim at any look.

    Raises:
        SpecError: For looks that do not rise, or begin below two seeds.

    Example:
        >>> [round(level, 3) for level in levels((3, 5, 10))]
        [0.005, 0.014, 0.04]
    """
    given = tuple(looks)
    if not given or given[0] < 2 or any(b <= a for a, b in itertools.pairwise(given)):
        raise SpecError(
            f"looks are rising numbers of seeds from 2 on, found {', '.join(map(str, given))}",
            hint="such as 3, 5, 10",
        )
    return _levels(given, alpha)


@functools.cache
def _levels(looks: tuple[int, ...], alpha: float) -> tuple[float, ...]:
    from scipy.optimize import brentq  # imported late: a second of every command's start

    share = np.array(looks, dtype=np.float64) / looks[-1]
    shape = share ** (_SHAPE - 0.5)

    def spent(scale: float) -> float:
        return _crossing(share, scale * shape) - alpha

    scale = float(brentq(spent, 1.0, 10.0, xtol=1e-10))
    return tuple((2.0 * ndtr(-scale * shape)).tolist())


def _crossing(share: NDArray[np.float64], bounds: NDArray[np.float64]) -> float:
    """P(a standard normal statistic leaves ±bounds at any look), by its score at each look.

    Scores are a Gaussian walk: variance ``share`` at a look, independent steps.
    """
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    density, at, before = np.ones(1), np.zeros(1), 0.0
    mass = np.ones(1)
    for now, bound in zip(share, bounds, strict=True):
        step, reach = math.sqrt(now - before), bound * math.sqrt(now)
        here = reach * nodes
        walk = np.exp(-0.5 * ((here[:, None] - at) / step) ** 2) / (step * math.sqrt(2 * math.pi))
        density = walk @ (density * mass)
        at, mass, before = here, reach * weights, now
    return 1.0 - float(density @ mass)
