"""Does a quality score follow quality? Rank statistics of scores, with two-way intervals.

A score is told of each clip by each run, under one or more conditions. Source videos are resampled
for all runs and conditions together, runs for all videos together, as everywhere in this package.
A draw is a vector of weights, never a copied table.

Shapes: M scores of one run (clips, times conditions), S runs, V source videos, D draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.data.datasets import Dataset, datasets
from harness.errors import SubmissionError
from harness.metrics import Metric, Values, metrics
from harness.stats.compare import pair
from harness.stats.distribution import Distribution
from harness.stats.resample import averaged, counted, counts, evaluator

__all__ = ["QualityEstimate", "auroc", "change", "spearman", "weighted_auroc", "weighted_spearman"]

Weigh: TypeAlias = Callable[[int, Values], float]
"""(run, weights of its M scores) -> statistic, NaN where undefined."""


@dataclass(frozen=True, kw_only=True)
class QualityEstimate:
    """A statistic averaged over runs, and its 95 % interval for new runs and source videos.

    The value is NaN where the statistic is undefined, as for scores that never vary; draws that
    leave it undefined take no part in the interval.
    """

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def weighted_spearman(first: Values, second: Values, weights: Values) -> float:
    """Spearman's rank correlation of pairs that occur ``weights`` times each.

    Args:
        first: (M,).
        second: (M,).
        weights: (M,) not negative.

    Returns:
        NaN when either has one value only, or nothing occurs.

    Example:
        >>> round(weighted_spearman(np.array([1.0, 2, 5]), np.array([3.0, 9, 8]), np.ones(3)), 3)
        0.5
    """
    return _spearman(_places(first), _places(second), weights)


def weighted_auroc(scores: Values, positive: NDArray[np.bool_], weights: Values) -> float:
    """Probability that a positive has the higher score; ties count half.

    Args:
        scores: (M,).
        positive: (M,).
        weights: (M,) how often each occurs.

    Returns:
        NaN without positives, or without negatives.

    Example:
        >>> weighted_auroc(np.array([1.0, 2, 3]), np.array([False, True, True]), np.ones(3))
        1.0
    """
    return _auroc(_places(scores), positive, weights)


def _places(values: Values) -> NDArray[np.intp]:
    """(M,) position of each value among the distinct ones, in order: sorted once for all draws."""
    places: NDArray[np.intp] = np.unique(values, return_inverse=True)[1]
    return places


def _ranks(places: NDArray[np.intp], weights: Values) -> Values:
    """(M,) weight below each value, and half of that at it."""
    at = np.bincount(places, weights)
    middle: Values = at.cumsum() - at / 2
    return middle[places]


def _spearman(first: NDArray[np.intp], second: NDArray[np.intp], weights: Values) -> float:
    total = max(weights.sum(), 1e-300)
    a, b = _ranks(first, weights), _ranks(second, weights)
    a, b = a - (weights @ a) / total, b - (weights @ b) / total
    scale = math.sqrt((weights @ a**2) * (weights @ b**2))
    return float(weights @ (a * b) / scale) if scale > 0 else math.nan


def _auroc(scores: NDArray[np.intp], positive: NDArray[np.bool_], weights: Values) -> float:
    many, few = weights[positive].sum(), weights[~positive].sum()
    if not (many and few):
        return math.nan
    ranks = _ranks(scores, weights)[positive] @ weights[positive]
    return float((ranks - many * many / 2) / (many * few))


def spearman(
    scores: ArrayLike, other: ArrayLike, clusters: ArrayLike, *, draws: int = 1000, seed: int = 0
) -> QualityEstimate:
    """Rank correlation of scores with something known, mean over runs.

    Args:
        scores: (S, M).
        other: (M,).
        clusters: (M,) source video of each.
        draws: D.
        seed: Of the resampling.
    """
    runs = [_places(run) for run in np.asarray(scores, np.float64)]
    against = _places(np.asarray(other, np.float64))
    return _estimate(
        lambda run, weights: _spearman(runs[run], against, weights),
        *(len(runs), clusters, draws, seed),
    )


def auroc(
    scores: ArrayLike, positive: ArrayLike, clusters: ArrayLike, *, draws: int = 1000, seed: int = 0
) -> QualityEstimate:
    """How well scores tell positives from the others, mean over runs.

    Args:
        scores: (S, M).
        positive: (M,) bool.
        clusters: (M,) source video of each.
        draws: D.
        seed: Of the resampling.
    """
    runs = [_places(run) for run in np.asarray(scores, np.float64)]
    chosen = np.asarray(positive, np.bool_)
    return _estimate(
        lambda run, weights: _auroc(runs[run], chosen, weights),
        *(len(runs), clusters, draws, seed),
    )


def change(
    before: ArrayLike,
    after: ArrayLike,
    truth: ArrayLike,
    clusters: ArrayLike,
    metric: Metric | str,
    *,
    dataset: Dataset | str,
    draws: int = 1000,
    seed: int = 0,
) -> QualityEstimate:
    """What an intervention on runs changes in a metric: after less before, mean over runs.

    Runs are paired: one that is drawn is drawn on both sides.

    Args:
        before: (S, N) predictions.
        after: (S, N) predictions of the same runs.
        truth: (N,) labels.
        clusters: (N,) source video of each clip.
        metric: The metric or its name.
        dataset: The dataset or its name.
        draws: D.
        seed: Of the resampling.

    Raises:
        SubmissionError: For arrays that do not fit together, or fewer than two videos.
    """
    known = datasets[dataset] if isinstance(dataset, str) else dataset
    function = (metrics[metric] if isinstance(metric, str) else metric).on(known)
    runs = pair(before, after, truth, clusters, known)
    sides = [evaluator(side, runs.truth, runs.clusters, function) for side in (runs.a, runs.b)]
    blocks = counted(runs.videos, draws, np.random.default_rng(seed))
    found = zip(*([evaluate(videos) for evaluate in sides] for videos in blocks), strict=True)
    drawn = [
        averaged(np.concatenate(side), size, np.random.default_rng([seed, 1]))
        for side, size in zip(found, runs.seeds, strict=True)
    ]
    values = [np.mean([function(run, runs.truth) for run in side]) for side in (runs.a, runs.b)]
    return _interval(float(values[1] - values[0]), drawn[1] - drawn[0])


def _estimate(
    weigh: Weigh, runs: int, clusters: ArrayLike, draws: int, seed: int
) -> QualityEstimate:
    names, place = np.unique(np.asarray(clusters), return_inverse=True)
    if len(names) < 2:
        raise SubmissionError(f"intervals take at least two source videos, found {len(names)}")
    generator = np.random.default_rng(seed)
    drawn = np.array(
        [
            [weigh(run, videos[place]) for run in range(runs)]
            for block in counted(len(names), draws, generator)
            for videos in block
        ]
    )
    if runs > 1:
        drawn = drawn * counts(runs, draws, generator)
    observed = np.mean([weigh(run, np.ones(len(place))) for run in range(runs)])
    return _interval(float(observed), drawn.sum(axis=1) / runs)


def _interval(value: float, drawn: Values) -> QualityEstimate:
    low, high = Distribution(drawn[np.isfinite(drawn)]).interval()
    return QualityEstimate(value=value, low=low, high=high)
