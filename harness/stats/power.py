"""What a comparison could have seen: detectable differences, power, smallest possible p."""

from __future__ import annotations

import math

from scipy.special import ndtr, ndtri

from harness.errors import SpecError

__all__ = ["power", "resolution", "resolution_of_accuracy", "smallest_p_over_seeds"]


def resolution(standard_error: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """Smallest true difference that a two-sided test finds with the given power.

    Args:
        standard_error: Of the difference, as ``Comparison.standard_error``.
        alpha: Level of the test.
        power: Wanted probability of p < alpha, above alpha.

    Returns:
        (z(1 - alpha / 2) + z(power)) · standard error, in units of the metric.

    Example:
        >>> round(resolution(0.01), 4)
        0.028
    """
    reach = float(ndtri(1.0 - alpha / 2.0)) + float(ndtri(power))
    return reach * standard_error


def resolution_of_accuracy(
    clips: int, discordant: float, alpha: float = 0.05, power: float = 0.8
) -> float:
    """Smallest difference in accuracy that two checkpoints can show on independent clips.

    Optimistic: clips of one video are not independent, and seeds are not counted.

    Args:
        clips: Number of scored clips.
        discordant: Share of clips on which exactly one of the two is right, 0 to 1.
        alpha: Level of the test.
        power: Wanted probability of p < alpha.

    Example:
        >>> round(resolution_of_accuracy(656, 0.08), 3)  # non-zero test clips of MOSI
        0.031
    """
    return resolution(math.sqrt(discordant / clips), alpha, power)


def power(difference: float, standard_error: float, alpha: float = 0.05) -> float:
    """Probability that a two-sided test finds a true difference, in either direction.

    Example:
        >>> round(power(resolution(0.01), 0.01), 2), round(power(0.0, 0.01), 2)
        (0.8, 0.05)
    """
    if not standard_error > 0:
        raise SpecError(f"a standard error is positive, found {standard_error:g}")
    reach, shift = ndtri(1.0 - alpha / 2.0), abs(difference) / standard_error
    return float(ndtr(shift - reach) + ndtr(-reach - shift))


def smallest_p_over_seeds(seeds: int) -> float:
    """Smallest two-sided p that a sign or signed-rank test over paired seeds can reach.

    Example:
        >>> smallest_p_over_seeds(5), smallest_p_over_seeds(6)
        (0.0625, 0.03125)
    """
    return min(1.0, 2.0 ** (1 - seeds))
