"""The straight line from predictions to labels: what is left of an error is not one of scale.

Shapes: n clips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.metrics.base import prepare

__all__ = ["Affine", "fit_affine"]


@dataclass(frozen=True, kw_only=True)
class Affine:
    """A straight line from predictions to labels."""

    label: ClassVar[str] = "calibrated, uses labels"
    """Stands beside every value computed from calibrated predictions."""

    slope: float
    intercept: float
    clips: int
    """Clips it was fitted on."""

    def __call__(self, pred: ArrayLike) -> NDArray[np.float64]:
        """Calibrated predictions, in the shape of ``pred``; they may leave the scale."""
        return self.slope * np.asarray(pred, dtype=np.float64) + self.intercept


def fit_affine(pred: ArrayLike, truth: ArrayLike) -> Affine:
    """Fit slope and intercept by least squares.

    Args:
        pred: (n,) predictions.
        truth: (n,) labels.

    Returns:
        The line; flat at the mean label when all predictions are the same.

    Raises:
        SubmissionError: When the two are not n > 0 finite numbers each.
    """
    x, y = prepare(pred, truth)
    dx, dy = x - x.mean(), y - y.mean()
    slope = 0.0 if x.min() == x.max() else float(dx @ dy) / float(dx @ dx)
    intercept = float(y.mean() - slope * x.mean())
    return Affine(slope=slope, intercept=intercept, clips=x.size)
