"""BCa: bias correction and acceleration of a bootstrap over seeds and source videos.

The bias correction is the normal quantile of the share of draws below the estimate. The
acceleration is the skewness of the jackknife's influence values: one source video left out for both
systems, or one seed of one system. With u the deviation of the estimate without a unit from the
mean of its kind, times (n - 1) / n of the n units of that kind,

    a = Σ u³ / (6 (Σ u²)^1.5)

over the units of all kinds: a difference has several samples, the videos and each system's seeds.

Source:
    Efron. Better bootstrap confidence intervals. JASA 82(397), 1987; several samples as in Efron
    and Tibshirani, An Introduction to the Bootstrap, 1993.

Shapes: V source videos, S seeds, D draws.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from harness.metrics import Values
from harness.stats.distribution import Distribution
from harness.stats.resample import Evaluate

__all__ = ["acceleration", "bias", "corrected", "left_out"]

_EQUAL = 1e-12  # what summing in another order may change


def corrected(
    draws: Values, estimate: float, a: Evaluate, b: Evaluate, videos: int
) -> Distribution:
    """Draws of A - B with the corrections of BCa.

    Args:
        draws: (D,) finite differences.
        estimate: The observed difference, finite.
        a: Metric of A for video weights.
        b: Metric of B.
        videos: V, at least 2.
    """
    without_video, without_seed = zip(*(left_out(f, videos) for f in (a, b)), strict=True)
    # B enters with a minus sign: its seeds move the difference the other way.
    kinds = (without_video[0] - without_video[1], without_seed[0], -without_seed[1])
    return Distribution(draws, bias(draws, estimate), acceleration(kinds))


def left_out(evaluate: Evaluate, videos: int) -> tuple[Values, Values]:
    """Mean over seeds without each video (V,), and without each seed (S,).

    A single run has no seed to leave out: the second array is empty.
    """
    without_video = evaluate(1.0 - np.eye(videos)).mean(axis=1)  # row v leaves video v out
    (runs,) = evaluate(np.ones((1, videos)))  # (S,)
    if runs.size == 1:
        return without_video, np.empty(0)
    return without_video, (runs.sum() - runs) / (runs.size - 1)


def bias(draws: Values, estimate: float) -> float:
    """z0: normal quantile of the share of draws below the estimate, ties half.

    It stays finite when all draws lie on one side: one more draw is thought to lie on the other.
    """
    gap = draws - estimate
    share = float(np.mean((gap < -_EQUAL) + 0.5 * (np.abs(gap) <= _EQUAL)))
    end = 1.0 / (1.0 + draws.size)
    return float(ndtri(min(max(share, end), 1.0 - end)))


def acceleration(kinds: Sequence[Values]) -> float:
    """A: a sixth of the skewness of influence values, 0 when nothing has any influence.

    Args:
        kinds: Per kind of unit, (n,) estimates with one unit left out; undefined ones are skipped.
    """
    influence = np.concatenate([_influence(values[np.isfinite(values)]) for values in kinds])
    squares = float((influence**2).sum())
    return float((influence**3).sum()) / (6.0 * squares**1.5) if squares > _EQUAL**2 else 0.0


def _influence(values: Values) -> Values:
    if not values.size:
        return values
    influence: Values = (values.mean() - values) * (values.size - 1) / values.size
    return influence
