"""One metric under many conditions: every cell, areas, the worst cell, resampled together.

In a draw, all conditions see the same source videos and, for one system, the same seeds: the runs
of a seed answer every cell from one checkpoint. An area is a mean over cells, draw by draw.

Shapes: S seeds, C conditions, N clips, V source videos, D draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from harness._util.seeds import derive
from harness.data.split_labels import SplitLabels
from harness.errors import SpecError
from harness.metrics import Metric, Values, prepare
from harness.stats.distribution import Distribution
from harness.stats.resample import Clusters, counts, sums_of

__all__ = ["Extreme", "Sample", "Surface", "largest", "sample"]

_CELLS = 16  # conditions whose draws are in memory at once, before they are averaged over seeds


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """The labels of a split and the draws of its videos, shared by every system.

    Args:
        truth: Of N clips.
        clusters: (N,) source video of each clip, 0 to V - 1.
        videos: (D, V) how often each was drawn.
        seed: Of the resampling.
    """

    truth: SplitLabels
    clusters: Clusters
    videos: Values = field(repr=False)
    seed: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Surface:
    """A system in one metric.

    Args:
        values: (C,) mean over seeds, NaN where undefined.
        drawn: (C, D) the same of each draw.
    """

    values: Values
    drawn: Values = field(repr=False)

    @classmethod
    def of(cls, name: str, pred: Values, metric: Metric, among: Sample) -> Surface:
        """The surface of one system; what is drawn for it does not depend on the others.

        Args:
            name: Of the system.
            pred: (S, C, N) predictions.
            metric: One that is a function of sums over clips: MAE, Corr, accuracies, F1.
            among: The split.

        Raises:
            SpecError: For a metric of ranks.
        """
        seeds, cells, _ = pred.shape
        child = derive(among.seed, "surface", name.replace("\x1f", " "))
        times = counts(seeds, len(among.videos), np.random.default_rng(child)) / seeds  # (D, S)
        starts = range(0, cells, _CELLS)
        parts = [_cells(pred[:, at : at + _CELLS], metric, among, times) for at in starts]
        return cls(
            values=np.concatenate([values for values, _ in parts]),
            drawn=np.concatenate([drawn for _, drawn in parts]),
        )

    def area(self, places: Sequence[int]) -> tuple[float, Values]:
        """Mean over cells: observed, and (D,) of each draw; NaN where any cell is undefined."""
        chosen = list(places)
        return float(self.values[chosen].mean()), np.asarray(self.drawn[chosen].mean(axis=0))

    def interval(self, places: Sequence[int]) -> tuple[float, float]:
        """95 % interval of an area."""
        return Distribution(_defined(self.area(places)[1])).interval()


def sample(truth: SplitLabels, draws: int = 10_000, seed: int = 0) -> Sample:
    """Prepare a split for surfaces.

    Args:
        truth: Its labels.
        draws: D.
        seed: Of the resampling.

    Raises:
        SubmissionError: When labels leave the dataset's scale.
    """
    prepare(truth.labels, truth.labels, truth.dataset)
    names, clusters = np.unique(truth.videos, return_inverse=True)  # (V,), (N,)
    generator = np.random.default_rng(derive(seed, "surface videos", truth.dataset.name))
    return Sample(
        truth=truth,
        clusters=clusters,
        videos=counts(names.size, draws, generator),
        seed=seed,
    )


def _cells(pred: Values, metric: Metric, among: Sample, times: Values) -> tuple[Values, Values]:
    """(c,) observed and (c, D) drawn means over seeds of some conditions."""
    seeds, cells, clips = pred.shape
    runs = pred.reshape(seeds * cells, clips).astype(np.float64)  # (S*c, N)
    truth = among.truth
    sums = sums_of(runs, truth.labels, among.clusters, metric.on(truth.dataset))
    if sums is None:
        raise SpecError(
            f"{metric.name} is no function of sums over clips: nothing resamples it under"
            " hundreds of conditions",
            hint="--metric mae",
        )
    everything = np.ones((1, among.videos.shape[1]))  # (1, V): the videos as observed
    values = sums(everything).reshape(seeds, cells).mean(axis=0)  # (c,)
    drawn = sums(among.videos).reshape(-1, seeds, cells)  # (D, S, c)
    return values, np.einsum("ds,dsc->cd", times, drawn)  # draw d's mean over its own seeds


def _defined(draws: Values) -> Values:
    return draws[np.isfinite(draws)]


@dataclass(frozen=True, kw_only=True)
class Extreme:
    """The largest of several quantities, with an interval for the largest true one."""

    place: int
    """Which is largest as observed."""
    value: float
    low: float
    high: float


def largest(values: Values, drawn: Values, alpha: float = 0.05) -> Extreme:
    """The largest of C quantities that were resampled together.

    The percentiles of the largest drawn value would not do: it is too large on average. Instead
    all C quantities get one simultaneous band, value ± q times standard error, with q the 1 - alpha
    quantile of the largest studentised deviation; the largest true quantity then lies between the
    largest lower and the largest upper end with probability 1 - alpha at least.

    Args:
        values: (C,) observed.
        drawn: (C, D) of each draw.
        alpha: Probability of missing it.

    Returns:
        NaN all over when any quantity is undefined.

    Example:
        >>> drawn = np.random.default_rng(0).normal(size=(3, 4000))
        >>> found = largest(np.array([0.0, 5.0, 1.0]), drawn + [[0.0], [5.0], [1.0]])
        >>> found.place, found.low < 5.0 < found.high
        (1, True)
    """
    if not np.isfinite(values).all():
        return Extreme(place=0, value=math.nan, low=math.nan, high=math.nan)
    drawn = drawn[:, np.isfinite(drawn).all(axis=0)]  # draws in which all are defined
    error = drawn.std(axis=1)  # (C,)
    away = np.abs(drawn - values[:, None])  # (C, D)
    scaled = np.divide(away, error[:, None], out=np.zeros_like(away), where=error[:, None] > 0)
    reach = float(np.quantile(scaled.max(axis=0), 1 - alpha))  # q, one for all C
    place = int(np.argmax(values))
    return Extreme(
        place=place,
        value=float(values[place]),
        low=float((values - reach * error).max()),
        high=float((values + reach * error).max()),
    )
