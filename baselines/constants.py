"""Constant predictors: the reference points without which no number can be read.

Shapes: n clips.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from harness.data.corpus import Split
from harness.system import Card, Fitted, Params, System, Task

__all__ = ["MAJORITY", "TRAIN_MEAN", "TRAIN_MEDIAN", "ZERO", "majority_value"]

Statistic = Callable[[NDArray[np.float64]], float]
"""(n,) training labels -> the value predicted for every clip."""


def majority_value(labels: NDArray[np.float64]) -> float:
    """The median label of the most frequent class among negative, zero and positive.

    It has that class's sign, and within the class no constant has a lower MAE. Of equally frequent
    classes the first in the order negative, zero, positive wins.

    Example:
        >>> majority_value(np.array([-1.0, 0.5, 1.0, 3.0]))
        1.0
    """
    classes = [labels[labels < 0], labels[labels == 0], labels[labels > 0]]
    return float(np.median(max(classes, key=len)))


def _constant(name: str, title: str, statistic: Statistic) -> System:
    def fit(task: Task, params: Params) -> Fitted:
        value = statistic(task.train.labels)

        def predict(split: Split) -> NDArray[np.float64]:
            return np.full(len(split), value)

        return Fitted(predict=predict, parameters=1, trainable=1)

    return System(
        name=name,
        card=Card(title=title, paper="reference point, no paper", year=None, text="none"),
        inputs=frozenset(),
        deterministic=True,
        reference=True,
        fit=fit,
    )


TRAIN_MEAN = _constant("train_mean", "Training mean", lambda labels: float(np.mean(labels)))
TRAIN_MEDIAN = _constant("train_median", "Training median", lambda labels: float(np.median(labels)))
ZERO = _constant("zero", "Zero", lambda labels: 0.0)
MAJORITY = _constant("majority", "Median of the majority class", majority_value)
