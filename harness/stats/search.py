"""What a search for hyper-parameters may be expected to find with k trials.

N trials that were run stand for all that could be drawn: k of them are drawn anew, with
replacement, and the best on validation clips is kept. Its expected validation score is that of the
best of k; its expected test score is what such a search reports; choosing on test clips instead
shows how much that flatters.

Source:
    Dodge, Gururangan, Card, Schwartz, Smith. Show Your Work: Improved Reporting of Experimental
    Results. EMNLP 2019.

Shapes: N trials, K numbers of trials, B bootstrap draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.errors import SpecError

__all__ = ["BestOf", "Influence", "best_of", "influence"]

_DRAWS = 2000
_LEVEL = 95.0  # per cent, of intervals
_BINS = 4  # that a numeric parameter is cut into
_IN_BIN = 4  # trials that a bin should have
_SHUFFLES = 500


@dataclass(frozen=True, kw_only=True)
class BestOf:
    """What the best of k trials is expected to have.

    Args:
        k: Trials.
        value: Expectation; NaN where it is undefined.
        low: Lower end of its 95 % bootstrap interval over the trials.
        high: Upper end.
    """

    k: int
    value: float
    low: float
    high: float


def best_of(
    costs: ArrayLike,
    values: ArrayLike,
    ks: Sequence[int],
    *,
    draws: int = _DRAWS,
    seed: int = 0,
) -> tuple[BestOf, ...]:
    """The expected value of the trial with the least cost among k drawn with replacement.

    E = Σ_i v_(i) [((N - i + 1) / N)^k - ((N - i) / N)^k], with v_(i) the value of the trial with
    the i-th least cost; equal costs share their weights. A trial without a cost (not finite) is
    drawn and spent like any other and never chosen: E is conditional on one that can be.

    Args:
        costs: (N,) what is minimised in choosing.
        values: (N,) what is reported of the chosen one.
        ks: Numbers of trials, each at least 1.
        draws: B, of the interval: trials are drawn anew, percentiles are taken.
        seed: Of the draws.

    Raises:
        SpecError: For no trials, other shapes, or a k below 1.

    Example:
        >>> [found.value for found in best_of([1.0, 2.0], [1.0, 2.0], [1, 2], draws=10)]
        [1.5, 1.25]
    """
    cost, value = np.asarray(costs, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if cost.ndim != 1 or cost.shape != value.shape or not len(cost):
        raise SpecError(f"expected N costs and N values, found {cost.shape} and {value.shape}")
    if not ks or min(ks) < 1:
        raise SpecError(f"the best of k trials takes k of at least 1, found {list(ks)}")
    cost = np.where(np.isfinite(cost) & np.isfinite(value), cost, np.inf)
    whole = _expected(cost[None], value[None], ks)[0]  # (K,)
    rng = np.random.default_rng(seed)
    picks = rng.integers(0, len(cost), (draws, len(cost)))  # (B, N)
    found = _expected(cost[picks], value[picks], ks)  # (B, K)
    rest = (100 - _LEVEL) / 2
    low, high = _percentiles(found, (rest, 100 - rest))
    return tuple(
        BestOf(k=k, value=float(e), low=float(a), high=float(b))
        for k, e, a, b in zip(ks, whole, low, high, strict=True)
    )


def _percentiles(
    found: NDArray[np.float64], which: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two percentiles of each column, over draws that have a value."""
    there = np.isfinite(found).all(axis=1)
    if not there.any():
        nothing = np.full(found.shape[1], np.nan)
        return nothing, nothing
    low, high = np.percentile(found[there], which, axis=0)
    return low, high


def _expected(
    costs: NDArray[np.float64], values: NDArray[np.float64], ks: Sequence[int]
) -> NDArray[np.float64]:
    """(B, N), (B, N) -> (B, K)."""
    n = costs.shape[1]
    order = np.argsort(costs, axis=1, kind="stable")
    sorted_costs = np.take_along_axis(costs, order, axis=1)
    sorted_values = np.take_along_axis(values, order, axis=1)
    counts = np.isfinite(sorted_costs).sum(axis=1)  # (B,)
    first, last = _ties(sorted_costs)  # (B, N) places of the first and behind the last equal
    usable = np.isfinite(sorted_costs)
    found = np.empty((len(costs), len(ks)))
    for place, k in enumerate(ks):
        survival = (np.arange(n, -1, -1) / n) ** k  # (N + 1,) that all k are at place i or later
        shared = (survival[first] - survival[last]) / (last - first)  # (B, N)
        weights = np.where(usable, shared, 0.0)
        reach = 1.0 - survival[counts]  # (B,) that at least one of k can be chosen
        total = (weights * np.where(usable, sorted_values, 0.0)).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            found[:, place] = total / reach
    return found


def _ties(costs: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For each place of sorted rows, where its equal costs begin, and where they have ended."""
    rows, n = costs.shape
    starts = np.ones((rows, n), dtype=bool)
    starts[:, 1:] = costs[:, 1:] != costs[:, :-1]
    places = np.arange(n)
    first = np.maximum.accumulate(np.where(starts, places, 0), axis=1)
    ends = np.ones((rows, n), dtype=bool)
    ends[:, :-1] = starts[:, 1:]
    last = np.minimum.accumulate(np.where(ends, places + 1, n)[:, ::-1], axis=1)[:, ::-1]
    return first, last


@dataclass(frozen=True, kw_only=True)
class Influence:
    """How much of a search's outcome one parameter explains by itself.

    Args:
        share: Of the variance of the trials' ranks, adjusted for the number of groups, at least 0.
        chance: What a parameter without influence stays below in 95 of 100 cases.
    """

    share: float
    chance: float


def influence(levels: Sequence[object], costs: ArrayLike, *, seed: int = 0) -> Influence:
    """One parameter's share of the variance of the ranks of costs: adjusted η², ε².

    ε² = 1 - (1 - η²) (N - 1) / (N - G), with G groups: the values of the parameter, or, where
    they are more than a quarter of the trials and numbers, up to four equal parts of their order.

    Args:
        levels: N values of the parameter.
        costs: (N,) finite.
        seed: Of the shuffles that say what chance gives.

    Raises:
        SpecError: For other lengths or costs that are not finite.

    Example:
        >>> influence([1, 1, 1, 1, 2, 2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8]).share > 0.7
        True

    Source:
        Kelley. An unbiased correlation ratio measure. PNAS 21(9), 1935.
    """
    cost = np.asarray(costs, dtype=np.float64)
    if cost.shape != (len(levels),) or not np.isfinite(cost).all():
        raise SpecError("expected one finite cost per value of the parameter")
    groups = _groups(levels)
    count = int(groups.max(initial=0)) + 1
    if count < 2 or len(cost) <= count:
        return Influence(share=0.0, chance=0.0)
    ranks = _ranks(cost)
    rng = np.random.default_rng(seed)
    shuffled = [_epsilon(groups, rng.permutation(ranks), count) for _ in range(_SHUFFLES)]
    return Influence(
        share=max(0.0, _epsilon(groups, ranks, count)),
        chance=max(0.0, float(np.percentile(shuffled, _LEVEL))),
    )


def _groups(levels: Sequence[object]) -> NDArray[np.intp]:
    """(N,) number of the group of each trial."""
    known = {level: place for place, level in enumerate(dict.fromkeys(levels))}
    numbers = [level for level in levels if isinstance(level, int | float)]
    if len(known) * _IN_BIN <= len(levels) or len(numbers) < len(levels):
        return np.array([known[level] for level in levels], dtype=np.intp)
    ranks = _ranks(np.asarray(numbers, dtype=np.float64))  # equal values stay together
    bins = max(2, min(_BINS, len(levels) // _IN_BIN))
    found: NDArray[np.intp] = np.minimum((ranks * bins / len(levels)).astype(np.intp), bins - 1)
    return np.unique(found, return_inverse=True)[1].astype(np.intp)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mid-ranks from 0."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    before = np.concatenate([[0], np.cumsum(counts)[:-1]])
    ranks: NDArray[np.float64] = (before + (counts - 1) / 2)[place]
    return ranks


def _epsilon(groups: NDArray[np.intp], ranks: NDArray[np.float64], count: int) -> float:
    total = float(((ranks - ranks.mean()) ** 2).sum())
    if not total:
        return 0.0
    sizes = np.bincount(groups, minlength=count)
    means = np.bincount(groups, ranks, minlength=count) / np.maximum(sizes, 1)
    between = float((sizes * (means - ranks.mean()) ** 2).sum())
    n = len(ranks)
    return 1.0 - (1.0 - between / total) * (n - 1) / (n - count)
