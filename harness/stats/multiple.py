"""Correction of p-values for asking several questions.

An undefined p-value (NaN) stays undefined and counts as a member of its family: leaving a test out
after looking would make the others too easy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.errors import SpecError
from harness.metrics import Values

__all__ = ["benjamini_hochberg", "holm"]


def holm(p_values: ArrayLike) -> Values:
    """Holm's adjusted p-values: below alpha, the family-wise error is at most alpha.

    The k-th smallest of m is multiplied by m - k + 1 and never falls below its predecessors.

    Args:
        p_values: (m,) values in [0, 1] or NaN.

    Returns:
        (m,) adjusted values in the given order.

    Raises:
        SpecError: For values outside [0, 1].

    Source:
        Holm. Scandinavian Journal of Statistics 6(2), 1979.

    Example:
        >>> holm([0.030, 0.031, 0.032]).round(3).tolist()
        [0.09, 0.09, 0.09]
    """
    values, order = _sorted(p_values)
    factors = values.size - np.arange(values.size)
    return _restored(np.maximum.accumulate(values * factors), order, p_values)


def benjamini_hochberg(p_values: ArrayLike) -> Values:
    """Benjamini-Hochberg adjusted p-values: below q, the false discovery rate is at most q.

    Args:
        p_values: (m,) values in [0, 1] or NaN, independent or positively dependent.

    Returns:
        (m,) adjusted values in the given order.

    Raises:
        SpecError: For values outside [0, 1].

    Source:
        Benjamini, Hochberg. Journal of the Royal Statistical Society B 57(1), 1995.

    Example:
        >>> benjamini_hochberg([0.01, 0.02, 0.9]).round(3).tolist()
        [0.03, 0.03, 0.9]
    """
    values, order = _sorted(p_values)
    scaled = values * values.size / (1 + np.arange(values.size))
    return _restored(np.minimum.accumulate(scaled[::-1])[::-1], order, p_values)


def _sorted(p_values: ArrayLike) -> tuple[Values, NDArray[np.intp]]:
    """The values, NaN as 1, from smallest to largest, and the place each comes from."""
    values = np.array(p_values, dtype=np.float64, ndmin=1)
    if values.ndim != 1 or ((values < 0) | (values > 1)).any():
        raise SpecError(f"p-values are one row of numbers from 0 to 1, found {values.tolist()}")
    values = np.nan_to_num(values, nan=1.0)
    order = np.argsort(values, kind="stable")
    return values[order], order


def _restored(adjusted: Values, order: NDArray[np.intp], given: ArrayLike) -> Values:
    """Adjusted values in the given order, NaN where the given value is."""
    result = np.empty_like(adjusted)
    result[order] = adjusted.clip(max=1.0)
    result[np.isnan(np.array(given, dtype=np.float64, ndmin=1))] = np.nan
    return result
