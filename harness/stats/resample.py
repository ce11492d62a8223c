"""Two-way (pigeonhole) bootstrap: seeds within a system, source videos for all systems together.

A draw is a vector of weights, how often each video was drawn, never a copied data set. Metrics that
are functions of sums over clips (MAE, Corr, accuracies, F1) are kept as those sums per seed and
video, so that all draws are one matrix product. Any other metric is recomputed draw by draw.

Shapes: N clips, V source videos, S seeds, D draws, K sums.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from harness.metrics.base import Score, Values
from harness.metrics.classification import Classes, ClassScore, accuracy, macro_f1, weighted_f1
from harness.metrics.regression import clipped, corr, mae

__all__ = ["Clusters", "Evaluate", "Sums", "counts", "draw", "evaluator", "ratio", "sums_of"]

Clusters: TypeAlias = NDArray[np.intp]
"""(N,) the source video of each clip as 0 to V - 1, every number in use."""

Evaluate: TypeAlias = Callable[[Values], Values]
"""Video weights (D, V) -> the metric of every seed in every draw (D, S), NaN where undefined."""

_IS_CLIPPED = cast("functools.partial[float]", clipped(mae)).func
_NO_SPREAD = 1e-12  # share of a sum of squares that cancellation may leave behind


@dataclass(frozen=True, eq=False)
class Sums:
    """A metric as a function of sums over clips.

    Args:
        cells: (S, V, K) sums over the clips of one video in one run.
        read: (..., K) sums -> (...) metric, NaN where undefined.
    """

    cells: Values
    read: Callable[[Values], Values]

    def __call__(self, videos: Values) -> Values:
        """The metric of every seed in every draw: (D, V) -> (D, S)."""
        seeds, _, width = self.cells.shape
        flat = self.cells.transpose(1, 0, 2).reshape(-1, seeds * width)  # (V, S*K)
        return self.read((videos @ flat).reshape(-1, seeds, width))


def counts(units: int, draws: int, generator: np.random.Generator) -> Values:
    """How often each of ``units`` occurs in samples of that many with replacement.

    Returns:
        (draws, units) whole numbers as float64; each row sums to ``units``.

    Example:
        >>> counts(4, 2, np.random.default_rng(0)).sum(axis=1).tolist()
        [4.0, 4.0]
    """
    picks = generator.integers(units, size=(draws, units))
    picks += np.arange(draws)[:, None] * units
    found = np.bincount(picks.ravel(), minlength=draws * units)
    return found.reshape(draws, units).astype(np.float64)


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
    values = evaluate(videos)
    if seeds == 1:
        return values[:, 0]
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


def sums_of(pred: Values, truth: Values, clusters: Clusters, function: Score) -> Sums | None:
    """The metric as sums per seed and video, None when it is not a function of such sums."""
    if isinstance(function, functools.partial) and function.func is _IS_CLIPPED:
        (inner,) = function.args
        return sums_of(pred.clip(-1.0, 1.0), truth.clip(-1.0, 1.0), clusters, inner)
    if function is mae:
        errors = np.abs(pred - truth)
        return Sums(_per_video((errors, np.ones_like(pred)), clusters), ratio)
    if function is corr:
        return Sums(_per_video(_moments(pred, truth), clusters), _read_corr)
    if isinstance(function, ClassScore):
        return _class_sums(pred, truth, clusters, function)
    return None


def ratio(sums: Values) -> Values:
    """(..., 2) sum and number of clips -> (...) mean, NaN without clips."""
    total, clips = sums[..., 0], sums[..., 1]
    mean: Values = np.divide(total, clips, out=np.full_like(total, math.nan), where=clips > 0)
    return mean


def _class_sums(pred: Values, truth: Values, clusters: Clusters, score: ClassScore) -> Sums | None:
    readers = {accuracy: ratio, weighted_f1: _read_weighted_f1, macro_f1: _read_macro_f1}
    if score.rate not in readers:
        return None
    kept = np.ones(truth.shape) if score.keep is None else score.keep(truth).astype(np.float64)
    labelled = score.code(truth)
    predicted = np.stack([score.code(run) for run in pred])
    hits = kept * (predicted == labelled)
    if score.rate is accuracy:
        terms: tuple[Values, ...] = (hits, np.broadcast_to(kept, hits.shape))
    else:
        terms = _class_terms(hits, kept, predicted, labelled)
    return Sums(_per_video(terms, clusters), readers[score.rate])


def _class_terms(
    hits: Values, kept: Values, predicted: Classes, labelled: Classes
) -> tuple[Values, ...]:
    """Per class: right, predicted and labelled clips among those kept, (S, N) each."""
    terms: list[Values] = []
    for c in range(1 + max(int(predicted.max()), int(labelled.max()))):
        of_class = np.broadcast_to(kept * (labelled == c), hits.shape)
        terms += [hits * (labelled == c), kept * (predicted == c), of_class]
    return tuple(terms)


def _per_video(terms: tuple[Values, ...], clusters: Clusters) -> Values:
    """K terms per clip, (S, N) each, to sums per video (S, V, K)."""
    order = np.argsort(clusters, kind="stable")
    starts = np.searchsorted(clusters[order], np.arange(clusters.max() + 1))
    cells: Values = np.add.reduceat(np.stack(terms, axis=-1)[:, order], starts, axis=1)
    return cells


def _moments(pred: Values, truth: Values) -> tuple[Values, ...]:
    """Terms of a correlation, about points near the means so that little cancels.

    Those points have 6 decimals like the values: a constant becomes exactly zero.
    """
    p = pred - pred.mean(axis=1, keepdims=True).round(6)
    y = np.broadcast_to(truth - truth.mean().round(6), p.shape)
    return np.ones_like(p), p, y, p * p, y * y, p * y


def _read_corr(sums: Values) -> Values:
    n, p, y, pp, yy, py = np.moveaxis(sums, -1, 0)
    spread_p, spread_y = pp - p * p / n, yy - y * y / n
    varies = (spread_p > _NO_SPREAD * pp) & (spread_y > _NO_SPREAD * yy)
    scale = np.sqrt(np.where(varies, spread_p * spread_y, 1.0))
    return np.where(varies, ((py - p * y / n) / scale).clip(-1.0, 1.0), math.nan)


def _read_weighted_f1(sums: Values) -> Values:
    f1, labelled, _ = _f1_of_classes(sums)
    return ratio(np.stack([(f1 * labelled).sum(axis=-1), labelled.sum(axis=-1)], axis=-1))


def _read_macro_f1(sums: Values) -> Values:
    f1, _, occurs = _f1_of_classes(sums)
    return ratio(np.stack([f1.sum(axis=-1), occurs.sum(axis=-1)], axis=-1))


def _f1_of_classes(sums: Values) -> tuple[Values, Values, NDArray[np.bool_]]:
    """Per class (..., C): F1, number of labels, whether it occurs at all."""
    hits, predicted, labelled = np.moveaxis(sums.reshape(*sums.shape[:-1], -1, 3), -1, 0)
    both = predicted + labelled
    return 2 * hits / np.maximum(both, 1.0), labelled, both > 0


def _loop(
    pred: Values, truth: Values, clusters: Clusters, function: Score, videos: Values
) -> Values:
    """The metric on the resampled clips themselves; minutes where sums take a tenth of a second."""
    values = np.empty((len(videos), len(pred)))
    for row, weights in zip(values, videos, strict=True):
        clips = np.repeat(np.arange(truth.size), weights[clusters].astype(np.intp))
        row[:] = [function(run[clips], truth[clips]) for run in pred]
    return values
