"""Numbers as a page shows them: those of every board, with a true minus sign, and sort keys."""

from __future__ import annotations

import math

from harness.metrics import Metric
from leaderboards import numbers

__all__ = ["defined", "key", "number", "span", "typeset"]


def typeset(number_: str) -> str:
    """A printed number with a true minus sign."""
    return number_.replace("-", "−")


def number(value: float, metric: Metric) -> str:
    """A value of a metric, NaN when undefined."""
    return typeset(numbers.number(value, metric))


def defined(interval: tuple[float, float] | None) -> bool:
    """Whether there is an interval to show."""
    return interval is not None and all(map(math.isfinite, interval))


def span(bounds: tuple[float, float], metric: Metric) -> str:
    """An interval in words."""
    low, high = (number(bound, metric) for bound in bounds)
    return f"{low} to {high}"


def key(value: float) -> str | None:
    """What a column is sorted by; None, always last, when undefined.

    Example:
        >>> key(0.25), key(math.nan)
        ('0.25', None)
    """
    return f"{value:.9g}" if math.isfinite(value) else None
