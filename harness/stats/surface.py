"""One metric under many conditions: every cell, areas, the worst cell.

The runs of a seed answer every cell from one checkpoint, on the same source videos: an area, which
is a mean over cells, is estimated from pseudo-values averaged over its cells, run by run and video
by video. What varies with the cells drops out of an area as far as it does.

Shapes: S seeds, C conditions, N clips, V source videos, D draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import ndtr

from harness._util.seeds import derive
from harness.data.split_labels import SplitLabels
from harness.errors import SpecError
from harness.metrics import Metric, Values, prepare
from harness.stats.estimate import Estimate, estimate
from harness.stats.jackknife import pseudo_values_of
from harness.stats.sums import Clusters, sums_of

__all__ = ["Extreme", "Sample", "Surface", "largest", "sample"]

_DRAWS = 10_000
_TEST = "test"


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """The labels of a split and its source videos, shared by every system.

    Args:
        truth: Of N clips.
        clusters: (N,) source video of each clip, 0 to V - 1.
        sizes: (V,) clips of each video.
    """

    truth: SplitLabels
    clusters: Clusters
    sizes: Values


@dataclass(frozen=True, kw_only=True, eq=False)
class Surface:
    """A system in one metric.

    Args:
        name: Of the system.
        runs: (S, C) the metric of every run under every condition, NaN where undefined.
        pseudo: (S, C, V) its pseudo-values.
        sizes: (V,) clips of each video.
    """

    name: str
    runs: Values
    pseudo: Values = field(repr=False)
    sizes: Values = field(repr=False)

    @classmethod
    def of(cls, name: str, pred: Values, metric: Metric, among: Sample) -> Surface:
        """The surface of one system.

        Args:
            name: Of the system.
            pred: (S, C, N) predictions.
            metric: One that is a function of sums over clips: MAE, Corr, accuracies, F1.
            among: The split.

        Raises:
            SpecError: For a metric of ranks.
        """
        seeds, cells, clips = pred.shape
        truth = among.truth
        flat = pred.reshape(seeds * cells, clips).astype(np.float64)  # (S*C, N)
        sums = sums_of(flat, truth.labels, among.clusters, metric.on(truth.dataset))
        if sums is None:
            raise SpecError(
                f"{metric.name} is no function of sums over clips: nothing leaves out videos under"
                " hundreds of conditions",
                hint="--metric mae",
            )
        values, pseudo = pseudo_values_of(sums)  # (S*C,), (S*C, V)
        return cls(
            name=name,
            runs=values.reshape(seeds, cells),
            pseudo=pseudo.reshape(seeds, cells, -1),
            sizes=among.sizes,
        )

    @property
    def values(self) -> Values:
        """(C,) mean over seeds, NaN where undefined."""
        return np.asarray(self.runs.mean(axis=0))

    def area(self, places: Sequence[int]) -> Estimate:
        """Mean over cells; undefined where any cell is."""
        chosen = list(places)
        return estimate(
            self.runs[:, chosen].mean(axis=1),
            self.pseudo[:, chosen].mean(axis=1),
            self.sizes,
            runs=self.name,
            videos=_TEST,
        )

    def only(self, places: Sequence[int]) -> Surface:
        """These cells alone."""
        chosen = list(places)
        return Surface(
            name=self.name,
            runs=self.runs[:, chosen],
            pseudo=self.pseudo[:, chosen],
            sizes=self.sizes,
        )


def sample(truth: SplitLabels) -> Sample:
    """Prepare a split for surfaces.

    Raises:
        SubmissionError: When labels leave the dataset's scale.
    """
    prepare(truth.labels, truth.labels, truth.dataset)
    _, clusters, sizes = np.unique(truth.videos, return_inverse=True, return_counts=True)
    return Sample(truth=truth, clusters=clusters, sizes=sizes.astype(np.float64))


@dataclass(frozen=True, kw_only=True)
class Extreme:
    """The largest of several quantities, with an interval for the largest true one."""

    place: int
    """Which is largest as observed."""
    value: float
    low: float
    high: float


def largest(estimates: Sequence[Estimate], alpha: float = 0.05, seed: int = 0) -> Extreme:
    """The largest of C quantities that share runs, or videos, or both.

    The interval of the largest observed one would not do: it is too large on average. Instead all
    C quantities get a band each, together at level 1 - alpha: the level of a single interval is
    raised until Gaussian draws with the estimates' covariance all lie inside theirs often enough.
    The largest true quantity then lies between the largest lower and the largest upper end.

    Args:
        estimates: C of them.
        alpha: Probability of missing the largest true one.
        seed: Of what is drawn.

    Returns:
        NaN all over when any quantity is undefined.
    """
    values = np.array([one.value for one in estimates])  # (C,)
    if not np.isfinite(values).all():
        return Extreme(place=0, value=math.nan, low=math.nan, high=math.nan)
    level = _single_level(estimates, alpha, seed)
    reach = np.array([one.reference.reach(level) for one in estimates])
    place = int(np.argmax(values))
    return Extreme(
        place=place,
        value=float(values[place]),
        low=float((values - reach).max()),
        high=float((values + reach).max()),
    )


def _single_level(estimates: Sequence[Estimate], alpha: float, seed: int) -> float:
    """Level of single intervals that all hold at once with probability 1 - alpha."""
    parts = [
        {("runs", name): part.deviation for name, part in one.runs.items()}
        | {("videos", name): part.influence for name, part in one.videos.items()}
        for one in estimates
    ]
    drawn = np.zeros((_DRAWS, len(estimates)))  # (D, C)
    for key in dict.fromkeys(key for own in parts for key in own):
        size = max(own[key].size for own in parts if key in own)
        weights = np.random.default_rng(derive(seed, "largest", *key)).normal(size=(_DRAWS, size))
        for column, own in zip(drawn.T, parts, strict=True):
            if key in own and own[key].size:
                column += weights @ own[key]
    spread = drawn.std(axis=0)
    scaled = np.divide(np.abs(drawn), spread, out=np.zeros_like(drawn), where=spread > 0)
    reach = float(np.quantile(scaled.max(axis=1), 1.0 - alpha))
    return max(1.0 - alpha, 1.0 - 2.0 * float(ndtr(-reach)))
