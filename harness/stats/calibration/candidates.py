"""The procedure of boards and its runners-up: 95 % intervals of simulated differences.

All but the tests over seeds are made of the same mean squares, or of the same bootstrap draws, so
that what differs between two of them is what their titles say. A test rejects what its interval
leaves out.

Shapes: R replicates, S seeds, V source videos, D draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy.special import chdtri, ndtr, ndtri, stdtrit

from harness.metrics import Values
from harness.stats.distribution import Distribution
from harness.stats.estimate import Estimate
from harness.stats.reference import Laws
from harness.stats.resample import draw
from harness.stats.sums import Sums

__all__ = ["BEFORE", "CANDIDATES", "PRIMARY", "Candidate", "MeanSquares", "Resampled", "Table"]

Intervals: TypeAlias = tuple[Values, Values]
"""(R,) lower and (R,) upper ends; infinite where a test can find nothing."""

_ALPHA = 0.05
_STEPS = 40  # halvings of a bracket
_TINY = 1e-300
_STATES = ((np.arange(96) + 0.5) / 96)[:, None]  # of a chi-squared variable, equally likely


class MeanSquares(NamedTuple):
    """Differences A - B and what they vary by, (R,) each; see ``harness.stats.estimate``."""

    effect: Values
    total: Values
    rest: Values
    degrees: Values
    seeds_a: Values
    """T_seed of A."""
    seeds_b: Values
    rest_a: Values
    rest_b: Values
    between: Values
    """T_video of the difference."""

    @classmethod
    def of(cls, differences: Sequence[Estimate]) -> MeanSquares:
        """Of R differences of two systems on one test set each."""
        rows = []
        for found in differences:
            a, b = found.runs.values()
            (videos,) = found.videos.values()
            whole = found.value, found.total, found.rest, found.degrees
            own = a.mean_square, b.mean_square, a.rest, b.rest
            rows.append((*whole, *own, videos.mean_square))
        return cls(*np.array(rows).T)

    def variance(self) -> Values:
        """(R,) with what is counted twice subtracted, and at least that."""
        return np.maximum(self.total - self.rest, self.rest)


class Resampled(NamedTuple):
    """What candidates take from the bootstrap draws of differences, (R,) each."""

    low: Values
    """Of the percentile interval."""
    high: Values
    bca_low: Values
    bca_high: Values
    deviation: Values
    """Standard deviation of the draws."""

    @classmethod
    def of(
        cls,
        pairs: Sequence[tuple[Sums, Sums, Estimate]],
        videos: Sequence[Values],
        generator: np.random.Generator,
    ) -> Resampled:
        """Draw seeds within each system, and the same videos for both.

        Args:
            pairs: R times sums of A's runs, sums of B's, and the difference.
            videos: R times (D, V) how often each video is drawn.
            generator: Of the draws of seeds.
        """
        rows = []
        for (a, b, difference), weights in zip(pairs, videos, strict=True):
            values = [draw(side, len(side.cells), weights, generator) for side in (a, b)]
            drawn = values[0] - values[1]
            drawn = drawn[np.isfinite(drawn)]
            ends = *Distribution(drawn).interval(), *_bca(drawn, difference)
            rows.append((*ends, float(drawn.std(ddof=1))))
        return cls(*np.array(rows).reshape(-1, 5).T)


def _bca(drawn: Values, difference: Estimate) -> tuple[float, float]:
    """Interval corrected for bias and acceleration.

    The bias is the normal quantile of the share of draws below the estimate; the acceleration a
    sixth of the skewness of influence values, of videos and of each system's seeds.

    Source:
        Efron. Better bootstrap confidence intervals. JASA 82(397), 1987.
    """
    if not drawn.size:
        return math.nan, math.nan
    a, b = (part.deviation for part in difference.runs.values())
    (videos,) = (part.influence for part in difference.videos.values())
    kinds = [x * math.sqrt((x.size - 1) / x.size) for x in (videos, a, -b) if x.size]
    influence = np.concatenate(kinds)
    squares = float(influence @ influence)
    bend = float((influence**3).sum()) / (6.0 * squares**1.5) if squares else 0.0
    below = np.mean((drawn < difference.value) + 0.5 * (drawn == difference.value))
    least = 1.0 / (1.0 + drawn.size)
    bias = float(ndtri(min(max(float(below), least), 1.0 - least)))
    shifted = bias + ndtri(np.array([_ALPHA / 2.0, 1.0 - _ALPHA / 2.0]))
    levels = ndtr(bias + shifted / np.maximum(1.0 - bend * shifted, least))
    places = np.floor(levels * (drawn.size + 1)).astype(np.intp) - np.array([1, 0])
    ends = np.sort(drawn)[places.clip(0, drawn.size - 1)]
    return float(ends[0]), float(ends[1])


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """R simulated differences in one metric.

    Args:
        squares: Of all of them.
        resampled: Of the first ones, as many as were bootstrapped.
        values: (R, S_a) and (R, S_b) metric of every run.
        videos: V.
    """

    squares: MeanSquares
    resampled: Resampled
    values: tuple[Values, Values]
    videos: int

    @property
    def seeds(self) -> tuple[int, int]:
        """S_a and S_b."""
        a, b = self.values
        return a.shape[1], b.shape[1]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A way to an interval.

    Args:
        title: In the field's words.
        short: At the head of a column.
        intervals: Of a table's differences, of the first ones where it is bootstrapped; None
            where it does not apply.
        bootstrapped: Whether it takes draws.
    """

    title: str
    short: str
    intervals: Callable[[Table], Intervals | None]
    bootstrapped: bool = False


def _primary(table: Table) -> Intervals:
    found = table.squares
    return _about(found.effect, Laws(found.total, found.rest, found.degrees).reach(1.0 - _ALPHA))


def _plug_in(table: Table) -> Intervals:
    """Estimated variance as the true one, and its own estimator's scatter around it."""
    found = table.squares
    variance = found.variance()
    true = np.maximum(found.total, 2.0 * found.rest)  # whose estimate is ``variance`` on average
    ratio = chdtri(found.degrees, 1.0 - _STATES) / found.degrees  # (states, R)
    again = np.sqrt(np.maximum(true * ratio - found.rest, found.rest)) / np.maximum(
        variance, 1e-300
    )

    def beyond(distance: Values) -> Values:
        return np.asarray(2.0 * ndtr(-distance * again).mean(axis=0))

    high = 1e3 * np.sqrt(variance)
    low = np.zeros_like(high)
    for _ in range(_STEPS):
        middle = (low + high) / 2.0
        inside = beyond(middle) > _ALPHA
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return _about(found.effect, high)


def _unsubtracted(table: Table) -> Intervals:
    found = table.squares
    return _t(found.effect, found.total, found.degrees)


def _floored(table: Table) -> Intervals:
    found = table.squares
    return _t(found.effect, found.variance(), _degrees_of_floored(table))


def _degrees_of_floored(table: Table) -> Values:
    """Satterthwaite's, the mean squares that are subtracted among them."""
    found, others = table.squares, table.videos - 1
    a, b = (max(seeds - 1, 1) for seeds in table.seeds)
    squares = found.seeds_a**2 / a + found.seeds_b**2 / b + found.between**2 / others
    squares = squares + found.rest_a**2 / (a * others) + found.rest_b**2 / (b * others)
    return np.asarray(found.variance() ** 2 / np.maximum(squares, _TINY))


def _boot_t(table: Table) -> Intervals:
    deviation = table.resampled.deviation
    first = slice(deviation.size)
    degrees = _degrees_of_floored(table)[first]
    return _t(table.squares.effect[first], deviation**2, degrees)


def _percentile(table: Table) -> Intervals:
    return table.resampled.low, table.resampled.high


def _accelerated(table: Table) -> Intervals:
    return table.resampled.bca_low, table.resampled.bca_high


def _paired_t(table: Table) -> Intervals | None:
    gaps = _gaps(table)
    if gaps is None:
        return None
    seeds = gaps.shape[1]
    degrees = np.full(len(gaps), seeds - 1.0)
    return _t(gaps.mean(axis=1), gaps.var(axis=1, ddof=1) / seeds, degrees)


def _wilcoxon(table: Table) -> Intervals | None:
    """The values that an exact signed-rank test does not reject.

    Source:
        Hollander, Wolfe, Chicken. Nonparametric Statistical Methods. Wiley, 2014, section 3.3.
    """
    gaps = _gaps(table)
    if gaps is None:
        return None
    i, j = np.triu_indices(gaps.shape[1])
    averages = np.sort((gaps[:, i] + gaps[:, j]) / 2.0, axis=1)  # Walsh averages
    outside = _outermost(gaps.shape[1])
    if not outside:
        everything = np.full(len(gaps), math.inf)
        return -everything, everything
    return averages[:, outside - 1], averages[:, -outside]


def _outermost(seeds: int) -> int:
    """How many sums of ranks from the smallest on are together no likelier than half of alpha."""
    ways = np.ones(1)
    for rank in range(1, seeds + 1):
        ways = np.convolve(ways, np.array([1.0, *[0.0] * (rank - 1), 1.0]))
    return int(np.count_nonzero(ways.cumsum() / 2.0**seeds <= _ALPHA / 2.0))


def _gaps(table: Table) -> Values | None:
    """(R, S) differences between runs of one number; None where the runs do not pair up."""
    a, b = table.values
    return a - b if a.shape == b.shape and a.shape[1] > 1 else None


def _t(effect: Values, variance: Values, degrees: Values) -> Intervals:
    return _about(effect, np.sqrt(variance) * stdtrit(degrees, 1.0 - _ALPHA / 2.0))


def _about(effect: Values, reach: Values) -> Intervals:
    return effect - reach, effect + reach


PRIMARY, BEFORE = "primary", "percentile"

CANDIDATES: Mapping[str, Candidate] = {
    PRIMARY: Candidate(
        title="crossed variance, fiducial reference", short="boards", intervals=_primary
    ),
    BEFORE: Candidate(
        title="two-way bootstrap, percentile",
        short="percentile",
        intervals=_percentile,
        bootstrapped=True,
    ),
    "bca": Candidate(
        title="two-way bootstrap, BCa", short="BCa", intervals=_accelerated, bootstrapped=True
    ),
    "boot_t": Candidate(
        title="two-way bootstrap's standard error, t",
        short="boot-t",
        intervals=_boot_t,
        bootstrapped=True,
    ),
    "unsubtracted": Candidate(
        title="crossed variance, nothing subtracted, t",
        short="not subtracted",
        intervals=_unsubtracted,
    ),
    "floored": Candidate(title="crossed variance, floored, t", short="floored", intervals=_floored),
    "plug_in": Candidate(
        title="crossed variance, plug-in reference", short="plug-in", intervals=_plug_in
    ),
    "paired_t": Candidate(title="paired t over seeds", short="paired t", intervals=_paired_t),
    "wilcoxon": Candidate(title="Wilcoxon over seeds", short="Wilcoxon", intervals=_wilcoxon),
}
"""The procedure of ``compare`` and boards, that of before, and what else was tried."""
