"""Are the tests honest? Every test on simulated comparisons whose true difference is known.

False positives are counted where the true difference is zero. Power and coverage are counted at a
true difference: at zero, an interval misses exactly when its test is a false positive.

Shapes: V source videos, S seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness._util.seeds import derive
from harness.errors import SpecError
from harness.metrics import Values
from harness.stats.analytic import crossed_variance_t
from harness.stats.bca import corrected
from harness.stats.conditional import paired_t_over_seeds, wilcoxon_over_seeds
from harness.stats.designs import (
    MOSEI_LIKE,
    MOSI_LIKE,
    SCENARIOS,
    AccuracyDesign,
    Design,
    Scenario,
    Simulated,
)
from harness.stats.distribution import Distribution
from harness.stats.resample import Sums, counts, draw, ratio

__all__ = [
    "COVERAGE",
    "LARGEST_RATE",
    "MOSEI_LIKE",
    "MOSI_LIKE",
    "SCENARIOS",
    "TESTS",
    "AccuracyDesign",
    "Calibration",
    "CalibrationFinding",
    "Design",
    "Scenario",
    "calibrate",
    "study",
]

TESTS: Mapping[str, str] = {
    "percentile": "two-way bootstrap, percentile",
    "bca": "two-way bootstrap, BCa",
    "crossed_t": "crossed-variance t",
    "video_bootstrap": "bootstrap over videos, mean of seeds",
    "paired_t": "paired t over seeds",
    "wilcoxon": "Wilcoxon over seeds",
}
"""Every test that is calibrated, with its title."""

LARGEST_RATE, COVERAGE = 0.06, (0.93, 0.97)
"""What is asked of a test at nominal 5 %: at most so many false positives, such a coverage."""

_NONE = math.nan, math.nan


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Rates of every test at nominal 5 %, by the keys of ``TESTS``."""

    replicates: int
    rejected: Mapping[str, float]
    """False positives under a null, power otherwise; NaN where a test does not apply."""
    covered: Mapping[str, float]
    """Share of 95 % intervals that hold the true difference; NaN for tests without one."""

    def monte_carlo_error(self, rate: float) -> float:
        """Standard error of a rate among this many replicates."""
        return math.sqrt(rate * (1.0 - rate) / self.replicates)


@dataclass(frozen=True, kw_only=True)
class CalibrationFinding:
    """What one test does in one scenario; numbers are NaN where it does not apply."""

    scenario: Scenario
    test: str
    """A key of ``TESTS``."""
    false_positives: float
    monte_carlo_error: float
    """Standard error of ``false_positives``."""
    coverage: float
    """NaN for a test without an interval."""
    power: float
    """At the scenario's effect; worth nothing where false positives are many."""

    @property
    def verdict(self) -> str:
        """``holds``, or the first thing that is wrong."""
        if math.isnan(self.false_positives):
            return "does not apply"
        if self.false_positives > LARGEST_RATE:
            return "too many false positives"
        if self.power == 0:
            return "powerless"
        if self.coverage < COVERAGE[0]:
            return "intervals too narrow"
        return "intervals too wide" if self.coverage > COVERAGE[1] else "holds"


def study(
    scenario: Scenario, *, replicates: int = 2000, draws: int = 400, seed: int = 0
) -> list[CalibrationFinding]:
    """Calibrate every test in one scenario: once without a difference, once with one.

    Args:
        scenario: What is simulated.
        replicates: Simulated comparisons of either kind.
        draws: Bootstrap draws in each.
        seed: Of the simulation.
    """
    null, other = (
        calibrate(
            scenario.design,
            scenario.seeds,
            effect=effect,
            replicates=replicates,
            draws=draws,
            seed=derive(seed, scenario.title, *scenario.seeds, kind),
        )
        for kind, effect in (("null", 0.0), ("alternative", scenario.effect))
    )
    return [
        CalibrationFinding(
            scenario=scenario,
            test=test,
            false_positives=null.rejected[test],
            monte_carlo_error=null.monte_carlo_error(null.rejected[test]),
            coverage=other.covered[test],
            power=other.rejected[test],
        )
        for test in TESTS
    ]


def calibrate(
    design: Simulated,
    seeds: int | tuple[int, int],
    *,
    effect: float = 0.0,
    replicates: int = 1000,
    draws: int = 400,
    seed: int = 0,
) -> Calibration:
    """Run every test on simulated comparisons.

    Args:
        design: The simulated test set.
        seeds: Runs per system, or of A and of B; one of the two may have a single run.
        effect: True difference, in units of the metric; 0 for a null.
        replicates: Number of simulated comparisons.
        draws: Bootstrap draws in each.
        seed: Of the simulation.

    Raises:
        SpecError: When a count is below one, or neither system has a second run.
    """
    both = (seeds, seeds) if isinstance(seeds, int) else seeds
    if min(*both, replicates, draws) < 1 or max(both) < 2:
        raise SpecError(
            "a calibration takes replicates, draws and two runs or more of a system, found"
            f" {replicates}, {draws} and {both[0]} against {both[1]}"
        )
    generator = np.random.default_rng(derive(seed, "calibration"))
    found = np.array(
        [
            _outcomes(*design.simulate(both, effect, generator), draws, generator)
            for _ in range(replicates)
        ]
    )  # (replicates, tests, 3): p, low, high
    p, low, high = np.moveaxis(found, -1, 0)
    return Calibration(
        replicates=replicates,
        rejected=_rates(p < 0.05, np.isnan(p)),
        covered=_rates((low <= effect) & (effect <= high), np.isnan(low)),
    )


def _rates(happened: Values, undefined: Values) -> dict[str, float]:
    rates = np.where(undefined.any(axis=0), math.nan, happened.mean(axis=0))
    return dict(zip(TESTS, rates.tolist(), strict=True))


def _outcomes(
    a: Values, b: Values, draws: int, generator: np.random.Generator
) -> list[tuple[float, float, float]]:
    """P-value and interval of every test."""
    videos = counts(a.shape[1], draws, generator)
    mean_a, mean_b = _mean(a), _mean(b)
    drawn = draw(mean_a, len(a), videos, generator) - draw(mean_b, len(b), videos, generator)
    gap = a.mean(axis=0) - b.mean(axis=0)
    bootstraps = (
        Distribution(drawn),
        corrected(drawn, float(gap.mean()), mean_a, mean_b, gap.size),
        Distribution(videos @ gap / gap.size),
    )
    percentile, bca, over_videos = ((d.p_value(), *d.interval()) for d in bootstraps)
    analytic = crossed_variance_t(a, b)
    crossed = (analytic.p_value, analytic.low, analytic.high)
    return [percentile, bca, crossed, over_videos, *_over_seeds(a, b)]


def _mean(scores: Values) -> Sums:
    return Sums(np.stack([scores, np.ones_like(scores)], axis=-1), ratio)


def _over_seeds(a: Values, b: Values) -> list[tuple[float, float, float]]:
    """The customary tests; a single run is held against every run of the other system."""
    if 1 < len(a) != len(b) > 1:
        return [(math.nan, *_NONE), (math.nan, *_NONE)]
    runs = max(len(a), len(b))
    x, y = (np.broadcast_to(scores.mean(axis=1), runs) for scores in (a, b))
    tests = paired_t_over_seeds(x, y), wilcoxon_over_seeds(x, y)
    return [(test.p_value, *_NONE) for test in tests]
