"""Two-way (pigeonhole) bootstrap: seeds within a system, source videos for all systems together.

For statistics that have no mean squares, such as rank correlations of quality scores. Systems are
compared without it (``harness.stats.compare``): with few seeds it errs too often.

A draw is a vector of weights, how often each video was drawn, never a copied data set. Metrics that
are functions of sums over clips are read off those sums, so that all draws are one matrix product;
any other metric is recomputed draw by draw.

Shapes: N clips, V source videos, S seeds, D draws.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np

from harness.metrics import Score, Values
from harness.stats.sums import Clusters, sums_of

__all__ = ["Evaluate", "averaged", "counted", "counts", "draw", "evaluator"]

_MOST = 2**22  # weights in memory at once, 32 MiB: more than any published test set takes

Evaluate: TypeAlias = Callable[[Values], Values]
"""Video weights (D, V) -> the metric of every seed in every draw (D, S), NaN where undefined."""


def counts(units: int, draws: int, generator: np.random.Generator) -> Values:
    """How often each of ``units`` occurs in samples of that many with replacement.

    Returns:
        (draws, units) whole numbers as float64; each row sums to ``units``.

    Example:
        >>> counts(4, 2, np.random.default_rng(0)).sum(axis=1).tolist()
        [4.0, 4.0]
    """
    picks = generator.integers(units, size=(draws, units))  # (draws, units)
    picks += np.arange(draws)[:, None] * units  # each row's own numbers: one count serves all
    found = np.bincount(picks.ravel(), minlength=draws * units)
    return found.reshape(draws, units).astype(np.float64)


def counted(units: int, draws: int, generator: np.random.Generator) -> Iterator[Values]:
    """``counts`` in blocks of rows that take 32 MiB each at most, in the same order."""
    step = max(1, _MOST // units)
    for start in range(0, draws, step):
        yield counts(units, min(step, draws - start), generator)


def draw(evaluate: Evaluate, seeds: int, videos: Values, generator: np.random.Generator) -> Values:
    """Bootstrap values of one system: mean over resampled seeds on resampled videos.

    Args:
        evaluate: The system's metric for video weights.
        seeds: S; with one seed there is nothing to resample and the factor is dropped.
        videos: (D, V) weights, the same for all systems of a comparison.
        generator: Source of the seed draws.

    Returns:
        (D,) values, NaN where some seed's metric is undefined.
    """
    return averaged(evaluate(videos), seeds, generator)


def averaged(values: Values, seeds: int, generator: np.random.Generator) -> Values:
    """(D,) means over resampled seeds of a system's (D, S) values; arguments as for ``draw``."""
    if seeds == 1:
        return values[:, 0]
    # NaN times 0 is NaN: a draw without the undefined seed is undefined as well.
    mean: Values = (values * counts(seeds, len(values), generator)).sum(axis=1) / seeds
    return mean


def evaluator(pred: Values, truth: Values, clusters: Clusters, function: Score) -> Evaluate:
    """The metric of one system as a function of video weights.

    Args:
        pred: (S, N) predictions that went through ``harness.metrics.prepare``.
        truth: (N,) labels that did.
        clusters: (N,) video of each clip.
        function: The metric's definition for the dataset.
    """
    return sums_of(pred, truth, clusters, function) or functools.partial(
        _loop, pred, truth, clusters, function
    )


def _loop(
    pred: Values, truth: Values, clusters: Clusters, function: Score, videos: Values
) -> Values:
    """The metric on the resampled clips themselves; minutes where sums take a tenth of a second."""
    values = np.empty((len(videos), len(pred)))  # (D, S)
    for row, weights in zip(values, videos, strict=True):
        clips = np.repeat(np.arange(truth.size), weights[clusters].astype(np.intp))
        row[:] = [function(run[clips], truth[clips]) for run in pred]
    return values
