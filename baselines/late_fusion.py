"""Late fusion: three predictions from one stream each, combined linearly.

The weights are fitted on the validation split: on the training split the uni-modal systems have
seen the labels, so that the one that overfits most would be trusted most.

Shapes: n clips, m uni-modal systems.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls

from baselines.feature_ridge import FeatureRidgeParams
from baselines.feature_ridge import fit as fit_features
from harness.data.corpus import STREAMS, Split
from harness.errors import SubmissionError
from harness.system import Card, Fitted, System, Task
from harness.system.ridge import RidgeParams

__all__ = ["LATE_FUSION", "LateFusion", "LateFusionParams", "fuse"]


@dataclass(frozen=True, kw_only=True, eq=False)
class LateFusion:
    """y = bias + Σ weights_i (p_i - means_i).

    Args:
        weights: (m,) none below zero.
        means: (m,) mean of each uni-modal prediction where the weights were fitted.
        bias: Mean label there.
    """

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    bias: float

    def __call__(self, predictions: ArrayLike) -> NDArray[np.float64]:
        """(n, m) -> (n,); a missing prediction (NaN) counts as its mean and says nothing."""
        centred = np.nan_to_num(np.asarray(predictions, dtype=np.float64) - self.means)  # (n, m)
        fused: NDArray[np.float64] = self.bias + centred @ self.weights
        return fused


def fuse(predictions: ArrayLike, labels: ArrayLike) -> LateFusion:
    """The affine combination with weights of at least zero that has the least squared error.

    Minimises |y - b - Σ w_i p_i|² over w ≥ 0 and b. Whatever the weights, the best b makes the mean
    error zero, so it drops out once predictions and labels are centred.

    Args:
        predictions: (n, m), of clips that no uni-modal system was trained on; NaN where missing.
        labels: (n,).

    Raises:
        SubmissionError: For shapes that do not fit, or a column without any prediction.

    Example:
        >>> fusion = fuse([[1.0, 5.0], [2.0, 5.0], [4.0, 5.0]], [2.0, 4.0, 8.0])
        >>> fusion.weights.round(6).tolist(), fusion([[3.0, 5.0]]).round(6).tolist()
        ([2.0, 0.0], [6.0])
    """
    given, truth = np.asarray(predictions, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if given.ndim != 2 or truth.shape != given.shape[:1]:
        raise SubmissionError(
            f"expected (n, m) predictions and (n,) labels, found {given.shape} and {truth.shape}"
        )
    if np.isnan(given).all(axis=0).any():
        raise SubmissionError("a uni-modal system has no prediction at all")
    means, bias = np.nanmean(given, axis=0), float(truth.mean())  # (m,), ()
    weights, _ = nnls(np.nan_to_num(given - means), truth - bias)  # (m,)
    return LateFusion(weights=weights, means=means, bias=bias)


@dataclass(frozen=True, kw_only=True)
class LateFusionParams(RidgeParams):
    """The strengths tried for each stream's ridge."""


def fit(task: Task, params: LateFusionParams) -> Fitted:
    """A ridge per stream on train, their combination on valid.

    Raises:
        SpecError: When the corpus lacks a stream.
    """
    strengths = dataclasses.asdict(params)
    parts = [fit_features(task, FeatureRidgeParams(streams=m, **strengths)) for m in STREAMS]

    def unimodal(split: Split) -> NDArray[np.float64]:
        return np.column_stack([part.predict(split) for part in parts])

    fusion = fuse(unimodal(task.valid), task.valid.labels)
    size = sum(part.parameters for part in parts) + len(parts) + 1

    def predict(split: Split) -> NDArray[np.float64]:
        return fusion(unimodal(split))

    return Fitted(predict=predict, parameters=size, trainable=size)


LATE_FUSION = System(
    name="late_fusion",
    card=Card(
        title="Late fusion of ridges",
        paper="linear anchor, no paper",
        year=None,
        text="T-feat",
        deviations=(
            "The validation split chooses each ridge's strength and the four weights of the fusion",
        ),
    ),
    params=LateFusionParams,
    inputs=frozenset(STREAMS),
    deterministic=True,
    fit=fit,
)
