"""Metrics of the predicted intensity itself: errors and correlations.

On the CH-SIMS family predictions and labels are first clipped to [-1, 1], as its authors do; on
MOSI and MOSEI and on transfers nothing is clipped. Sums of squares are over deviations from the
mean. Nothing is rounded: what differs at all varies, and ties are equal values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from harness.metrics.base import Metric, Score, Values
from harness.metrics.sums import (
    Additive,
    Parts,
    Summed,
    about_the_middle,
    errors,
    moments,
    moments_and_errors,
    ratio,
    read_ccc,
    read_constant,
    read_corr,
    read_r2,
    read_slope,
)

__all__ = [
    "MEAN_ERROR",
    "calibration_slope",
    "ccc",
    "clipped",
    "constant",
    "corr",
    "mae",
    "r2",
    "scaled",
    "spearman",
]


def mae(pred: Values, truth: Values) -> float:
    """Mean absolute error: mean |p - y|.

    Args:
        pred: (N,) predictions.
        truth: (N,) labels.

    Returns:
        0 or more, in label units; NaN without clips.

    Example:
        >>> mae(np.array([0.5, -1.0]), np.array([1.0, -1.0]))
        0.25
    """
    return float(np.abs(pred - truth).mean()) if truth.size else math.nan


def corr(pred: Values, truth: Values) -> float:
    """Pearson correlation: Σ dp·dy / sqrt(Σ dp² · Σ dy²), d the deviation from the mean.

    Args:
        pred: (N,) predictions.
        truth: (N,) labels.

    Returns:
        -1 to 1; NaN when predictions or labels are constant.

    Source:
        MMSA, LNLN, MMIM and most others report it as Corr.

    Example:
        >>> round(corr(np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 6.0])), 12)
        1.0
        >>> corr(np.array([0.2, 0.2]), np.array([0.0, 1.0]))
        nan
    """
    if _is_constant(pred) or _is_constant(truth):
        return math.nan
    (dp, _), (dy, _) = _in_units(pred), _in_units(truth)
    value = float(dp @ dy) / math.sqrt(float(dp @ dp) * float(dy @ dy))
    return max(-1.0, min(1.0, value))  # rounding can overshoot by one unit in the last place


def spearman(pred: Values, truth: Values) -> float:
    """Spearman correlation: Pearson correlation of ranks; equal values share their average rank.

    Args:
        pred: (N,) predictions.
        truth: (N,) labels.

    Returns:
        -1 to 1; NaN when predictions or labels are constant.

    Source:
        Spearman. American Journal of Psychology 15, 1904.

    Example:
        >>> round(spearman(np.array([0.1, 0.2, 3.0]), np.array([-1.0, 0.0, 1.0])), 12)
        1.0
    """
    return corr(_ranks(pred), _ranks(truth))


def ccc(pred: Values, truth: Values) -> float:
    """Concordance correlation: 2·cov / (var p + var y + (mean p - mean y)²), variances over N.

    A correlation that also falls with any shift or change of scale.

    Args:
        pred: (N,) predictions.
        truth: (N,) labels.

    Returns:
        -1 to 1, 0 for constant predictions; NaN when the labels are constant.

    Source:
        Lin. Biometrics 45(1), 1989.

    Example:
        >>> round(ccc(np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 2.0])), 3)
        0.571
    """
    if _is_constant(truth):
        return math.nan
    dp, dy = _deviations(pred), _deviations(truth)
    shift = float(pred.mean() - truth.mean())
    spread = float(dp @ dp) + float(dy @ dy) + truth.size * shift**2
    return 2.0 * float(dp @ dy) / spread


def r2(pred: Values, truth: Values) -> float:
    """Coefficient of determination: 1 - Σ (y - p)² / Σ dy².

    Args:
        pred: (N,) predictions.
        truth: (N,) labels.

    Returns:
        At most 1, negative for predictions worse than the label mean; NaN when labels are constant.

    Source:
        The code of CH-SIMS v2 reports it.

    Example:
        >>> r2(np.array([0.0, 0.0]), np.array([-1.0, 1.0]))
        0.0
    """
    if _is_constant(truth):
        return math.nan
    error, dy = truth - pred, _deviations(truth)
    return 1.0 - float(error @ error) / float(dy @ dy)


def calibration_slope(pred: Values, truth: Values) -> float:
    """Slope of labels regressed on predictions: Σ dp·dy / Σ dp².

    1 is calibrated, below 1 means predictions are too extreme, above 1 too timid.

    Args:
        pred: (N,) predictions.
        truth: (N,) labels.

    Returns:
        Any real number; NaN when the predictions are constant.

    Source:
        Cox. Biometrika 45(3/4), 1958, for the least-squares case.

    Example:
        >>> calibration_slope(np.array([-2.0, 2.0]), np.array([-1.0, 1.0]))
        0.5
    """
    if _is_constant(pred):
        return math.nan
    (dp, unit_p), (dy, unit_y) = _in_units(pred), _in_units(truth)
    return float(dp @ dy) / float(dp @ dp) * (unit_y / unit_p)


def constant(pred: Values, truth: Values) -> float:
    """1 when all predictions are equal, else 0; its mean over runs is the share that collapsed.

    Args:
        pred: (N,) predictions.
        truth: (N,) labels, not looked at.

    Example:
        >>> constant(np.array([0.2, 0.2]), np.array([0.0, 1.0]))
        1.0
    """
    return float(_is_constant(pred))


def clipped(function: Score) -> Score:
    """``function`` of predictions and labels clipped to [-1, 1].

    Example:
        >>> clipped(mae)(np.array([3.0]), np.array([0.5]))
        0.5
    """
    return _Clipped(function)


@dataclass(frozen=True)
class _Clipped:
    function: Score

    def __call__(self, pred: Values, truth: Values) -> float:
        return self.function(pred.clip(-1.0, 1.0), truth.clip(-1.0, 1.0))

    def parts(self, pred: Values, truth: Values) -> Parts | None:
        return _parts(self.function, pred.clip(-1.0, 1.0), truth.clip(-1.0, 1.0))


def scaled(function: Score, unit: float) -> Score:
    """``function`` of predictions and labels multiplied by ``unit``.

    Example:
        >>> scaled(mae, 3.0)(np.array([0.5]), np.array([0.0]))
        1.5
    """
    return _Scaled(function, unit)


@dataclass(frozen=True)
class _Scaled:
    function: Score
    unit: float

    def __call__(self, pred: Values, truth: Values) -> float:
        return self.function(self.unit * pred, self.unit * truth)

    def parts(self, pred: Values, truth: Values) -> Parts | None:
        return _parts(self.function, self.unit * pred, self.unit * truth)


def _parts(function: Score, pred: Values, truth: Values) -> Parts | None:
    return function.parts(pred, truth) if isinstance(function, Additive) else None


def _is_constant(values: Values) -> bool:
    return not values.size or bool(values.min() == values.max())


def _deviations(values: Values) -> Values:
    """From the mean, exactly zero for constants."""
    away = about_the_middle(values)
    return np.asarray(away - away.mean())


def _in_units(values: Values) -> tuple[Values, float]:
    """Deviations in units of the largest, whose squares neither vanish nor overflow; that unit."""
    away = _deviations(values)
    unit = float(np.abs(away).max()) or 1.0
    return away / unit, unit


def _ranks(values: Values) -> Values:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Values = (last - (counts - 1) / 2)[inverse]
    return ranks


MEAN_ERROR = Summed(mae, errors, ratio)
"""MAE with its sums, to be clipped or scaled."""


MAE = Metric(
    name="mae",
    title="MAE",
    definition="mean |p - y|",
    functions={"sims": clipped(MEAN_ERROR)},
    otherwise=MEAN_ERROR,
    higher_is_better=False,
    high=math.inf,
    source="MMSA, regression metrics",
    primary=True,
    place=10,
)

CORR = Metric(
    name="corr",
    title="Corr",
    definition="Pearson correlation of p and y",
    functions={"sims": clipped(Summed(corr, moments, read_corr))},
    otherwise=Summed(corr, moments, read_corr),
    low=-1.0,
    undefined="predictions or labels are constant",
    source="MMSA, regression metrics",
    primary=True,
    place=20,
)

CCC = Metric(
    name="ccc",
    title="CCC",
    definition="concordance correlation: 2 cov / (var p + var y + (mean p - mean y)²)",
    functions={"sims": clipped(Summed(ccc, moments_and_errors, read_ccc))},
    otherwise=Summed(ccc, moments_and_errors, read_ccc),
    low=-1.0,
    undefined="labels are constant",
    source="Lin. Biometrics 45(1), 1989",
)

SPEARMAN = Metric(
    name="spearman",
    title="Spearman",
    definition="Pearson correlation of the average ranks of p and y",
    functions={"sims": clipped(spearman)},
    otherwise=spearman,
    low=-1.0,
    undefined="predictions or labels are constant",
    source="Spearman. American Journal of Psychology 15, 1904",
)

R2 = Metric(
    name="r2",
    title="R²",
    definition="1 - Σ (y - p)² / Σ (y - mean y)²",
    functions={"sims": clipped(Summed(r2, moments_and_errors, read_r2))},
    low=-math.inf,
    undefined="labels are constant",
    source="CH-SIMS v2, regression metrics",
)

CALIBRATION_SLOPE = Metric(
    name="calibration_slope",
    title="Slope",
    definition="slope of y regressed on p; 1 is calibrated, below 1 predictions are too extreme",
    functions={"sims": clipped(Summed(calibration_slope, moments, read_slope))},
    otherwise=Summed(calibration_slope, moments, read_slope),
    low=-math.inf,
    high=math.inf,
    ideal=1.0,
    undefined="predictions are constant",
    source="Cox. Biometrika 45(3/4), 1958, least-squares case",
)

CONSTANT = Metric(
    name="constant",
    title="Constant",
    definition="1 when all predictions are equal, else 0",
    functions={"sims": clipped(Summed(constant, moments, read_constant))},
    otherwise=Summed(constant, moments, read_constant),
    higher_is_better=False,
    source="this harness: a collapsed run must be visible",
    percent=True,
)
