"""Metrics of the class a prediction falls into: a code, a rate and the clips that count.

A *code* turns values into classes 0, 1, …; a *rate* compares predicted with true classes; ``keep``
picks clips by their label; ``seen`` is how exactly values meet the edges between classes. Every
Acc-k and F1 in print is some ``ClassScore`` of these parts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.metrics.base import Metric, Values, six_decimals
from harness.metrics.sums import Parts, class_terms, ratio, read_macro_f1, read_weighted_f1

__all__ = [
    "ClassScore",
    "Classes",
    "Code",
    "Keep",
    "Rate",
    "Seen",
    "accuracy",
    "binned",
    "macro_f1",
    "non_negative",
    "non_zero",
    "positive",
    "rounded",
    "weak",
    "weighted_f1",
]

Classes: TypeAlias = NDArray[np.intp]
Code: TypeAlias = Callable[[Values], Classes]
Rate: TypeAlias = Callable[[Classes, Classes], float]
Keep: TypeAlias = Callable[[Values], NDArray[np.bool_]]
Seen: TypeAlias = Callable[[Values], Values]


@dataclass(frozen=True)
class ClassScore:
    """A rate over the classes of predictions and labels, among the clips kept.

    Args:
        rate: ``accuracy``, ``weighted_f1``, …
        code: Values to classes, applied to predictions and labels alike.
        keep: Which clips count, judged by their label; all when None.
        seen: Predictions and labels as ``code`` and ``keep`` see them.

    Example:
        >>> zero_is_negative = ClassScore(accuracy, positive)
        >>> zero_is_negative(np.array([-0.2, 0.3]), np.array([0.0, -1.0]))
        0.5
    """

    rate: Rate
    code: Code
    keep: Keep | None = None
    seen: Seen = six_decimals

    def __call__(self, pred: Values, truth: Values) -> float:
        """The rate for predictions and labels, both (N,)."""
        pred, truth = self.seen(pred), self.seen(truth)
        if self.keep is not None:
            kept = self.keep(truth)
            pred, truth = pred[kept], truth[kept]
        return self.rate(self.code(pred), self.code(truth))

    def parts(self, pred: Values, truth: Values) -> Parts | None:
        """What is summed over clips, (S, N) predictions and (N,) labels; None for other rates."""
        readers = {accuracy: ratio, weighted_f1: read_weighted_f1, macro_f1: read_macro_f1}
        if self.rate not in readers:
            return None
        pred, truth = self.seen(pred), self.seen(truth)
        kept = np.ones(truth.shape) if self.keep is None else self.keep(truth).astype(np.float64)
        labelled = self.code(truth)
        predicted = np.stack([self.code(run) for run in pred])
        if self.rate is not accuracy:
            return class_terms(kept, predicted, labelled), readers[self.rate]
        hits = kept * (predicted == labelled)
        return (hits, np.broadcast_to(kept, hits.shape)), ratio


def non_negative(values: Values) -> Classes:
    """Class 1 for v ≥ 0, class 0 below.

    Example:
        >>> non_negative(np.array([-0.1, 0.0, 0.1])).tolist()
        [0, 1, 1]
    """
    return (values >= 0).astype(np.intp)


def positive(values: Values) -> Classes:
    """Class 1 for v > 0, class 0 for zero and below.

    Example:
        >>> positive(np.array([-0.1, 0.0, 0.1])).tolist()
        [0, 0, 1]
    """
    return (values > 0).astype(np.intp)


def rounded(values: Values, limit: int) -> Classes:
    """Nearest integer within ±limit as class 0 to 2·limit; ties go to the even integer.

    Source:
        MulT and its descendants: clip, then NumPy's rounding.

    Example:
        >>> rounded(np.array([-3.2, 0.5, 1.5]), limit=3).tolist()
        [0, 3, 5]
    """
    nearest: Classes = np.rint(values.clip(-limit, limit)).astype(np.intp)
    return nearest + limit


def binned(values: Values, edges: tuple[float, ...]) -> Classes:
    """Class = number of edges below the value, so that every bin is closed on its right.

    Source:
        MMSA, CH-SIMS metrics.

    Example:
        >>> binned(np.array([-0.1, 0.1, 0.2]), edges=(-0.1, 0.1)).tolist()
        [0, 1, 2]
    """
    classes: Classes = np.searchsorted(np.asarray(edges), values, side="left")
    return classes


def non_zero(truth: Values) -> NDArray[np.bool_]:
    """Clips whose label is not zero."""
    return np.not_equal(truth, 0)


def weak(truth: Values) -> NDArray[np.bool_]:
    """Clips of weak sentiment: |y| ≤ 0.4."""
    return np.less_equal(np.abs(truth), 0.4)


def accuracy(pred: Classes, truth: Classes) -> float:
    """Share of clips whose classes agree.

    Args:
        pred: (N,) predicted classes.
        truth: (N,) true classes.

    Returns:
        0 to 1; NaN without clips.

    Example:
        >>> accuracy(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]))
        0.75
    """
    return float((pred == truth).mean()) if truth.size else math.nan


def weighted_f1(pred: Classes, truth: Classes) -> float:
    """F1 per class, averaged with the class's share of the *labels* as weight.

    F1 of class c is 2·hits / (predicted c + labelled c). The order of arguments matters: with
    predictions and labels swapped the weights come from the predictions.

    Args:
        pred: (N,) predicted classes, 0 or more.
        truth: (N,) true classes, 0 or more.

    Returns:
        0 to 1; NaN without clips.

    Example:
        >>> round(weighted_f1(np.array([0, 0, 0, 0]), np.array([0, 0, 0, 1])), 4)
        0.6429
    """
    if not truth.size:
        return math.nan
    f1, labelled, _ = _f1_of_classes(pred, truth)
    return float(f1 @ labelled) / truth.size


def macro_f1(pred: Classes, truth: Classes) -> float:
    """Plain mean of F1 over the classes that occur among predictions or labels.

    Args:
        pred: (N,) predicted classes, 0 or more.
        truth: (N,) true classes, 0 or more.

    Returns:
        0 to 1; NaN without clips.

    Example:
        >>> round(macro_f1(np.array([0, 0, 0, 0]), np.array([0, 0, 0, 1])), 4)
        0.4286
    """
    if not truth.size:
        return math.nan
    f1, _, occurs = _f1_of_classes(pred, truth)
    return float(f1[occurs].mean())


def _f1_of_classes(
    pred: Classes, truth: Classes
) -> tuple[Values, NDArray[np.intp], NDArray[np.bool_]]:
    """Per class (C,): F1, number of labels, whether it occurs at all."""
    classes = 1 + max(int(pred.max()), int(truth.max()))
    hits = np.bincount(truth[pred == truth], minlength=classes)
    labelled = np.bincount(truth, minlength=classes)
    both = np.bincount(pred, minlength=classes) + labelled
    return 2 * hits / np.maximum(both, 1), labelled, both > 0


_NO_NON_ZERO = "no clip has a non-zero label"
_MMSA = "MMSA, regression metrics"

_SIMS_THREE = partial(binned, edges=(-0.1, 0.1))
_SIMS_FIVE = partial(binned, edges=(-0.7, -0.1, 0.1, 0.7))

ACC2_HAS0 = Metric(
    name="acc2_has0",
    title="Acc-2 has-0",
    definition="mean [(p ≥ 0) = (y ≥ 0)] over all clips",
    functions={"mosi": ClassScore(accuracy, non_negative)},
    source=_MMSA,
    primary=True,
    place=30,
    percent=True,
)

ACC2 = Metric(
    name="acc2",
    title="Acc-2",
    definition="mean [(p > 0) = (y > 0)] over all clips: zero counts as negative",
    functions={"sims": ClassScore(accuracy, positive)},
    source=_MMSA,
    primary=True,
    place=30,
    percent=True,
)

ACC2_NON0 = Metric(
    name="acc2_non0",
    title="Acc-2 non-0",
    definition="mean [(p > 0) = (y > 0)] over clips with y ≠ 0",
    otherwise=ClassScore(accuracy, positive, non_zero),
    undefined=_NO_NON_ZERO,
    source=f"{_MMSA}; on CH-SIMS: MERBench",
    primary=True,
    place=40,
    places={"sims": 90},
    percent=True,
)

F1_HAS0 = Metric(
    name="f1_has0",
    title="F1 has-0",
    definition="F1 of the Acc-2 has-0 classes, weighted by label support",
    functions={"mosi": ClassScore(weighted_f1, non_negative)},
    source=_MMSA,
    primary=True,
    place=50,
    percent=True,
)

F1 = Metric(
    name="f1",
    title="F1",
    definition="F1 of the Acc-2 classes, weighted by label support",
    functions={"sims": ClassScore(weighted_f1, positive)},
    source=_MMSA,
    primary=True,
    place=50,
    percent=True,
)

F1_NON0 = Metric(
    name="f1_non0",
    title="F1 non-0",
    definition="F1 of the Acc-2 non-0 classes, weighted by label support",
    otherwise=ClassScore(weighted_f1, positive, non_zero),
    undefined=_NO_NON_ZERO,
    source=f"{_MMSA}; on CH-SIMS: MERBench",
    primary=True,
    place=60,
    places={"sims": 100},
    percent=True,
)

ACC3 = Metric(
    name="acc3",
    title="Acc-3",
    definition="agreement of p and y rounded within ±1 (MOSI, MOSEI) or binned at ±0.1 (CH-SIMS)",
    functions={
        "mosi": ClassScore(accuracy, partial(rounded, limit=1)),
        "sims": ClassScore(accuracy, _SIMS_THREE),
    },
    source=_MMSA,
    primary=True,
    place=70,
    percent=True,
)

ACC5 = Metric(
    name="acc5",
    title="Acc-5",
    definition="agreement of p and y rounded within ±2 (MOSI, MOSEI) or binned at ±0.1 and ±0.7",
    functions={
        "mosi": ClassScore(accuracy, partial(rounded, limit=2)),
        "sims": ClassScore(accuracy, _SIMS_FIVE),
    },
    source=_MMSA,
    primary=True,
    place=80,
    percent=True,
)

ACC7 = Metric(
    name="acc7",
    title="Acc-7",
    definition="agreement of p and y rounded within ±3, ties to the even integer",
    functions={"mosi": ClassScore(accuracy, partial(rounded, limit=3))},
    source=_MMSA,
    primary=True,
    place=90,
    percent=True,
)

ACC2_WEAK = Metric(
    name="acc2_weak",
    title="Acc-2 weak",
    definition="Acc-2 over clips with |y| ≤ 0.4",
    functions={"sims": ClassScore(accuracy, positive, weak)},
    undefined="no clip has a label within ±0.4",
    source="CH-SIMS v2, regression metrics",
    percent=True,
)

MACRO_F1 = Metric(
    name="macro_f1",
    title="Macro-F1",
    definition="plain mean of the two F1 of the Acc-2 classes over all clips"
    " (has-0 on MOSI and MOSEI)",
    functions={
        "mosi": ClassScore(macro_f1, non_negative),
        "sims": ClassScore(macro_f1, positive),
    },
    source="scikit-learn's macro average; shows a collapse that support weights hide",
    percent=True,
)
