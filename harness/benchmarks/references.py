"""Metrics of MOSI and CH-SIMS in scikit-learn, SciPy and NumPy: one call, or little more, for each.

Shapes: N clips.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error

__all__ = ["SCORERS", "SIMS_SCORERS"]

Values: TypeAlias = NDArray[np.float64]
Scorer: TypeAlias = Callable[[Values, Values], float]
"""(N,) predictions, (N,) labels -> value."""


def _has0(score: Callable[..., Any], **options: str) -> Scorer:
    return lambda pred, truth: float(score(truth >= 0, pred >= 0, **options))


def _non0(score: Callable[..., Any], **options: str) -> Scorer:
    def scorer(pred: Values, truth: Values) -> float:
        kept = truth != 0
        return float(score(truth[kept] > 0, pred[kept] > 0, **options))

    return scorer


def _rounded(bound: int) -> Scorer:
    def scorer(pred: Values, truth: Values) -> float:
        classes = (np.rint(np.clip(values, -bound, bound)) for values in (truth, pred))
        return float(accuracy_score(*classes))

    return scorer


def _positive(score: Callable[..., Any], **options: str) -> Scorer:
    return lambda pred, truth: float(score(truth > 0, pred > 0, **options))


def _binned(*edges: float) -> Scorer:
    def scorer(pred: Values, truth: Values) -> float:
        classes = (np.digitize(values, edges, right=True) for values in (truth, pred))
        return float(accuracy_score(*classes))

    return scorer


def _clipped(scorer: Scorer) -> Scorer:
    return lambda pred, truth: scorer(pred.clip(-1, 1), truth.clip(-1, 1))


def _concordance(pred: Values, truth: Values) -> float:
    covariance = np.cov(pred, truth, ddof=0)
    apart = (pred.mean() - truth.mean()) ** 2
    return float(2 * covariance[0, 1] / (np.trace(covariance) + apart))


SCORERS: Mapping[str, Scorer] = {
    "mae": lambda pred, truth: float(mean_absolute_error(truth, pred)),
    "corr": lambda pred, truth: float(stats.pearsonr(pred, truth).statistic),
    "acc2_has0": _has0(accuracy_score),
    "acc2_non0": _non0(accuracy_score),
    "f1_has0": _has0(f1_score, average="weighted"),
    "f1_non0": _non0(f1_score, average="weighted"),
    "acc3": _rounded(1),
    "acc5": _rounded(2),
    "acc7": _rounded(3),
    "macro_f1": _has0(f1_score, average="macro"),
    "ccc": _concordance,
    "spearman": lambda pred, truth: float(stats.spearmanr(pred, truth).statistic),
    "calibration_slope": lambda pred, truth: float(stats.linregress(pred, truth).slope),
    "constant": lambda pred, truth: float(np.ptp(pred) == 0),
}
"""Every metric of MOSI."""

SIMS_SCORERS: Mapping[str, Scorer] = {
    "mae": _clipped(SCORERS["mae"]),
    "corr": _clipped(SCORERS["corr"]),
    "acc2": _positive(accuracy_score),
    "f1": _positive(f1_score, average="weighted"),
    "acc3": _binned(-0.1, 0.1),
    "acc5": _binned(-0.7, -0.1, 0.1, 0.7),
    "acc2_non0": _non0(accuracy_score),
    "f1_non0": _non0(f1_score, average="weighted"),
}
"""The primary metrics of CH-SIMS."""
