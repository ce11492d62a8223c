"""Clips as test items: how hard each is, how well it tells good systems from bad, whom it parts.

A test of N clips that M systems took is a matrix of errors, and classical test theory reads it by
its columns. All questions are about a clip as it is; what is new are systems and seeds, never the
clip, so that no source video is resampled. Systems count alike, whatever their numbers of runs.

Intervals are 95 % each. Whoever looks at the largest of N values looks at their noise, too: what is
hardest of many is on average a little less hard than it looks.

Sources:
    Lord, Novick. Statistical Theories of Mental Test Scores. Addison-Wesley, 1968: difficulty, and
    discrimination as a regression on what the other items say.
    Hoyt. Psychometrika 6(3), 1941, and Cronbach. Psychometrika 16(3), 1951: reliability.
    Welch. Biometrika 34, 1947: difference of two means with unequal variances.

Shapes: M systems, S runs of one system, N clips.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from harness.errors import SpecError
from harness.metrics import Values
from harness.stats.multiple import benjamini_hochberg

__all__ = [
    "Bounded",
    "Parting",
    "against",
    "difficulty",
    "discrimination",
    "parting",
    "reliability",
]

_LEVEL = 0.95
_NOTHING = 1e-12  # a spread below it is what summing in another order leaves


@dataclass(frozen=True, eq=False)
class Bounded:
    """A value per clip and its 95 % interval, NaN where there is none.

    Args:
        value: (N,).
        low: (N,).
        high: (N,).
    """

    value: Values
    low: Values
    high: Values


@dataclass(frozen=True, kw_only=True, eq=False)
class Parting:
    """How far the errors of two systems lie apart on each clip.

    Args:
        difference: A - B: negative where A is closer to the label.
        p: (N,) of a true difference of zero over new seeds; NaN where nothing tells how seeds vary.
        q: (N,) the same, corrected over all clips by Benjamini and Hochberg: of the clips below
            .05, at most one in twenty is expected to be there by chance.
    """

    difference: Bounded
    p: Values
    q: Values


def difficulty(errors: ArrayLike) -> Bounded:
    """Mean error on each clip over systems, with the interval for new systems like these.

    Args:
        errors: (M, N) error of each system, not negative, the mean over its runs; or (S, N) of the
            runs of one system, and the interval is for new seeds of it.

    Returns:
        Student's t over the M values of each clip; of one value no interval.

    Example:
        >>> found = difficulty([[1.0, 0.2], [2.0, 0.2], [3.0, 0.2]])
        >>> found.value.round(2).tolist(), found.low.round(2).tolist()
        ([2.0, 0.2], [0.0, 0.2])
    """
    values = _matrix(errors)
    count = len(values)
    mean = values.mean(axis=0)
    if count < 2:
        return _unbounded(mean)
    reach = _t(count - 1) * values.std(axis=0, ddof=1) / math.sqrt(count)
    return Bounded(mean, (mean - reach).clip(min=0.0), mean + reach)  # no error is negative


def discrimination(errors: ArrayLike, clusters: ArrayLike) -> Bounded:
    """How much more a clip's error is where a system's error on other clips is more by one.

    The slope of the regression, over systems, of the error on the clip on the mean error on the
    clips of all other source videos: 1 for a clip that follows the whole test, 0 for one that says
    nothing about systems, negative where better systems do worse, as with a wrong label.

    Args:
        errors: (M, N) error of each system, the mean over its runs.
        clusters: (N,) source video of each clip.

    Returns:
        Slopes with their t intervals of M - 2 degrees of freedom: NaN below three systems, and
        where all have the same error on the other clips.
    """
    values = _matrix(errors)
    systems, clips = values.shape
    names, videos, sizes = np.unique(np.asarray(clusters), return_inverse=True, return_counts=True)
    if systems < 3 or names.size < 2:
        return _unbounded(np.full(clips, math.nan))
    of_videos = np.stack([np.bincount(videos, row) for row in values])  # (M, V)
    others = (values.sum(axis=1, keepdims=True) - of_videos) / (clips - sizes)  # (M, V)
    x = (others - others.mean(axis=0))[:, videos]  # (M, N)
    y = values - values.mean(axis=0)
    squares = (x**2).sum(axis=0)
    squares[squares < _NOTHING] = math.nan
    slope = (x * y).sum(axis=0) / squares
    rest = ((y - slope * x) ** 2).sum(axis=0) / (systems - 2)
    reach = _t(systems - 2) * np.sqrt(rest / squares)
    return Bounded(slope, slope - reach, slope + reach)


def reliability(errors: ArrayLike) -> float:
    """Share of what clips seem to differ by in difficulty that other systems like these would see.

    Args:
        errors: (M, N) error of each system, the mean over its runs.

    Returns:
        Cronbach's alpha with systems as the items: 1 where all order clips alike, about 0 where
        they have nothing in common, below it where they contradict each other. NaN below two
        systems or clips, or where no clip is harder than another.

    Example:
        >>> round(reliability([[1.0, 2.0, 3.0], [1.5, 2.5, 3.5]]), 6)
        1.0
    """
    values = _matrix(errors)
    systems, clips = values.shape
    if systems < 2 or clips < 2:
        return math.nan
    whole = values.sum(axis=0).var(ddof=1)
    if whole < _NOTHING:
        return math.nan
    own = values.var(axis=1, ddof=1).sum()
    return float(systems / (systems - 1) * (1.0 - own / whole))


def parting(
    errors_a: ArrayLike, errors_b: ArrayLike, *, still: tuple[bool, bool] = (False, False)
) -> Parting:
    """Errors of A less those of B on each clip, over new seeds of both.

    Args:
        errors_a: (S_a, N) of the runs of A.
        errors_b: (S_b, N) of the runs of B.
        still: Of which no seed changes anything.

    Returns:
        Welch's t per clip; no interval where a system that seeds change has one run. Where no seed
        changes either, the difference is what it is: its interval is a point, and it has no p.
    """
    sides = [_matrix(errors) for errors in (errors_a, errors_b)]
    effect = sides[0].mean(axis=0) - sides[1].mean(axis=0)
    nothing = np.full_like(effect, math.nan)
    if all(still):
        return Parting(difference=Bounded(effect, effect, effect), p=nothing, q=nothing)
    varying = [side for side, same in zip(sides, still, strict=True) if not same]
    if any(len(side) < 2 for side in varying):
        return Parting(difference=_unbounded(effect), p=nothing, q=nothing)
    squares = np.stack([side.var(axis=0, ddof=1) / len(side) for side in varying])  # (sides, N)
    freedom = np.array([[len(side) - 1.0] for side in varying])
    total = squares.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        degrees = total**2 / (squares**2 / freedom).sum(axis=0)
        p = 2.0 * stats.t.sf(np.abs(effect) / np.sqrt(total), degrees)
    same = total < _NOTHING**2
    p = np.where(same, np.where(np.abs(effect) < _NOTHING, 1.0, 0.0), p)
    reach = np.where(same, 0.0, stats.t.ppf((1.0 + _LEVEL) / 2.0, degrees) * np.sqrt(total))
    return Parting(
        difference=Bounded(effect, effect - reach, effect + reach), p=p, q=benjamini_hochberg(p)
    )


def against(runs: Sequence[ArrayLike], truth: ArrayLike) -> NDArray[np.bool_]:
    """Which clips every run of every system puts on the other side of zero than their label.

    Args:
        runs: Of each system the (S, N) predictions.
        truth: (N,) labels. One of zero has no side.

    Example:
        >>> against([[[0.4, -0.1]], [[0.2, 0.3], [0.9, 0.1]]], [-1.0, -1.0]).tolist()
        [True, False]
    """
    if not runs:
        raise SpecError("there are no systems that could agree")
    labels = np.asarray(truth, dtype=np.float64)
    every = np.concatenate([_matrix(own) for own in runs])
    return np.asarray((every * np.sign(labels) < 0).all(axis=0))


def _matrix(values: ArrayLike) -> Values:
    return np.atleast_2d(np.asarray(values, dtype=np.float64))


def _unbounded(value: Values) -> Bounded:
    nothing = np.full_like(value, math.nan)
    return Bounded(value, nothing, nothing)


def _t(degrees: int) -> float:
    return float(stats.t.ppf((1.0 + _LEVEL) / 2.0, degrees))
