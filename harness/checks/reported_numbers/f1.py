"""Which weighted F1 can go with which accuracy.

With P clips labelled positive and N negative, k right answers of which a are positive fix both F1
scores, hence their weighted mean: for one run every pair can be enumerated. Means over runs lie in
the convex hull of these pairs.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from harness.checks.reported_numbers.reported import Reported

__all__ = ["can_go_together"]

_SLOPES = np.linspace(-8.0, 8.0, 321)
_ROUNDING = 1e-9


def can_go_together(
    accuracy: Reported,
    f1: Reported,
    positive: int,
    negative: int,
    runs: int | None,
    *,
    swapped: bool,
) -> bool:
    """Whether some runs have this accuracy and this F1."""
    n = positive + negative
    if runs == 1:
        few, many = math.ceil(accuracy.low * n), math.floor(accuracy.high * n)
        rows = (_f1_of(k, positive, negative, swapped=swapped) for k in range(few, many + 1))
        low, high = float(f1.low) - _ROUNDING, float(f1.high) + _ROUNDING
        return few > many or any(bool(((low <= f) & (f <= high)).any()) for f in rows)
    wide, wide_f1 = accuracy.widened(), f1.widened()
    low, high = _f1_bounds(positive, negative, swapped, float(wide.low), float(wide.high))
    return low - _ROUNDING <= float(wide_f1.high) and float(wide_f1.low) <= high + _ROUNDING


def _f1_of(k: int, positive: int, negative: int, *, swapped: bool) -> NDArray[np.float64]:
    """Every weighted F1 that k right answers can give, by how many of them are positive."""
    hits = np.arange(max(0, k - negative), min(positive, k) + 1)
    rejections = k - hits
    called = hits + negative - rejections  # predicted positive
    refused = rejections + positive - hits
    with np.errstate(invalid="ignore"):
        f1_positive = np.nan_to_num(2 * hits / (positive + called))
        f1_negative = np.nan_to_num(2 * rejections / (negative + refused))
    weight = called if swapped else positive
    rest = refused if swapped else negative
    return np.asarray((weight * f1_positive + rest * f1_negative) / (positive + negative))


@cache
def _extremes(
    positive: int, negative: int, swapped: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n + 1,) lowest and highest F1 per number of right answers."""
    every = [_f1_of(k, positive, negative, swapped=swapped) for k in range(positive + negative + 1)]
    return np.array([f.min() for f in every]), np.array([f.max() for f in every])


def _f1_bounds(
    positive: int, negative: int, swapped: bool, low: float, high: float
) -> tuple[float, float]:
    """Bounds on a mean F1 given a mean accuracy in [low, high].

    A mean over runs lies in the convex hull of what single runs can have; every line above (below)
    all single runs bounds it.
    """
    lowest, highest = _extremes(positive, negative, swapped)
    accuracy = np.arange(lowest.size) / (lowest.size - 1)
    slopes = _SLOPES[:, None]
    at_ends = _SLOPES * low, _SLOPES * high
    above = (highest - slopes * accuracy).max(axis=1) + np.maximum(*at_ends)
    below = (lowest - slopes * accuracy).min(axis=1) + np.minimum(*at_ends)
    return float(below.max()), float(above.min())
