"""What a metric is, what may be scored, and how two values of a metric compare.

Shapes: N clips.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness._util.registry import Registry
from harness.data.datasets import Dataset, datasets
from harness.errors import SpecError, SubmissionError

__all__ = [
    "Family",
    "Metric",
    "Score",
    "Values",
    "best_index",
    "better",
    "metrics",
    "metrics_for",
    "prepare",
    "score",
    "six_decimals",
]

Family: TypeAlias = str
"""What a dataset calls the metric definitions that apply to it."""
Values: TypeAlias = NDArray[np.float64]
Score: TypeAlias = Callable[[Values, Values], float]
"""(pred (N,), truth (N,)) -> value, NaN when undefined.

Predictions come as they are. A score with edges, signs or classes passes them through
``six_decimals`` first.
"""

_DECIMALS = 6
_LARGEST = float(np.finfo(np.float32).max)  # beyond it, rounding and squares overflow float64
_SMALLEST = float(np.finfo(np.float32).smallest_subnormal)  # far below it, squares underflow


@dataclass(frozen=True, kw_only=True, eq=False)
class Metric:
    """A pure function of predictions and labels, with what a table must know about it."""

    name: str
    title: str
    """Column heading."""
    definition: str
    """One sentence or formula; p is the prediction, y the label."""
    functions: Mapping[Family, Score] = field(default_factory=dict)
    """The definition for each dataset family that has one of its own."""
    otherwise: Score | None = None
    """The definition for every other family; None: they have none."""
    higher_is_better: bool = True
    low: float = 0.0
    """Lowest possible value."""
    high: float = 1.0
    """Highest possible value."""
    ideal: float | None = None
    """Best value, where it lies inside the range and neither direction is better."""
    undefined: str = "never"
    """When the value is NaN."""
    source: str
    primary: bool = False
    """Whether every table shows it."""
    place: float = math.inf
    """Where tables have it: the smaller, the further left among the primary or the secondary
    metrics. Those of one place stand as their files do."""
    places: Mapping[Family, float] = field(default_factory=dict)
    """Families whose tables have it elsewhere."""
    percent: bool = False
    """Whether it is customarily printed times 100."""

    @property
    def family(self) -> Family | None:
        """The only family that has this metric, None when several have."""
        alone = len(self.functions) == 1 and self.otherwise is None
        return next(iter(self.functions)) if alone else None

    def defined_on(self, dataset: Dataset) -> bool:
        """Whether there is a definition for ``dataset``."""
        return self.otherwise is not None or dataset.family in self.functions

    def on(self, dataset: Dataset) -> Score:
        """The definition for ``dataset``, for arrays that went through ``prepare``.

        Raises:
            SpecError: When the metric is not defined for the dataset's family.
        """
        found = self.functions.get(dataset.family, self.otherwise)
        if found is None:
            raise SpecError(
                f"metric {self.name!r} is not defined for {dataset.name!r}",
                hint=f"metrics of {dataset.name}: "
                + ", ".join(metric.name for metric in metrics_for(dataset)),
            )
        return found

    def __call__(self, pred: ArrayLike, truth: ArrayLike, dataset: Dataset | str) -> float:
        """The value for predictions and labels as they come; see ``score`` for the arguments."""
        known = _known(dataset)
        return self.on(known)(*prepare(pred, truth, known))

    def cost(self, value: float) -> float:
        """Sort key: the smaller the better, infinite when undefined.

        Example:
            >>> metrics["corr"].cost(0.8), metrics["mae"].cost(0.7), metrics["mae"].cost(math.nan)
            (-0.8, 0.7, inf)
        """
        if math.isnan(value):
            return math.inf
        if self.ideal is not None:
            return abs(value - self.ideal)
        return -value if self.higher_is_better else value


metrics: Registry[Metric] = Registry(
    "metric", Metric, packages=("harness.metrics",), group="msa_harness.metrics"
)


def metrics_for(dataset: Dataset | str, primary: bool | None = None) -> tuple[Metric, ...]:
    """The metrics a dataset has, in table order: primary first, plug-ins last among their kind.

    Args:
        dataset: A dataset or its name.
        primary: True for the primary metrics alone, False for the secondary alone, None for both.

    Example:
        >>> [metric.name for metric in metrics_for("sims", primary=True)]
        ['mae', 'corr', 'acc2', 'f1', 'acc3', 'acc5', 'acc2_non0', 'f1_non0']
    """
    every = _of_family(_known(dataset).family)
    return tuple(metric for metric in every if primary is None or metric.primary == primary)


@functools.cache
def _of_family(family: Family) -> tuple[Metric, ...]:
    own = [m for m in metrics.values() if family in m.functions or m.otherwise is not None]
    return tuple(sorted(own, key=lambda m: (not m.primary, m.places.get(family, m.place))))


def score(
    pred: ArrayLike, truth: ArrayLike, dataset: Dataset | str, *, secondary: bool = False
) -> dict[str, float]:
    """Every metric of a dataset, by canonical definition.

    Args:
        pred: (N,) predictions on the dataset's label scale; values outside it are allowed.
        truth: (N,) labels of the same clips in the same order.
        dataset: A dataset or its name.
        secondary: Whether to add the secondary metrics.

    Returns:
        Metric name -> value in table order, NaN where undefined.

    Raises:
        SubmissionError: For anything but N finite numbers each, or labels off the dataset's scale.
        SpecError: For an unknown dataset name.

    Example:
        >>> score([1.4, -0.2, -2.0], [1.0, 0.0, -2.0], "mosi")["acc2_non0"]
        1.0
    """
    known = _known(dataset)
    values = prepare(pred, truth, known)
    chosen = metrics_for(known, None if secondary else True)
    return {metric.name: metric.on(known)(*values) for metric in chosen}


def prepare(
    pred: ArrayLike, truth: ArrayLike, dataset: Dataset | None = None
) -> tuple[Values, Values]:
    """Predictions and labels as metrics want them: float64 within float32's range.

    Predictions are not rounded: a correlation of predictions that hardly differ would be one of
    rounding errors. What float32 cannot tell from zero is zero. Labels are rounded to 6 decimals,
    with which datasets are stored, so that a float32 label is the label it stands for.

    Args:
        pred: (N,) predictions.
        truth: (N,) labels.
        dataset: When given, labels must lie on its scale.

    Raises:
        SubmissionError: When the two are not N > 0 finite numbers each, or labels leave the scale.

    Example:
        >>> pred, labels = prepare([0.12345678, 1e-50], np.float32([0.1, -0.7]))
        >>> pred.tolist(), labels.tolist()
        ([0.12345678, 0.0], [0.1, -0.7])
    """
    values, labels = _vector("predictions", pred), six_decimals(_vector("labels", truth))
    if values.size != labels.size:
        raise SubmissionError(
            f"expected one prediction per label, found {values.size} predictions"
            f" and {labels.size} labels",
            hint="align both by clip id before scoring",
        )
    if not values.size:
        raise SubmissionError("nothing to score: there are no predictions and no labels")
    if dataset is not None and (labels.min() < dataset.low or labels.max() > dataset.high):
        raise SubmissionError(
            f"labels of {dataset.name} lie in [{dataset.low:g}, {dataset.high:g}],"
            f" found [{labels.min():g}, {labels.max():g}]",
            hint="check that labels and dataset belong together",
        )
    return values, labels


def _vector(what: str, given: ArrayLike) -> Values:
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise SubmissionError(f"{what} must be one number per clip: {error}") from error
    if array.ndim != 1:
        raise SubmissionError(f"{what} must have shape (N,), found {array.shape}")
    if array.size and array.dtype.kind not in "iuf":
        raise SubmissionError(f"{what} must be numbers, found dtype {array.dtype}")
    values = array.astype(np.float64)
    bad = np.flatnonzero(~(np.abs(values) <= _LARGEST))
    if bad.size:
        raise SubmissionError(
            f"{what} must be finite and within float32 range; {bad.size} of {values.size} are not,"
            f" the first is {values[bad[0]]} at position {bad[0]}",
            hint="give every clip a value, or leave out the clips without one and say so",
        )
    values[np.abs(values) < _SMALLEST] = 0.0
    return values


def six_decimals(values: Values) -> Values:
    """Values as the edges of classes meet them: rounded to 6 decimals.

    Rounding makes classes independent of where a value came from: a float32 0.1 cast to float64 is
    larger than 0.1 and would fall into the next bin.

    Example:
        >>> six_decimals(np.float32([0.1, 2 / 3]).astype(np.float64)).tolist()
        [0.1, 0.666667]
    """
    return values.round(_DECIMALS)


def _known(dataset: Dataset | str) -> Dataset:
    return datasets[dataset] if isinstance(dataset, str) else dataset


def better(metric: Metric, a: float, b: float) -> bool:
    """Whether value ``a`` is strictly better than ``b``; undefined is worse than any value.

    Example:
        >>> corr = metrics["corr"]
        >>> better(corr, 0.1, math.nan), better(corr, math.nan, -1.0)
        (True, False)
    """
    return metric.cost(a) < metric.cost(b)


def best_index(values: Sequence[float], metric: Metric) -> int:
    """Position of the best value, the earliest among equals; undefined values rank last.

    Raises:
        ValueError: When ``values`` is empty.

    Example:
        >>> best_index([math.nan, 0.9, 0.7, 0.7], metrics["mae"])
        2
    """
    return min(range(len(values)), key=lambda index: metric.cost(values[index]))
