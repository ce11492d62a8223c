"""Ridge regression whose strength the validation split chooses.

Shapes: n clips of a split, D features.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, issparse
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from harness.data.corpus import Split
from harness.metrics import best_index, metrics
from harness.system import Fitted, Params, Task, param

__all__ = ["Features", "RidgeParams", "fit_ridge", "standardised"]

Features: TypeAlias = Callable[[Split], "NDArray[np.float64] | csr_matrix"]
"""Split -> (n, D)."""


@dataclass(frozen=True, kw_only=True)
class RidgeParams(Params):
    """The strengths tried: evenly spaced on a logarithmic scale."""

    weakest: float = param(1e-3, low=1e-9, source="ours: far below any strength ever chosen")
    strongest: float = param(1e6, low=1e-9, source="ours: far above any strength ever chosen")
    per_decade: int = param(2, low=1, source="ours: finer grids fit the validation split")

    def strengths(self) -> NDArray[np.float64]:
        """The grid, strongest first."""
        high, low = math.log10(self.strongest), math.log10(self.weakest)
        return np.logspace(high, low, max(1, round((high - low) * self.per_decade) + 1))


def fit_ridge(task: Task, params: RidgeParams, features: Features) -> Fitted:
    """Minimise |y - Xw - b|² + a|w|² with the a that predicts the validation split best.

    "Best" is by the protocol's selection metric; of equally good strengths the strongest wins.
    """
    train, valid = features(task.train), features(task.valid)
    # Both solvers are free of randomness: closed form, or conjugate gradients from zero.
    solver = "sparse_cg" if issparse(train) else "cholesky"
    models = [
        Ridge(alpha=strength, solver=solver, tol=1e-8).fit(train, task.train.labels)
        for strength in params.strengths()
    ]
    metric, dataset = metrics[task.protocol.selection_metric], task.valid.corpus.dataset
    values = [metric(model.predict(valid), task.valid.labels, dataset) for model in models]
    chosen = models[best_index(values, metric)]

    def predict(split: Split) -> NDArray[np.float64]:
        return np.asarray(chosen.predict(features(split)), dtype=np.float64)

    size = train.shape[1] + 1
    return Fitted(predict=predict, parameters=size, trainable=size)


def standardised(features: Features, train: Split) -> Features:
    """``features`` with mean 0 and variance 1 on ``train``; constant columns stay 0."""
    scaler = StandardScaler().fit(features(train))

    def scaled(split: Split) -> NDArray[np.float64]:
        return np.asarray(scaler.transform(features(split)), dtype=np.float64)

    return scaled
