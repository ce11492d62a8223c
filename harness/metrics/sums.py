"""Scores that can be read off sums over clips, for any weights of the clips.

MAE, Corr and its relatives, accuracies and F1 are such scores; scores of ranks are not. A metric
whose functions say how is bootstrapped by one matrix product instead of draw by draw.

Shapes: N clips, S runs, K sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from harness.metrics.base import Score, Values

__all__ = [
    "Additive",
    "Parts",
    "Read",
    "Summed",
    "Terms",
    "about_the_middle",
    "class_terms",
    "divide",
    "errors",
    "moments",
    "moments_and_errors",
    "ratio",
    "read_ccc",
    "read_constant",
    "read_corr",
    "read_macro_f1",
    "read_r2",
    "read_slope",
    "read_weighted_f1",
]

Terms: TypeAlias = tuple[Values, ...]
"""K terms per clip, (S, N) each."""
Read: TypeAlias = Callable[[Values], Values]
"""(..., K) sums of the terms -> (...) values, NaN where undefined."""
Parts: TypeAlias = tuple[Terms, Read]

_NO_SPREAD = 1e-12  # share of a sum of squares that cancellation may leave behind in a draw


@runtime_checkable
class Additive(Protocol):
    """A score that may know how it is read off sums."""

    def parts(self, pred: Values, truth: Values) -> Parts | None:
        """What is summed over clips, and how the score is read off the sums.

        Args:
            pred: (S, N) predictions.
            truth: (N,) labels.

        Returns:
            None where the score is no function of sums.
        """


@dataclass(frozen=True)
class Summed:
    """A score with its terms and how it is read off their sums.

    Args:
        function: The score itself.
        terms: (S, N) predictions and (N,) labels to what is summed.
        read: From the sums to the score.

    Example:
        >>> def terms(pred, truth):
        ...     return (pred - truth), np.ones_like(pred)
        >>> bias = Summed(lambda pred, truth: float((pred - truth).mean()), terms, ratio)
        >>> summed, read = bias.parts(np.array([[1.0, 2.0]]), np.array([0.0, 0.0]))
        >>> float(read(np.stack([term.sum() for term in summed])))
        1.5
    """

    function: Score
    terms: Callable[[Values, Values], Terms]
    read: Read

    def __call__(self, pred: Values, truth: Values) -> float:
        """The score for predictions and labels, both (N,)."""
        return self.function(pred, truth)

    def parts(self, pred: Values, truth: Values) -> Parts:
        """See ``Additive.parts``."""
        return self.terms(pred, truth), self.read


def divide(top: Values, bottom: Values, defined: NDArray[np.bool_]) -> Values:
    """Quotients, NaN where undefined."""
    quotient: Values = np.divide(top, bottom, out=np.full_like(top, math.nan), where=defined)
    return quotient


def ratio(sums: Values) -> Values:
    """(..., 2) sum and number of clips -> (...) mean, NaN without clips."""
    total, clips = sums[..., 0], sums[..., 1]
    return divide(total, clips, clips > 0)


def errors(pred: Values, truth: Values) -> Terms:
    """Absolute errors and clips: for ``ratio``."""
    return np.abs(pred - truth), np.ones_like(pred)


def about_the_middle(values: Values) -> Values:
    """Differences to the one value that is nearest to the mean, (..., N) both.

    It lies within one standard deviation of the mean, so that at most half of the sum of squares
    cancels, and constants become exactly zero, at any scale and offset.

    Example:
        >>> about_the_middle(np.array([0.1, 0.5, 1.1])).tolist()
        [-0.4, 0.0, 0.6000000000000001]
    """
    nearest = np.abs(values - values.mean(axis=-1, keepdims=True)).argmin(axis=-1, keepdims=True)
    return np.asarray(values - np.take_along_axis(values, nearest, axis=-1))


def moments(pred: Values, truth: Values) -> Terms:
    """Terms of variances and the covariance, about points near the means: little cancels.

    Of values that are drawn a spread below a millionth of their distance to that point is lost in
    the sums and reads as none.
    """
    p, y = about_the_middle(pred), np.broadcast_to(about_the_middle(truth), pred.shape)
    return np.ones_like(p), p, y, p * p, y * y, p * y


def moments_and_errors(pred: Values, truth: Values) -> Terms:
    """The moments, and squared errors."""
    return *moments(pred, truth), (pred - truth) ** 2


class _Spread(NamedTuple):
    """Sums of squares and products of deviations from the means, and which of them are not zero."""

    p: Values
    y: Values
    product: Values
    p_varies: NDArray[np.bool_]
    y_varies: NDArray[np.bool_]


def _spread(sums: Values) -> _Spread:
    n, p, y, pp, yy, py = np.moveaxis(sums[..., :6], -1, 0)
    about_p, about_y = pp - p * p / n, yy - y * y / n
    p_varies, y_varies = about_p > _NO_SPREAD * pp, about_y > _NO_SPREAD * yy
    return _Spread(about_p, about_y, py - p * y / n, p_varies, y_varies)


def read_corr(sums: Values) -> Values:
    """Pearson correlation from ``moments``."""
    spread = _spread(sums)
    varies = spread.p_varies & spread.y_varies
    scale = np.sqrt(np.where(varies, spread.p * spread.y, 1.0))
    return divide(spread.product, scale, varies).clip(-1.0, 1.0)


def read_ccc(sums: Values) -> Values:
    """Concordance from ``moments_and_errors``.

    Σ(p - y)² + 2 Σdp·dy is N (var p + var y + (mean p - mean y)²), and less cancels.
    """
    spread = _spread(sums)
    twice = 2.0 * np.where(spread.p_varies, spread.product, 0.0)
    return divide(twice, sums[..., 6] + twice, spread.y_varies)


def read_r2(sums: Values) -> Values:
    """Coefficient of determination from ``moments_and_errors``."""
    spread = _spread(sums)
    return 1.0 - divide(sums[..., 6], spread.y, spread.y_varies)


def read_slope(sums: Values) -> Values:
    """Slope of labels on predictions from ``moments``."""
    spread = _spread(sums)
    return divide(spread.product, spread.p, spread.p_varies)


def read_constant(sums: Values) -> Values:
    """1 where the predictions do not vary, else 0, from ``moments``."""
    return np.where(_spread(sums).p_varies, 0.0, 1.0)


def class_terms(kept: Values, predicted: NDArray[np.intp], labelled: NDArray[np.intp]) -> Terms:
    """Per class: right, predicted and labelled clips among those kept.

    Args:
        kept: (N,) 1 where a clip counts, else 0.
        predicted: (S, N) classes.
        labelled: (N,) classes.
    """
    hits = kept * (predicted == labelled)
    terms: list[Values] = []
    for c in range(1 + max(int(predicted.max()), int(labelled.max()))):
        of_class = np.broadcast_to(kept * (labelled == c), hits.shape)
        terms += [hits * (labelled == c), kept * (predicted == c), of_class]
    return tuple(terms)


def read_weighted_f1(sums: Values) -> Values:
    """F1 weighted by label support, from ``class_terms``."""
    f1, labelled, _ = _f1_of_classes(sums)
    return ratio(np.stack([(f1 * labelled).sum(axis=-1), labelled.sum(axis=-1)], axis=-1))


def read_macro_f1(sums: Values) -> Values:
    """Plain mean of F1 over the classes that occur, from ``class_terms``."""
    f1, _, occurs = _f1_of_classes(sums)
    return ratio(np.stack([f1.sum(axis=-1), occurs.sum(axis=-1)], axis=-1))


def _f1_of_classes(sums: Values) -> tuple[Values, Values, NDArray[np.bool_]]:
    """Per class (..., C): F1, number of labels, whether it occurs at all."""
    hits, predicted, labelled = np.moveaxis(sums.reshape(*sums.shape[:-1], -1, 3), -1, 0)
    both = predicted + labelled
    return 2 * hits / np.maximum(both, 1.0), labelled, both > 0
