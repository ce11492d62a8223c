"""The joint distribution behind a twin, and what its signals can tell of a label.

The same object draws the clips and bounds every system that sees them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness._util.canonical import Json
from harness.data.corpus import STREAMS
from harness.data.datasets import Counts, Dataset
from harness.data.rounding import rounded
from harness.data.twins.recipe import Shift, Story

__all__ = ["CONFLICTS", "TwinLaw", "ceilings", "nuisance", "posterior"]

CONFLICTS = ("none", *STREAMS)
"""Which modality contradicts the latent sentiment; at most one per clip."""

POINTS = 500  # quantiles of the latent sentiment integrated over
VIEWS = {"text": (0,), "audio": (1,), "vision": (2,), "all": (0, 1, 2)}


@dataclass(frozen=True)
class TwinLaw:
    """The distribution of latent sentiment, label and signals in one split.

    Splits differ in their shares of negative, zero and positive clips and in nothing else.
    """

    dataset: Dataset
    story: Story
    counts: Counts

    def latent(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Quantile function of the latent sentiment, label scale, for ``u`` in (0, 1)."""
        below = self.counts.negative / self.counts.clips
        above = self.counts.positive / self.counts.clips
        story, half = self.story, self.story.grid / 2
        with np.errstate(divide="ignore", invalid="ignore"):  # a split may lack a sign or zeros
            low = 1 - u / below
            high = 1 - (1 - u) / above
            middle = (u - below) / (1 - below - above)
        return np.select(
            [u < below, u > 1 - above],
            [
                -half - (-self.dataset.low - half) * _kumaraswamy(low, *story.negative),
                half + (self.dataset.high - half) * _kumaraswamy(high, *story.positive),
            ],
            half * (2 * middle - 1),
        )

    def label(self, latent: NDArray[np.float64]) -> NDArray[np.float64]:
        """``latent`` rounded to the label grid, within the label range."""
        steps = np.floor(latent / self.story.grid + 0.5)
        inside = np.clip(steps * self.story.grid, self.dataset.low, self.dataset.high)
        return rounded(inside) + 0.0  # no negative zero

    def shown(
        self, latent: NDArray[np.float64], conflict: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """(n, 3) signals without error; ``conflict`` (n,) indexes ``CONFLICTS``."""
        sign = np.where(conflict[:, None] == np.arange(1, 4), -1.0, 1.0)
        gain = np.array(self.story.reliability) / self.story.spread
        return np.asarray(sign * gain * latent[:, None])

    def errors(self, normals: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 3) errors made of independent standard normals (n, 3)."""
        factor = np.linalg.cholesky(self.error_covariance)
        return np.asarray((normals[:, None, :] * factor).sum(axis=2))

    @property
    def error_covariance(self) -> NDArray[np.float64]:
        """(3, 3) covariance of the errors; with it a signal has about unit variance."""
        ta, tv, av = self.story.errors
        correlation = np.array([[1.0, ta, tv], [ta, 1.0, av], [tv, av, 1.0]])
        size = np.sqrt(1 - np.square(self.story.reliability))
        return np.asarray(size[:, None] * correlation * size)

    @property
    def conflict_shares(self) -> NDArray[np.float64]:
        """(4,) probability of each entry of ``CONFLICTS``."""
        share = self.story.conflict
        return np.array([1 - share, share / 3, share / 3, share / 3])


def _kumaraswamy(u: NDArray[np.float64], a: float, b: float) -> NDArray[np.float64]:
    """Quantile function of the Kumaraswamy distribution on [0, 1]."""
    return (1 - (1 - np.clip(u, 0.0, 1.0)) ** (1 / b)) ** (1 / a)


def nuisance(
    shift: Shift, latent: NDArray[np.float64], normals: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n,) the nuisance for latent sentiments (n,) in units of a signal, normals (n,)."""
    return np.asarray(shift.strength * latent + np.sqrt(1 - shift.strength**2) * normals)


def posterior(
    law: TwinLaw,
    signals: NDArray[np.float64],
    view: Sequence[int] = VIEWS["all"],
    *,
    shift: Shift | None = None,
    seen: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Posterior mean and median of the label given the signals of its clip.

    Args:
        law: The distribution of the split the clips come from.
        signals: (N, 3) signals.
        view: Which of text 0, audio 1, vision 2 are seen.
        shift: How the nuisance is believed to come about, where it is seen too.
        seen: (N,) the nuisance.

    Returns:
        Means (N,) and medians (N,).
    """
    latent = law.latent((np.arange(POINTS) + 0.5) / POINTS)
    weights = _likelihood(law, signals, latent, view)
    if shift is not None and seen is not None:
        error = seen[:, None] - shift.strength * latent / law.story.spread
        weights *= np.exp(-(error**2) / (2 * (1 - shift.strength**2)))
    weights /= weights.sum(axis=1, keepdims=True)
    labels = law.label(latent)
    middle = (weights.cumsum(axis=1) < 0.5).sum(axis=1).clip(max=POINTS - 1)
    return weights @ labels, labels[middle]


def _likelihood(
    law: TwinLaw, signals: NDArray[np.float64], latent: NDArray[np.float64], view: Sequence[int]
) -> NDArray[np.float64]:
    """(N, POINTS) density of the seen signals up to a constant, mixed over conflicts."""
    whiten = np.linalg.inv(np.linalg.cholesky(law.error_covariance[np.ix_(view, view)]))
    seen = signals[:, view] @ whiten.T
    density = np.zeros((len(signals), len(latent)))
    for kind, share in enumerate(law.conflict_shares):
        centre = law.shown(latent, np.full(len(latent), kind))[:, view] @ whiten.T
        squared = (seen**2).sum(axis=1)[:, None] - 2 * seen @ centre.T + (centre**2).sum(axis=1)
        density += share * np.exp(-squared / 2)
    return density


def ceilings(
    law: TwinLaw,
    signals: NDArray[np.float64],
    labels: NDArray[np.float64],
    train_mean: float,
    *,
    shift: Shift | None = None,
    seen: NDArray[np.float64] | None = None,
) -> dict[str, Json]:
    """MAE of the posterior median and Pearson r of the posterior mean, per view.

    Args:
        law: The distribution of the scored split.
        signals: (N, 3) signals.
        labels: (N,) labels scored against.
        train_mean: Mean training label, the constant baseline (its Corr is undefined).
        shift: The nuisance of this domain, if any. It adds two views: ``all, nuisance known``, and
            ``all, nuisance mistaken`` for one of the opposite sign.
        seen: (N,) the nuisance.
    """
    found: dict[str, Json] = {
        name: _best(labels, posterior(law, signals, view)) for name, view in VIEWS.items()
    }
    if shift is not None:
        mistaken = replace(shift, strength=-shift.strength)
        for name, believed in (("known", shift), ("mistaken", mistaken)):
            both = posterior(law, signals, shift=believed, seen=seen)
            found[f"all, nuisance {name}"] = _best(labels, both)
    found["train_mean"] = {"mae": _mae(labels, np.full_like(labels, train_mean)), "corr": None}
    return found


def _best(
    labels: NDArray[np.float64], estimates: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> dict[str, Json]:
    mean, median = estimates
    corr = float(np.corrcoef(labels, mean)[0, 1])
    return {"mae": _mae(labels, median), "corr": round(corr, 4)}


def _mae(labels: NDArray[np.float64], predicted: NDArray[np.float64]) -> float:
    return round(float(np.abs(labels - predicted).mean()), 4)
