"""Numbers as the page shows them: rounded as on the Markdown board, with a true minus sign."""

from __future__ import annotations

import math

from harness._util.printed import defined as written
from harness.metrics import Metric
from leaderboards import tables

__all__ = ["defined", "key", "number", "p_value", "span"]


def number(value: float, metric: Metric, *, sign: bool = False) -> str:
    """A value of a metric, or a difference of values.

    Args:
        value: NaN when undefined.
        metric: It decides on per cent and decimals.
        sign: Whether to write ``+`` too.
    """
    shown = tables.number(value, metric).replace("-", "−")
    return f"+{shown}" if sign and shown[:1].isdigit() else shown


def defined(interval: tuple[float, float] | None) -> bool:
    """Whether there is an interval to show."""
    return interval is not None and all(map(math.isfinite, interval))


def span(bounds: tuple[float, float], metric: Metric) -> str:
    """An interval in words."""
    low, high = (number(bound, metric) for bound in bounds)
    return f"{low} to {high}"


def p_value(p: float) -> str:
    """``p = 0.012`` or ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {written(p, '.3f', tables.UNDEFINED)}"


def key(value: float) -> str | None:
    """What a column is sorted by; None, always last, when undefined.

    Example:
        >>> key(0.25), key(math.nan)
        ('0.25', None)
    """
    return f"{value:.9g}" if math.isfinite(value) else None
