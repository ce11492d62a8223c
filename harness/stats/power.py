"""What a comparison could have seen: detectable differences, power, seeds needed, smallest p."""

from __future__ import annotations

import math

from scipy.special import ndtr, ndtri

from harness.errors import SpecError
from harness.stats.estimate import LEAST_OF_TWO, Estimate
from harness.stats.reference import Reference

__all__ = [
    "power",
    "resolution",
    "resolution_of_accuracy",
    "seeds_needed",
    "smallest_p_over_seeds",
    "with_seeds",
]

_MOST_SEEDS = 1000


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


def with_seeds(difference: Estimate, seeds: int) -> Reference:
    """The law that a difference would have with so many runs of every system, as far as one sees.

    Mean squares of runs shrink with their number; what the source videos alone leave stays. A
    single run shows nothing of its system's spread: it is given that of the other system, or none
    where that has one run, too.

    Args:
        difference: Of two systems.
        seeds: Runs of each, at least 2.
    """
    parts = list(difference.runs.values())
    several = [part for part in parts if part.deviation.size > 1]
    known = [part if part.deviation.size > 1 else several[0] for part in parts] if several else []
    per_run = [part.mean_square * part.deviation.size for part in known]
    rests = [part.rest * part.deviation.size for part in known]
    # A single run's rest lies in the videos' mean square already, once; it cannot be taken out.
    videos = {
        name: max(part.mean_square - difference.rest, 0.0)
        for name, part in difference.videos.items()
    }
    rest = sum(rests) / seeds
    total = sum(per_run) / seeds + sum(videos.values()) + rest
    least = LEAST_OF_TWO * total if seeds == 2 else 0.0
    squares = sum(max(each / seeds, least) ** 2 for each in per_run) / (seeds - 1)
    squares += sum(
        (videos[name] + rest) ** 2 / part.degrees for name, part in difference.videos.items()
    )
    degrees = max(total**2 / squares, 1.0) if squares > 0 else 1.0
    return Reference(effect=difference.value, total=total, rest=rest, degrees=degrees)


def seeds_needed(difference: Estimate, delta: float | None = None) -> int | None:
    """Runs of either system with which a true difference would be found with 80 % power.

    Args:
        difference: Of two systems, as compared.
        delta: True difference, not zero; default: the one observed.

    Returns:
        2 or more; None when a thousand are not enough, because the source videos alone leave too
        much, or nothing is defined.

    Example:
        >>> import numpy as np
        >>> from harness.stats.compare import compare
        >>> rng = np.random.default_rng(0)
        >>> truth, videos = np.linspace(-3, 3, 400), np.repeat(np.arange(40), 10)
        >>> a, b = (truth + rng.normal(0, sd, (3, 400)) for sd in (0.50, 0.51))
        >>> found = compare(a, b, truth, videos, "mae", dataset="mosi")
        >>> found.verdict(), seeds_needed(found.difference)
        ('undecided', 6)
    """
    size = abs(difference.value if delta is None else delta)
    if not size > 0 or math.isnan(difference.total):
        return None

    def enough(seeds: int) -> bool:
        return with_seeds(difference, seeds).detectable() <= size

    if not enough(_MOST_SEEDS):
        return None
    low, high = 1, _MOST_SEEDS  # enough(high), and 1 is taken not to be
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
