"""Scores of predictors that look at nothing: what a collapsed network reports."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.data.datasets import Counts, Dataset
from harness.metrics import score

__all__ = ["Constants", "binary_constants", "binary_tasks", "label_constants"]

Constants: TypeAlias = Mapping[str, Mapping[str, float]]
"""Constant predictor -> metric -> its value."""


def binary_tasks(dataset: Dataset, counts: Counts) -> Iterator[tuple[str, str, int, int]]:
    """For each Acc-2 of a dataset: its name, its F1, clips of the positive and negative class."""
    if dataset.family == "mosi":
        yield "acc2_has0", "f1_has0", counts.positive + counts.zero, counts.negative
    else:
        yield "acc2", "f1", counts.positive, counts.negative + counts.zero
    yield "acc2_non0", "f1_non0", counts.positive, counts.negative


def binary_constants(dataset: Dataset, split: str = "test") -> Constants:
    """Acc-2 and F1 of predicting one sign for every clip, from the official counts.

    Example:
        >>> from harness.data.datasets import datasets
        >>> constants = binary_constants(datasets["sims"])
        >>> round(constants["negative for every clip"]["acc2"], 4)
        0.6937
    """
    found: dict[str, dict[str, float]] = {
        "positive for every clip": {},
        "negative for every clip": {},
    }
    for accuracy, f1, positive, negative in binary_tasks(dataset, dataset.splits[split]):
        for name, labelled in (
            ("positive for every clip", positive),
            ("negative for every clip", negative),
        ):
            share = labelled / (positive + negative)
            found[name] |= {accuracy: share, f1: share * 2 * share / (1 + share)}
    return found


def label_constants(train: ArrayLike, test: ArrayLike, dataset: Dataset) -> Constants:
    """Every metric of the constants a collapsed network falls into, from the labels.

    Args:
        train: (M,) labels of the training split.
        test: (N,) labels of the scored split.
        dataset: The dataset they are of.

    Returns:
        ``the train mean``, ``zero``, and ``the best constant``, which has accuracies alone.
    """
    labels = np.asarray(test, dtype=np.float64)
    constants = {"the train mean": float(np.asarray(train, dtype=np.float64).mean()), "zero": 0.0}
    found = {name: _scores_of(value, labels, dataset) for name, value in constants.items()}
    each = [_scores_of(float(value), labels, dataset) for value in np.unique(labels)]
    accuracies = [name for name in each[0] if name.startswith("acc")]
    best = {name: max(scores[name] for scores in each) for name in accuracies}
    return {**found, "the best constant": best}


def _scores_of(value: float, labels: NDArray[np.float64], dataset: Dataset) -> dict[str, float]:
    scores = score(np.full(labels.size, value), labels, dataset)
    return {name: value for name, value in scores.items() if not math.isnan(value)}
