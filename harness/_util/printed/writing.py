"""Numbers on their way out: what is undefined is called so, with its count, and never printed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

__all__ = ["UNDEFINED", "defined", "interval", "over_runs", "with_spread"]

UNDEFINED = "undefined"
"""Stands where a value has no meaning; on boards a dash with a note does."""


def defined(value: float, form: str, undefined: str = UNDEFINED) -> str:
    """``value`` in a format, ``undefined`` where it is NaN.

    Example:
        >>> defined(0.25, "+.3f"), defined(math.nan, "+.3f")
        ('+0.250', 'undefined')
    """
    return undefined if math.isnan(value) else format(value, form)


def interval(low: float, high: float, form: str, undefined: str = UNDEFINED) -> str:
    """``[low, high]`` in a format, ``undefined`` where an end is NaN.

    Example:
        >>> interval(-0.5, 0.25, "+.2f"), interval(math.nan, math.nan, "+.2f")
        ('[-0.50, +0.25]', 'undefined')
    """
    if math.isnan(low) or math.isnan(high):
        return undefined
    return f"[{format(low, form)}, {format(high, form)}]"


def with_spread(mean: float, sd: float, show: Callable[[float], str], no_spread: str = "") -> str:
    """``mean ± sd``; the mean alone where the sd is undefined, what stands for it where both are.

    Args:
        mean: NaN where undefined.
        sd: NaN where undefined, as of a single run.
        show: How a value is written, NaN too.
        no_spread: Follows a mean whose sd is undefined.

    Example:
        >>> with_spread(0.5, 0.25, "{:.2f}".format), with_spread(0.5, math.nan, "{:.2f}".format)
        ('0.50 ± 0.25', '0.50')
    """
    if math.isnan(mean):
        return show(mean)
    return f"{show(mean)}{no_spread}" if math.isnan(sd) else f"{show(mean)} ± {show(sd)}"


def over_runs(values: Sequence[float], form: str) -> str:
    """Mean ± sample standard deviation of one value per run, and why where there is none.

    One undefined run makes the whole undefined: the others alone would flatter.

    Args:
        values: At least one, NaN where undefined.
        form: Format of a value.

    Example:
        >>> over_runs([0.5, 1.5], "z.2f"), over_runs([0.5, math.nan], "z.2f")
        ('1.00 ± 0.71', 'undefined in 1 of 2 runs')
        >>> over_runs([0.5], "z.2f")
        '0.50 ± undefined (1 run)'
    """
    missing = sum(map(math.isnan, values))
    if missing:
        return f"{UNDEFINED} in {missing} of {len(values)} run{'s' if len(values) > 1 else ''}"
    sd = statistics.stdev(values) if len(values) > 1 else math.nan
    return with_spread(
        statistics.fmean(values), sd, f"{{:{form}}}".format, f" ± {UNDEFINED} (1 run)"
    )
