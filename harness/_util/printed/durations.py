"""How long something takes, as people say it."""

from __future__ import annotations

__all__ = ["duration"]


def duration(seconds: float) -> str:
    """Two significant digits of seconds, minutes or hours.

    Example:
        >>> duration(0.0213), duration(75), duration(5400), duration(360_000)
        ('0.021 s', '1.2 min', '1.5 h', '100 h')
    """
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{_two_digits(seconds / length)} {unit}"
    return f"{_two_digits(seconds)} s"


def _two_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
