"""Metrics as functions of sums over clips, kept per seed and source video.

MAE, Corr and its relatives, accuracies and F1 can be read off such sums for any weights of the
videos; metrics of ranks cannot.

Shapes: N clips, V source videos, S seeds, D draws, K sums.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from harness.metrics.base import Score, Values
from harness.metrics.classification import Classes, ClassScore, accuracy, macro_f1, weighted_f1
from harness.metrics.regression import (
    calibration_slope,
    ccc,
    clipped,
    constant,
    corr,
    mae,
    r2,
    scaled,
)

__all__ = ["Clusters", "Sums", "ratio", "sums_of"]

Clusters: TypeAlias = NDArray[np.intp]
"""(N,) the source video of each clip as 0 to V - 1, every number in use."""

_Terms: TypeAlias = tuple[Values, ...]
"""K terms per clip, (S, N) each."""
_Read: TypeAlias = Callable[[Values], Values]

# What ``clipped`` and ``scaled`` return is a partial of these functions: so it is recognised.
_IS_CLIPPED = cast("functools.partial[float]", clipped(mae)).func
_IS_SCALED = cast("functools.partial[float]", scaled(mae, 1.0)).func
_NO_SPREAD = 1e-12  # share of a sum of squares that cancellation may leave behind


@dataclass(frozen=True, eq=False)
class Sums:
    """A metric as a function of sums over clips.

    Args:
        cells: (S, V, K) sums over the clips of one video in one run.
        read: (..., K) sums -> (...) metric, NaN where undefined.
    """

    cells: Values
    read: _Read

    def __call__(self, videos: Values) -> Values:
        """The metric of every seed in every draw: (D, V) -> (D, S)."""
        seeds, units, width = self.cells.shape
        flat = self.cells.transpose(2, 0, 1).reshape(-1, units)  # (K*S, V)
        sums = (flat @ videos.T).reshape(width, seeds, -1)  # (K, S, D), contiguous: read fastest
        return self.read(np.moveaxis(sums, 0, -1)).T  # (S, D, K) -> (S, D) -> (D, S)


def sums_of(pred: Values, truth: Values, clusters: Clusters, function: Score) -> Sums | None:
    """The metric as sums per seed and video, None when it is not a function of such sums."""
    if isinstance(function, functools.partial) and function.func is _IS_CLIPPED:
        (inner,) = function.args
        return sums_of(pred.clip(-1.0, 1.0), truth.clip(-1.0, 1.0), clusters, inner)
    if isinstance(function, functools.partial) and function.func is _IS_SCALED:
        inner, unit = function.args
        return sums_of(unit * pred, unit * truth, clusters, inner)
    if isinstance(function, ClassScore):
        return _class_sums(pred, truth, clusters, function)
    if function not in _REGRESSION:
        return None
    terms, read = _REGRESSION[function]
    return Sums(_per_video(terms(pred, truth), clusters), read)


def ratio(sums: Values) -> Values:
    """(..., 2) sum and number of clips -> (...) mean, NaN without clips."""
    total, clips = sums[..., 0], sums[..., 1]
    return _divide(total, clips, clips > 0)


def _divide(top: Values, bottom: Values, defined: NDArray[np.bool_]) -> Values:
    """Quotients, NaN where undefined."""
    quotient: Values = np.divide(top, bottom, out=np.full_like(top, math.nan), where=defined)
    return quotient


def _per_video(terms: _Terms, clusters: Clusters) -> Values:
    """Terms per clip to sums per video (S, V, K)."""
    # ``reduceat`` adds up what stands side by side: clips go video by video.
    order = np.argsort(clusters, kind="stable")
    starts = np.searchsorted(clusters[order], np.arange(clusters.max() + 1))  # (V,)
    cells: Values = np.add.reduceat(np.stack(terms, axis=-1)[:, order], starts, axis=1)
    return cells


def _errors(pred: Values, truth: Values) -> _Terms:
    return np.abs(pred - truth), np.ones_like(pred)


def _moments(pred: Values, truth: Values) -> _Terms:
    """Terms of variances and the covariance, about points near the means: little cancels.

    Those points have 6 decimals like the values: a constant becomes exactly zero.
    """
    p = pred - pred.mean(axis=1, keepdims=True).round(6)  # (S, N)
    y = np.broadcast_to(truth - truth.mean().round(6), p.shape)  # (S, N)
    return np.ones_like(p), p, y, p * p, y * y, p * y


def _moments_and_errors(pred: Values, truth: Values) -> _Terms:
    return *_moments(pred, truth), (pred - truth) ** 2


class _Spread(NamedTuple):
    """Sums of squares and products of deviations from the means, and which of them are not zero."""

    p: Values
    y: Values
    product: Values
    p_varies: NDArray[np.bool_]
    y_varies: NDArray[np.bool_]


def _spread(sums: Values) -> _Spread:
    n, p, y, pp, yy, py = np.moveaxis(sums[..., :6], -1, 0)  # (...) each
    about_p, about_y = pp - p * p / n, yy - y * y / n  # Σ(p - mean p)², Σ(y - mean y)²
    p_varies, y_varies = about_p > _NO_SPREAD * pp, about_y > _NO_SPREAD * yy
    return _Spread(about_p, about_y, py - p * y / n, p_varies, y_varies)


def _read_corr(sums: Values) -> Values:
    spread = _spread(sums)
    varies = spread.p_varies & spread.y_varies
    scale = np.sqrt(np.where(varies, spread.p * spread.y, 1.0))
    return _divide(spread.product, scale, varies).clip(-1.0, 1.0)  # rounding can overshoot


def _read_ccc(sums: Values) -> Values:
    """Σ(p - y)² + 2 Σdp·dy is N (var p + var y + (mean p - mean y)²), and less cancels."""
    spread = _spread(sums)
    # Constant predictions covary with nothing, whatever rounding left in the product.
    twice = 2.0 * np.where(spread.p_varies, spread.product, 0.0)
    return _divide(twice, sums[..., 6] + twice, spread.y_varies)


def _read_r2(sums: Values) -> Values:
    spread = _spread(sums)
    return 1.0 - _divide(sums[..., 6], spread.y, spread.y_varies)


def _read_slope(sums: Values) -> Values:
    spread = _spread(sums)
    return _divide(spread.product, spread.p, spread.p_varies)


def _read_constant(sums: Values) -> Values:
    return np.where(_spread(sums).p_varies, 0.0, 1.0)


_REGRESSION: Mapping[Score, tuple[Callable[[Values, Values], _Terms], _Read]] = {
    mae: (_errors, ratio),
    corr: (_moments, _read_corr),
    ccc: (_moments_and_errors, _read_ccc),
    r2: (_moments_and_errors, _read_r2),
    calibration_slope: (_moments, _read_slope),
    constant: (_moments, _read_constant),
}


def _class_sums(pred: Values, truth: Values, clusters: Clusters, score: ClassScore) -> Sums | None:
    readers = {accuracy: ratio, weighted_f1: _read_weighted_f1, macro_f1: _read_macro_f1}
    if score.rate not in readers:
        return None
    # (N,), 1 for clips that count
    kept = np.ones(truth.shape) if score.keep is None else score.keep(truth).astype(np.float64)
    labelled = score.code(truth)  # (N,)
    predicted = np.stack([score.code(run) for run in pred])  # (S, N)
    hits = kept * (predicted == labelled)  # (S, N)
    if score.rate is accuracy:
        terms: _Terms = (hits, np.broadcast_to(kept, hits.shape))
    else:
        terms = _class_terms(hits, kept, predicted, labelled)
    return Sums(_per_video(terms, clusters), readers[score.rate])


def _class_terms(hits: Values, kept: Values, predicted: Classes, labelled: Classes) -> _Terms:
    """Per class: right, predicted and labelled clips among those kept."""
    terms: list[Values] = []
    for c in range(1 + max(int(predicted.max()), int(labelled.max()))):
        of_class = np.broadcast_to(kept * (labelled == c), hits.shape)  # (S, N)
        terms += [hits * (labelled == c), kept * (predicted == c), of_class]
    return tuple(terms)


def _read_weighted_f1(sums: Values) -> Values:
    f1, labelled, _ = _f1_of_classes(sums)  # (..., C)
    return ratio(np.stack([(f1 * labelled).sum(axis=-1), labelled.sum(axis=-1)], axis=-1))


def _read_macro_f1(sums: Values) -> Values:
    f1, _, occurs = _f1_of_classes(sums)  # (..., C)
    return ratio(np.stack([f1.sum(axis=-1), occurs.sum(axis=-1)], axis=-1))


def _f1_of_classes(sums: Values) -> tuple[Values, Values, NDArray[np.bool_]]:
    """Per class (..., C): F1, number of labels, whether it occurs at all."""
    # Three sums of each class, as ``_class_terms`` lists them: (..., 3 C) to (..., C) each.
    hits, predicted, labelled = np.moveaxis(sums.reshape(*sums.shape[:-1], -1, 3), -1, 0)
    both = predicted + labelled  # 2 tp + fp + fn
    return 2 * hits / np.maximum(both, 1.0), labelled, both > 0
