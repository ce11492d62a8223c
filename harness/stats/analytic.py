"""Crossed-variance t: the two-way bootstrap's analytic twin for means over clips.

Seeds and source videos are crossed random factors. With x[s, v] the score of one system's run s on
video v, T_seed = var_s(mean over v) / S, T_video = var_v(mean over s, A minus B) / V and T_rest the
mean square of the two-way residuals over S·V,

    Var(a - b) = T_seed(A) + T_seed(B) + T_video - T_rest(A) - T_rest(B)

with Satterthwaite degrees of freedom. Residuals enter each of the other terms once, hence the
subtraction; the variance is floored at T_rest. Runs are independent, so that their numbers may
differ; differences paired by index are the special case of B all zero.

Shapes: V source videos, S seeds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from harness.data.datasets import Dataset, datasets
from harness.errors import SpecError
from harness.metrics import Metric, Score, Values, metrics
from harness.stats.compare import SystemPair, pair
from harness.stats.resample import ratio, sums_of

__all__ = ["TTest", "crossed_t", "crossed_variance_t"]


@dataclass(frozen=True, kw_only=True)
class TTest:
    """A t test of a difference."""

    effect: float
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end of the 95 % interval."""
    p_value: float
    """Two-sided."""
    standard_error: float
    degrees: float
    """Degrees of freedom, not necessarily whole."""


def crossed_t(
    pred_a: ArrayLike,
    pred_b: ArrayLike,
    truth: ArrayLike,
    clusters: ArrayLike,
    metric: Metric | str,
    *,
    dataset: Dataset | str,
) -> TTest:
    """Compare two systems in MAE or an accuracy; arguments as for ``harness.stats.compare``.

    Videos of unequal size enter by linearisation: a video's score is the run's mean plus V / N
    times the sum of its clips' deviations from that mean.

    Raises:
        SpecError: For a metric that is not a mean over clips.
        SubmissionError: For arrays that do not fit together, or fewer than two source videos.
    """
    known = datasets[dataset] if isinstance(dataset, str) else dataset
    chosen = metrics[metric] if isinstance(metric, str) else metric
    both = pair(pred_a, pred_b, truth, clusters, known)
    function = chosen.on(known)
    a, b = (_video_scores(runs, both, function, chosen.name) for runs in (both.a, both.b))
    return crossed_variance_t(a, b)


def _video_scores(runs: Values, both: SystemPair, function: Score, name: str) -> Values:
    sums = sums_of(runs, both.truth, both.clusters, function)
    if sums is None or sums.read is not ratio:
        raise SpecError(
            f"the crossed-variance t is for means over clips, {name} is not one",
            hint="harness.stats.compare takes any metric",
        )
    total, clips = sums.cells[..., 0], sums.cells[..., 1]  # (S, V)
    size = clips.sum(axis=1, keepdims=True)  # (S, 1)
    mean = ratio(sums.cells.sum(axis=1))[:, None]  # (S, 1)
    scores: Values = mean + both.videos * (total - clips * mean) / np.maximum(size, 1.0)
    return scores


def crossed_variance_t(a: Values, b: Values) -> TTest:
    """Compare two systems by their scores per run and source video.

    Args:
        a: (S_a, V) scores of A; videos are weighted equally.
        b: (S_b, V) scores of B on the same videos.

    Returns:
        The test; its p-value is 1 when effect and variance are zero, NaN for undefined scores.
    """
    effect = float(a.mean() - b.mean())
    videos = a.shape[1]
    between = float((a.mean(axis=0) - b.mean(axis=0)).var(ddof=1)) / videos  # T_video
    terms = [(between, videos - 1), *_seed_terms(a), *_seed_terms(b)]
    rest = -sum(term for term, _ in terms if term < 0)  # T_rest of both
    variance = max(sum(term for term, _ in terms), rest)
    if not variance > 0:
        p_value = math.nan if math.isnan(variance) else float(effect == 0)
        bound = effect if variance == 0 else math.nan
        return TTest(
            effect=effect,
            low=bound,
            high=bound,
            p_value=p_value,
            standard_error=math.sqrt(variance),
            degrees=math.nan,
        )
    degrees = variance**2 / sum(term**2 / df for term, df in terms)  # Satterthwaite
    error = math.sqrt(variance)
    reach = float(stats.t.ppf(0.975, degrees)) * error
    return TTest(
        effect=effect,
        low=effect - reach,
        high=effect + reach,
        p_value=2.0 * float(stats.t.sf(abs(effect) / error, degrees)),
        standard_error=error,
        degrees=degrees,
    )


def _seed_terms(x: Values) -> list[tuple[float, int]]:
    """(contribution to the variance, degrees of freedom) of one system's own runs."""
    seeds, videos = x.shape
    if seeds == 1:
        return []
    by_seed = x.mean(axis=1, keepdims=True)  # (S, 1)
    rest = x - by_seed - x.mean(axis=0) + x.mean()  # (S, V)
    degrees = (seeds - 1) * (videos - 1)
    mean_square = float((rest**2).sum()) / degrees
    seed_term = float(by_seed.var(ddof=1)) / seeds
    return [(seed_term, seeds - 1), (-mean_square / (seeds * videos), degrees)]  # T_seed, -T_rest
