"""Runs that collapsed: counted and shown, never left out.

A quarter of some systems' runs end at nearly the same answer for every clip. Such a run is a result
of the system, so it stays in every mean and every comparison; but a mean over four good runs and a
collapsed one describes no run at all, so it is said.

Two things count as collapse: predictions that hardly vary (``near constant``), and a run far
outside the row's own spread on the bad side (``outlying``). The second takes four runs: nothing
says of three which one is odd.

Shapes: N clips, S runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

__all__ = ["Collapse", "collapse", "collapse_of_runs", "near_constant", "outlying"]

_NEAR_CONSTANT = 0.10
"""Spread of predictions, as share of the spread of labels, below which a run counts as collapsed.

Least squares on useless inputs shrinks to the mean; a model with Corr .3 that is calibrated still
spreads .3 as much as the labels.
"""
_FEWEST_VALUES = 3
_FEWEST_RUNS = 4
_FAR = 5.0
"""Distance from the other runs' median in their scaled median absolute deviations."""
_SCALED = 1.4826  # median absolute deviation to standard deviation, of Gaussian values
_WORSE = 0.25
"""And by this share of their median cost at least: of few runs the first alone is met by chance.
A network that answers with a constant is worse by 40 % or more on all four datasets."""


@dataclass(frozen=True, kw_only=True)
class Collapse:
    """How often a system collapses.

    Args:
        collapsed: (S,) places of collapsed runs.
        runs: S.
        low: Lower end of the 95 % interval of the probability of collapse.
        high: Upper end.
    """

    collapsed: tuple[int, ...]
    runs: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """Collapsed runs among all."""
        return len(self.collapsed) / self.runs

    def __str__(self) -> str:
        """As boards show it: ``4/5 + 1 collapsed``."""
        return self.among(self.runs)

    def among(self, planned: int) -> str:
        """Sound runs of those planned, which may be more than there are, and collapsed ones."""
        sound = self.runs - len(self.collapsed)
        return f"{sound}/{planned} + {len(self.collapsed)} collapsed"

    def sentence(self, seeds: Sequence[int] = ()) -> str:
        """How often it happened, and how often it may.

        Args:
            seeds: Of the collapsed runs, where they are known.

        Example:
            >>> Collapse(collapsed=(2,), runs=5, low=0.005, high=0.716).sentence([1113])
            '1 of 5 runs collapsed (seed 1113): probability of collapse .20 [.01, .72]'
        """
        named = ""
        if seeds:
            named = f" (seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))})"
        share, low, high = (f"{v:.2f}".removeprefix("0") for v in (self.share, self.low, self.high))
        return (
            f"{len(self.collapsed)} of {self.runs} runs collapsed{named}: probability of collapse"
            f" {share} [{low}, {high}]"
        )


def near_constant(pred: ArrayLike, truth: ArrayLike) -> bool:
    """Whether predictions hardly vary: a tenth of the labels' spread, or one or two values.

    Args:
        pred: (N,) predictions.
        truth: (N,) labels.

    Example:
        >>> near_constant([0.1, 0.1, 0.2, 0.15], [-2.0, 1.0, 0.0, 3.0])
        True
    """
    values, labels = np.asarray(pred, np.float64), float(np.std(np.asarray(truth, np.float64)))
    spread = float(values.std()) / labels if labels else math.inf
    return spread < _NEAR_CONSTANT or np.unique(values).size < _FEWEST_VALUES


def outlying(costs: Sequence[float]) -> NDArray[np.bool_]:
    """(S,) which runs are far worse than the others of their row.

    Args:
        costs: (S,) a metric of each run, the larger the worse, as ``mae``; with fewer than four
            runs none is.

    Example:
        >>> outlying([0.71, 0.72, 0.73, 0.70, 1.30]).tolist()
        [False, False, False, False, True]
    """
    values = np.asarray(costs, dtype=np.float64)
    found = np.zeros(values.size, dtype=bool)
    if values.size < _FEWEST_RUNS:
        return found
    for place, value in enumerate(values):
        others = np.delete(values, place)
        middle = float(np.median(others))
        spread = _SCALED * float(np.median(np.abs(others - middle)))
        found[place] = value - middle > max(_FAR * spread, _WORSE * abs(middle))
    return found


def collapse(pred: ArrayLike, truth: ArrayLike) -> Collapse:
    """Which runs of a row collapsed, and how often its system does.

    The interval of the probability is exact (Clopper and Pearson. Biometrika 26(4), 1934).

    Args:
        pred: (S, N) predictions.
        truth: (N,) labels.

    Example:
        >>> truth = np.linspace(-3, 3, 50)
        >>> found = collapse(np.stack([truth, truth * 0.9, truth * 0.01]), truth)
        >>> str(found), round(found.low, 3), round(found.high, 3)
        ('2/3 + 1 collapsed', 0.008, 0.906)
    """
    runs, labels = np.atleast_2d(np.asarray(pred, np.float64)), np.asarray(truth, np.float64)
    return collapse_of_runs([(run, labels) for run in runs])


def collapse_of_runs(runs: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> Collapse:
    """``collapse`` of runs that need not predict the same clips.

    Args:
        runs: Predictions and labels of each, (n,) float64 both.
    """
    flat = np.array([near_constant(pred, truth) for pred, truth in runs])
    costs = np.array([np.abs(pred - truth).mean() for pred, truth in runs])
    far = np.zeros_like(flat)
    far[~flat] = outlying(costs[~flat].tolist())
    bad, total = int((flat | far).sum()), len(runs)
    return Collapse(
        collapsed=tuple(np.flatnonzero(flat | far).tolist()),
        runs=total,
        low=float(betaincinv(bad, total - bad + 1, 0.025)) if bad else 0.0,
        high=float(betaincinv(bad + 1, total - bad, 0.975)) if bad < total else 1.0,
    )
