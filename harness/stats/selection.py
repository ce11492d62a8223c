"""How much choosing flatters: the best test epoch, the last epoch, the best of k seeds.

Every gain is in the metric's own units and in its own direction: positive means that the choice
looks better than the honest number, whether the metric is an error or an accuracy.

Shapes: E epochs, N clips, S seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from harness.data.datasets import Dataset
from harness.errors import SpecError
from harness.metrics import Metric, Values, best_index, metrics_for, score

__all__ = ["Selection", "best_of_k", "epoch_scores", "gain", "selection"]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """One run's test metric at the epochs one could report.

    Args:
        selected_epoch: Chosen on the validation split; epochs count from 1.
        best_epoch: Best on the test split, the earliest among equals.
        epochs: E.
        selected: Test metric at the selected epoch, NaN where undefined.
        best: At the best epoch; NaN when undefined in every epoch.
        last: At the last epoch, NaN where undefined.
        optimism: How much better ``best`` is than ``selected``, 0 or more; NaN when either is.
        last_gain: How much better ``last`` is than ``selected``, of either sign; NaN when either
            is.
    """

    selected_epoch: int
    best_epoch: int
    epochs: int
    selected: float
    best: float
    last: float
    optimism: float
    last_gain: float


def gain(metric: Metric, value: float, base: float) -> float:
    """How much better ``value`` is than ``base``; NaN when either is undefined.

    Example:
        >>> from harness.metrics import metrics
        >>> gain(metrics["mae"], 0.75, 1.0), gain(metrics["corr"], 0.75, 1.0)
        (0.25, -0.25)
    """
    if math.isnan(value) or math.isnan(base):
        return math.nan
    return metric.cost(base) - metric.cost(value)


def epoch_scores(
    curve: ArrayLike, truth: ArrayLike, dataset: Dataset
) -> dict[str, tuple[float, ...]]:
    """Every primary metric after each epoch, NaN where undefined or a prediction is not finite.

    Args:
        curve: (E, N) predictions after each epoch, E ≥ 1.
        truth: (N,) labels.
        dataset: Decides which metrics and their definition.

    Returns:
        Metric name -> E values.
    """
    undefined = {metric.name: math.nan for metric in metrics_for(dataset, primary=True)}
    scores = [
        score(row, truth, dataset) if np.isfinite(row).all() else undefined
        for row in np.asarray(curve)
    ]
    return {name: tuple(each[name] for each in scores) for name in undefined}


def selection(values: Sequence[float], selected_epoch: int, metric: Metric) -> Selection:
    """Compare the selected epoch with the best and the last.

    Args:
        values: Test metric after each epoch, NaN where undefined.
        selected_epoch: Counting from 1.
        metric: Decides what is better.

    Raises:
        SpecError: When there is no such epoch.

    Example:
        >>> from harness.metrics import metrics
        >>> found = selection([0.9, 0.75, 0.5, 1.0], 2, metrics["mae"])
        >>> found.best_epoch, found.optimism, found.last_gain
        (3, 0.25, -0.25)
    """
    if not 1 <= selected_epoch <= len(values):
        raise SpecError(
            f"the selected epoch lies in 1 to {len(values)}, found {selected_epoch}",
            hint="the curve must hold every epoch of the run",
        )
    chosen, best = values[selected_epoch - 1], best_index(values, metric)
    return Selection(
        selected_epoch=selected_epoch,
        best_epoch=best + 1,
        epochs=len(values),
        selected=chosen,
        best=values[best],
        last=values[-1],
        optimism=gain(metric, values[best], chosen),
        last_gain=gain(metric, values[-1], chosen),
    )


def best_of_k(values: Sequence[float], k: int, metric: Metric) -> float:
    """How much better the best of k seeds is expected to look than the mean of all S.

    The expectation is over every subset of k of the S values, without replacement: the i-th best
    is the best of comb(S - i, k - 1) of the comb(S, k) subsets.

    Args:
        values: The metric of each seed.
        k: 1 to S.
        metric: Decides what is better.

    Returns:
        0 or more; NaN when a value is undefined.

    Raises:
        SpecError: When k is not in 1 to S.

    Example:
        >>> from harness.metrics import metrics
        >>> best_of_k([0.25, 0.5, 1.5], 3, metrics["mae"])
        0.5
    """
    seeds = len(values)
    if not 1 <= k <= seeds:
        raise SpecError(f"the best of k of {seeds} seeds takes k from 1 to {seeds}, found {k}")
    if any(map(math.isnan, values)):
        return math.nan
    costs: Values = np.sort([metric.cost(value) for value in values])
    wins = [math.comb(seeds - place, k - 1) for place in range(1, seeds + 1)]
    expected = float(costs @ np.array(wins, dtype=np.float64)) / math.comb(seeds, k)
    return max(0.0, float(costs.mean()) - expected)
