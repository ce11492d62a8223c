"""Are the tests honest? Simulated nulls with known truth, at the scale of a real test set.

Per-clip error differences follow d[s, i] = effect + c_i + v_video(i) + b_s + e[s, i], all terms
Gaussian and independent. They are simulated as video means, which for Gaussian terms is exact.

Shapes: V source videos, S seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.metrics.base import Values
from harness.seeds import derive
from harness.stats.analytic import crossed_variance_t
from harness.stats.conditional import paired_t_over_seeds
from harness.stats.distribution import Distribution
from harness.stats.resample import Sums, counts, draw, ratio

__all__ = ["MOSEI_LIKE", "MOSI_LIKE", "Calibration", "Design", "calibrate"]


@dataclass(frozen=True, kw_only=True)
class Design:
    """Standard deviations of the terms of a per-clip error difference, in label units."""

    videos: int
    clips_per_video: int
    clip: float = 0.25
    video: float = 0.05
    seed: float
    residual: float = 0.25

    def simulate(
        self, seeds: int, effect: float, generator: np.random.Generator
    ) -> tuple[Values, Values]:
        """Video means (S, V) of the errors of A and of B, whose differences follow the model.

        What systems share cancels in the difference, so clip and video terms are A's alone; seed
        and residual terms are halved in variance between the two.
        """
        root = math.sqrt(self.clips_per_video)
        shared = generator.normal(0.0, math.hypot(self.video, self.clip / root), self.videos)
        runs = [
            generator.normal(0.0, self.seed / math.sqrt(2.0), (seeds, 1))
            + generator.normal(0.0, self.residual / root / math.sqrt(2.0), (seeds, self.videos))
            for _ in range(2)
        ]
        return runs[0] + shared + effect, runs[1]


MOSI_LIKE = Design(videos=31, clips_per_video=22, seed=0.010)
MOSEI_LIKE = Design(videos=676, clips_per_video=7, seed=0.004)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Rejection rates at nominal 5 %: false positives under a null, power otherwise."""

    replicates: int
    bootstrap: float
    """Two-way bootstrap, percentile p."""
    crossed_t: float
    """Crossed-variance t."""
    paired_t: float
    """Paired t over seeds."""
    coverage: float
    """Share of 95 % bootstrap intervals that hold the true difference."""

    def monte_carlo_error(self, rate: float) -> float:
        """Standard error of a rate among this many replicates."""
        return math.sqrt(rate * (1.0 - rate) / self.replicates)


def calibrate(
    design: Design,
    seeds: int,
    *,
    effect: float = 0.0,
    replicates: int = 1000,
    draws: int = 400,
    seed: int = 0,
) -> Calibration:
    """Run every test on simulated comparisons.

    Args:
        design: Scale of the simulated test set.
        seeds: S, runs per system, at least 2.
        effect: True difference, in label units; 0 for a null.
        replicates: Number of simulated comparisons.
        draws: Bootstrap draws in each.
        seed: Of the simulation.
    """
    generator = np.random.default_rng(derive(seed, "calibration"))
    rows = list(_replicates(design, seeds, effect, replicates, draws, generator))
    p_values = np.array([row[:3] for row in rows])
    rates = (p_values < 0.05).mean(axis=0)
    return Calibration(
        replicates=replicates,
        bootstrap=float(rates[0]),
        crossed_t=float(rates[1]),
        paired_t=float(rates[2]),
        coverage=float(np.mean([row[3] for row in rows])),
    )


def _replicates(
    design: Design,
    seeds: int,
    effect: float,
    replicates: int,
    draws: int,
    generator: np.random.Generator,
) -> Iterator[tuple[float, float, float, bool]]:
    """Per comparison: p of the bootstrap, of the crossed t, of the paired t; interval holds."""
    for _ in range(replicates):
        a, b = design.simulate(seeds, effect, generator)
        videos = counts(design.videos, draws, generator)
        drawn = [draw(_mean(scores), seeds, videos, generator) for scores in (a, b)]
        found = Distribution(drawn[0] - drawn[1])
        low, high = found.interval()
        yield (
            found.p_value(),
            crossed_variance_t(a, b).p_value,
            paired_t_over_seeds(a.mean(axis=1), b.mean(axis=1)).p_value,
            low <= effect <= high,
        )


def _mean(scores: Values) -> Sums:
    return Sums(np.stack([scores, np.ones_like(scores)], axis=-1), ratio)
