"""Is it the same number? Results per seed of ours beside a mean, or beside results per seed.

Both sides were measured on the same test clips, so that only training seeds make them differ. The
question is two-sided throughout: what is better than its source is no reproduction of it either.

A gap is a difference of two means over seeds, measured by Student's t. The variance is the sum of
the two sides' own, and the degrees of freedom are those of the side with fewer runs: whatever the
two spreads are, the test then errs at most as often as it says, and a few runs that lie close by
chance prove nothing. Where a source prints a mean alone, a deviation stands for its own: that of
reference runs where there are any, else ours.

*Reproduced* is a claim and has to be shown: two one-sided tests put the difference inside a margin.
The margin is ``MARGIN`` standard deviations of the reference's seeds, runs that collapsed left out
of the deviation, for they would make every system easy to reproduce; where nobody gave results per
seed it is a declared one. *Differs* is shown by an interval without zero. Where neither is shown
the data cannot tell, which is where two runs nearly always end.

Sources:
    Schuirmann. Journal of Pharmacokinetics and Biopharmaceutics 15, 1987: two one-sided tests.
    Mickey, Brown. Annals of Mathematical Statistics 37(3), 1966: t with the fewer degrees of
    freedom bounds the level of a difference of two means whatever their variances.

Shapes: S runs of ours, R reference runs, M metrics.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from harness.errors import SpecError
from harness.metrics import Values
from harness.stats.collapse import outlying

__all__ = [
    "LEAST_RUNS",
    "LEVEL",
    "MARGIN",
    "Finding",
    "SeedGap",
    "SeedSpread",
    "Together",
    "beside_mean",
    "beside_runs",
    "spread_of",
    "together_with_means",
    "together_with_runs",
]

LEVEL = 0.05
"""Of the test of difference, and of each of the two one-sided tests."""

MARGIN = 1.5
"""Of equivalence, in standard deviations of the reference's seeds.

Against ten reference runs of the same spread, ten of ours that are the same are told to be so four
times in five, five every second time; with one standard deviation it would take more than twenty.
"""

LEAST_RUNS = 3
"""Runs of ours below which nothing is reproduced: two lie as close as one likes by chance."""

_EXACT = 20_000  # ways to divide the runs, up to which each is looked at
_ROUNDING = 1e-12  # what adding in another order leaves

Finding: TypeAlias = Literal["reproduced", "higher", "lower", "cannot tell"]
"""``higher`` and ``lower``: the gap is shown, and its sign."""


@dataclass(frozen=True, kw_only=True)
class SeedSpread:
    """The spread of a metric over reference runs.

    Args:
        runs: R, the collapsed ones included.
        sd: Sample standard deviation of those that did not collapse; NaN of fewer than two.
        collapsed: How many did.
    """

    runs: int
    sd: float
    collapsed: int

    @property
    def degrees(self) -> int:
        """Of freedom of ``sd``."""
        return self.runs - self.collapsed - 1


def spread_of(values: Sequence[float], costs: Sequence[float]) -> SeedSpread:
    """The spread of one metric, collapsed runs left out and counted.

    A run collapsed when its cost lies far outside the others' on the bad side, by the rule of
    ``harness.stats.collapse``: by five scaled median absolute deviations and by a quarter of their
    median.

    Args:
        values: (R,) the metric.
        costs: (R,) what tells collapsed runs, the larger the worse: the MAE of the same runs.

    Example:
        >>> mae = [0.71, 0.72, 0.73, 0.70, 1.30]
        >>> found = spread_of(mae, mae)
        >>> found.collapsed, round(found.sd, 4)
        (1, 0.0129)
    """
    sound = np.asarray(values, dtype=np.float64)[~outlying(costs)]
    return SeedSpread(
        runs=len(values),
        sd=float(sound.std(ddof=1)) if sound.size > 1 else math.nan,
        collapsed=len(values) - sound.size,
    )


@dataclass(frozen=True, kw_only=True)
class SeedGap:
    """Our mean minus another one.

    Args:
        effect: The difference.
        standard_error: Of it; 0 where nothing varies.
        degrees: Of freedom of the standard error.
        runs: S.
    """

    effect: float
    standard_error: float
    degrees: int
    runs: int

    @classmethod
    def exact(cls, effect: float) -> SeedGap:
        """A difference that nothing varies, such as that of a checkpoint from its own number."""
        return cls(effect=effect, standard_error=0.0, degrees=1, runs=LEAST_RUNS)

    def interval(self, level: float = 1.0 - LEVEL) -> tuple[float, float]:
        """Interval of the difference at a level in (0, 1)."""
        reach = float(stdtrit(self.degrees, (1.0 + level) / 2.0)) * self.standard_error
        return self.effect - reach, self.effect + reach

    def p_value(self) -> float:
        """Two-sided p of no difference."""
        return min(1.0, 2.0 * self._beyond(abs(self.effect)))

    def p_equivalence(self, margin: float) -> float:
        """The larger p of two one-sided tests against ±margin; small means equivalent."""
        return self._beyond(margin - abs(self.effect))

    def finding(self, margin: float) -> Finding:
        """What is shown, equivalence first: a gap may be both real and within the margin.

        Args:
            margin: Largest difference without practical meaning, above 0.

        Raises:
            SpecError: For a margin that is not positive.
        """
        if not margin > 0.0:
            raise SpecError(f"an equivalence margin is positive, found {margin:g}")
        if self.runs >= LEAST_RUNS and self.p_equivalence(margin) < LEVEL:
            return "reproduced"
        if self.p_value() < LEVEL:
            return "higher" if self.effect > 0.0 else "lower"
        return "cannot tell"

    def _beyond(self, distance: float) -> float:
        """P(an estimate lies at least so far to one side of the truth)."""
        if self.standard_error <= _ROUNDING:
            return 1.0 if distance <= _ROUNDING else 0.0
        return float(stdtr(self.degrees, -distance / self.standard_error))


def beside_runs(ours: Sequence[float], theirs: Sequence[float]) -> SeedGap:
    """Our mean minus that of reference runs, collapsed ones of either side included.

    Args:
        ours: (S,) values, S ≥ 2.
        theirs: (R,) values, R ≥ 2.

    Raises:
        SpecError: With fewer than two runs on a side.

    Example:
        >>> found = beside_runs([0.70, 0.72, 0.74], [0.71, 0.73, 0.75, 0.73])
        >>> round(found.effect, 3), found.degrees, found.finding(0.02)
        (-0.01, 2, 'cannot tell')
    """
    (a, s), (b, r) = _two("ours", ours), _two("the reference", theirs)
    return SeedGap(
        effect=float(a.mean() - b.mean()),
        standard_error=math.sqrt(a.var(ddof=1) / s + b.var(ddof=1) / r),
        degrees=min(s, r) - 1,
        runs=s,
    )


def beside_mean(
    ours: Sequence[float], mean: float, seeds: int | None, spread: SeedSpread | None = None
) -> SeedGap:
    """Our mean minus a mean that somebody printed.

    Args:
        ours: (S,) values, S ≥ 2.
        mean: Theirs.
        seeds: Runs it is the mean of; None where that is not said, which counts as one run.
        spread: Of theirs, where results per seed of the same system are known; else our deviation
            stands for it.

    Raises:
        SpecError: With fewer than two runs of ours.

    Example:
        >>> found = beside_mean([0.7, 0.8, 0.9], 0.5, seeds=3)
        >>> [round(end, 3) for end in (found.effect, *found.interval())]
        [0.3, -0.051, 0.651]
    """
    own, count = _two("ours", ours)
    variance = float(own.var(ddof=1))
    known = spread is not None and spread.degrees >= 1
    theirs = spread.sd**2 if spread is not None and known else variance
    return SeedGap(
        effect=float(own.mean()) - mean,
        standard_error=math.sqrt(variance / count + theirs / (seeds or 1)),
        degrees=min(count - 1, spread.degrees) if spread is not None and known else count - 1,
        runs=count,
    )


def _two(whose: str, values: Sequence[float]) -> tuple[Values, int]:
    found = np.asarray(values, dtype=np.float64)
    if found.size < 2:
        raise SpecError(f"an interval over seeds needs two runs at least, {whose} are {found.size}")
    return found, found.size


@dataclass(frozen=True, kw_only=True)
class Together:
    """Whether the gaps of several metrics point one way more than seeds explain.

    Args:
        metrics: M, those that take part.
        better: In how many of them ours is better.
        effect: Their mean gap, each in deviations of its metric, above 0 where ours is better.
        p_value: Two-sided p of no common direction; NaN where nothing varies.
    """

    metrics: int
    better: int
    effect: float
    p_value: float

    @property
    def drift(self) -> Literal["better", "worse", ""]:
        """The direction, where there is one; empty where seeds explain it."""
        if not self.p_value < LEVEL:
            return ""
        return "better" if self.effect > 0.0 else "worse"


def together_with_runs(ours: ArrayLike, theirs: ArrayLike) -> Together:
    """Judge all metrics at once by dividing the runs anew between the two sides.

    Each metric is scaled by its deviation over all runs, a run's scaled metrics are added, and the
    difference of the two sides' means is compared with that of every other division of the same
    runs, or of 20,000 drawn ones where there are more. A run keeps its metrics, so that however
    they depend on each other, p is exact where the runs of both sides come from one law.

    Args:
        ours: (S, M) metrics of our runs, the larger the better.
        theirs: (R, M) of the reference's.

    Source:
        O'Brien. Biometrics 40(4), 1984: the sum of scaled endpoints; here with its permutation law.

    Example:
        >>> a = [[0.79, 0.84], [0.80, 0.85], [0.78, 0.83]]
        >>> found = together_with_runs(a, [[0.74, 0.80], [0.75, 0.79], [0.73, 0.81], [0.76, 0.80]])
        >>> found.better, round(found.p_value, 3)
        (2, 0.029)
    """
    a, b = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    every = np.concatenate([a, b])  # (S + R, M)
    scale = every.std(axis=0)
    varies = scale > _ROUNDING
    better = int((a.mean(axis=0) > b.mean(axis=0)).sum())
    if not varies.any():
        return Together(metrics=a.shape[1], better=better, effect=math.nan, p_value=math.nan)
    scaled = ((every - every.mean(axis=0))[:, varies] / scale[varies]).mean(axis=1)  # (S + R,)
    return Together(
        metrics=a.shape[1],
        better=better,
        effect=float(scaled[: len(a)].mean() - scaled[len(a) :].mean()),
        p_value=_of_divisions(scaled, len(a)),
    )


def _of_divisions(values: Values, first: int) -> float:
    """Share of divisions whose first part sums to something as far from zero as this one's."""
    found = abs(values[:first].sum()) - _ROUNDING
    if math.comb(values.size, first) <= _EXACT:
        places = np.array(list(itertools.combinations(range(values.size), first)))
        return float((np.abs(values[places].sum(axis=1)) >= found).mean())
    drawn = np.random.default_rng(0).permuted(np.tile(values, (_EXACT, 1)), axis=1)
    as_far = (np.abs(drawn[:, :first].sum(axis=1)) >= found).sum()
    return float((as_far + 1) / (_EXACT + 1))  # this division is one of them


def together_with_means(ours: ArrayLike, means: ArrayLike, seeds: int | None) -> Together:
    """Judge all metrics at once beside means that somebody printed.

    Metrics are scaled by their sums of squares about the common mean of both sides, which carry no
    direction, and added; the sum is tested by Student's t. p is exact for Gaussian runs of one law,
    however the metrics depend on each other.

    Args:
        ours: (S, M) metrics of our runs, the larger the better, S ≥ 2.
        means: (M,) theirs.
        seeds: Runs that each is the mean of; None counts as one.

    Source:
        Läuter. Biometrics 52(3), 1996: the standardised sum test.

    Example:
        >>> a = [[0.79, 0.84], [0.80, 0.85], [0.78, 0.83]]
        >>> found = together_with_means(a, [0.70, 0.75], seeds=5)
        >>> found.better, round(found.p_value, 3)
        (2, 0.007)
    """
    a, mean = np.asarray(ours, dtype=np.float64), np.asarray(means, dtype=np.float64)
    count, own = len(a), a.mean(axis=0)
    apart = (own - mean) / math.sqrt(1.0 / count + 1.0 / (seeds or 1))  # (M,) as one more run
    rest = a - own  # (S, M)
    squares = (rest**2).sum(axis=0) + apart**2
    varies = squares > _ROUNDING**2
    better = int((own > mean).sum())
    weights = 1.0 / np.sqrt(squares[varies])
    deviation = math.sqrt(float(((rest[:, varies] @ weights) ** 2).sum()) / (count - 1))
    if deviation <= _ROUNDING:
        return Together(metrics=a.shape[1], better=better, effect=math.nan, p_value=math.nan)
    t = float(apart[varies] @ weights) / deviation
    return Together(
        metrics=a.shape[1],
        better=better,
        effect=float(((own - mean)[varies] * weights).mean()) * math.sqrt(count),
        p_value=2.0 * float(stdtr(count - 1, -abs(t))),
    )
