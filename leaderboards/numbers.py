"""Numbers and marks as every board prints them: averaged first, rounded last, once."""

from __future__ import annotations

import math

from harness._util.printed import defined
from harness.metrics import Metric

__all__ = [
    "APART",
    "CONDITIONAL",
    "EMPTY",
    "EXPLORATORY",
    "ONCE",
    "TIED",
    "UNDEFINED",
    "arrow",
    "bounds",
    "number",
    "p_value",
    "rank_set",
    "scaled",
]

APART = "≠"
"""Marks a comparison of rows that know different things."""

EMPTY = "·"
"""Nothing to show: no run, or a question that does not arise."""

UNDEFINED = "–"
"""A run exists and its value is mathematically undefined."""

ONCE = "once"
"""Stands where seeds are counted, for a zero-shot model asked one time."""

TIED = "●"
"""Marks the tie group at the top in the metric that ranks: no other row is significantly better."""

EXPLORATORY = "○"
"""Marks the same group in any other metric, where nothing bounds the errors of all metrics."""

CONDITIONAL = "conditional on one run: how much another run differs is unseen"
"""Said of comparisons with a row that ran once and could differ the next time."""


def arrow(metric: Metric) -> str:
    """``↑`` or ``↓``, or the value to come close to."""
    if metric.ideal is not None:
        return f"→ {metric.ideal:g}"
    return "↑" if metric.higher_is_better else "↓"


def scaled(metric: Metric, value: float) -> float:
    """The value as customarily printed: percentages times 100."""
    return 100 * value if metric.percent else value


def number(
    value: float,
    metric: Metric,
    *,
    signed: bool = False,
    decimals: int = 3,
    directed: bool = False,
    undefined: str = UNDEFINED,
) -> str:
    """A value of a metric, or a difference of values; no negative zero unless it is asked for.

    Args:
        value: In the metric's own unit, NaN where undefined.
        metric: It decides on per cent, which has 2 decimals.
        signed: Whether to write ``+`` too.
        decimals: Of everything that is no percentage.
        undefined: What stands for NaN.
        directed: Whether what rounds to zero from below keeps its minus: it tells who is ahead.
    """
    places = 2 if metric.percent else decimals
    sign, zero = "+" if signed else "", "" if directed else "z"
    return defined(scaled(metric, value), f"{sign}{zero}.{places}f", undefined)


def bounds(low: float, high: float, metric: Metric, *, signed: bool = False) -> str:
    """An interval in brackets; undefined where an end is not finite."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return UNDEFINED
    return f"[{number(low, metric, signed=signed)}, {number(high, metric, signed=signed)}]"


def p_value(p: float) -> str:
    """``p = 0.012`` or ``p < .001``."""
    return "p < .001" if p < 0.001 else f"p = {defined(p, '.3f', UNDEFINED)}"


def rank_set(ranks: tuple[int, int]) -> str:
    """``2`` or ``1–3``."""
    best, worst = ranks
    return str(best) if best == worst else f"{best}–{worst}"
