"""The paired comparison of two systems: effect, interval, p-value, verdict.

The question: on new clips from new videos, trained with new seeds, is A better than B? Seeds belong
to a system, source videos are shared by both; the two-way bootstrap resamples both. The p-value
inverts the interval, percentile or BCa: p < alpha exactly when the 1 - alpha interval leaves zero
out, so a printed interval and its p never disagree. Its floor is 2 / (draws + 1).

Variation that belongs to neither a seed nor a video is counted by both factors: where nothing else
varies, the variance is up to three times too large. The test then errs on the side of no claim.

Source:
    Owen. The pigeonhole bootstrap. Annals of Applied Statistics 1(2), 2007.

Shapes: N clips, V source videos, S seeds, D draws.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from harness._util.seeds import derive
from harness.data.datasets import Dataset, datasets
from harness.errors import SpecError, SubmissionError
from harness.metrics import Metric, Score, Values, metrics, prepare
from harness.stats.bca import corrected
from harness.stats.distribution import Distribution
from harness.stats.resample import Clusters, Evaluate, counts, draw, evaluator

__all__ = ["Comparison", "Interval", "SystemPair", "Verdict", "compare", "pair"]

Interval: TypeAlias = Literal["percentile", "bca"]
_INTERVALS: Mapping[Interval, str] = {"percentile": "percentile", "bca": "BCa"}

Verdict: TypeAlias = Literal[
    "a better", "b better", "different", "negligible", "equivalent", "undecided", "undefined"
]
"""``negligible``: a difference that is significant and within the margin; ``different``: for
metrics whose best value lies inside their range."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SystemPair:
    """Two systems on the same clips, checked.

    Args:
        a: (S_a, N) predictions, float64, rounded as metrics want them.
        b: (S_b, N) predictions.
        truth: (N,) labels.
        clusters: (N,) source video of each clip, 0 to V - 1.
        videos: V.
    """

    a: Values
    b: Values
    truth: Values
    clusters: Clusters
    videos: int

    @property
    def seeds(self) -> tuple[int, int]:
        """Number of runs of A and of B."""
        return len(self.a), len(self.b)


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """What the data say about A - B in one metric."""

    metric: str
    dataset: str
    a: float
    """Metric of A, mean over its seeds."""
    b: float
    """Metric of B, mean over its seeds."""
    effect: float
    """a - b, in the metric's own units and direction; NaN when either is undefined."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end of the 95 % interval."""
    p_value: float
    """Two-sided, at least 2 / (draws + 1)."""
    standard_error: float
    """Standard deviation of the draws."""
    probability_better: float
    """Share of draws in which A is better, ties half; NaN for metrics without a direction."""
    higher_is_better: bool | None
    """None for metrics whose best value lies inside their range."""
    method: str
    draws: int
    undefined_draws: int
    """Draws in which the metric is undefined; they are left out."""
    seeds: tuple[int, int]
    videos: int
    clips: int
    conditional_on_one_run: bool
    """Whether a system has a single run: its variation over seeds is not in the interval."""
    distribution: Distribution = field(repr=False)
    """Differences of the defined draws: intervals at other levels, equivalence."""

    def verdict(self, alpha: float = 0.05, margin: float | None = None) -> Verdict:
        """One word, for one comparison by itself; correct p-values of families beforehand.

        Args:
            alpha: Level of the test of difference and of the test of equivalence.
            margin: Declared margin of the metric, None when there is none.
        """
        if math.isnan(self.p_value):
            return "undefined"
        equivalent = margin is not None and self.distribution.p_equivalence(margin) < alpha
        if self.p_value >= alpha:
            return "equivalent" if equivalent else "undecided"
        if equivalent:
            return "negligible"
        if self.higher_is_better is None:
            return "different"
        return "a better" if (self.effect > 0) == self.higher_is_better else "b better"


def compare(
    pred_a: ArrayLike,
    pred_b: ArrayLike,
    truth: ArrayLike,
    clusters: ArrayLike,
    metric: Metric | str,
    draws: int = 10_000,
    seed: int = 0,
    *,
    dataset: Dataset | str,
    interval: Interval = "percentile",
) -> Comparison:
    """Compare two systems by a two-way bootstrap over seeds and source videos.

    Args:
        pred_a: (S_a, N) predictions of A, one row per seed, or (N,) for a single run.
        pred_b: (S_b, N) predictions of B on the same clips; S_b may differ from S_a.
        truth: (N,) labels.
        clusters: (N,) source video of each clip, as text or integers.
        metric: A metric or its name.
        draws: D, at least 100.
        seed: Of the resampling. The same seed draws the same videos for every metric and system.
        dataset: A dataset or its name; it decides the metric's definition.
        interval: ``percentile``, or ``bca``: corrected for bias and skewness.

    Returns:
        The comparison; everything is NaN where the metric of a system is undefined.

    Raises:
        SubmissionError: For arrays that do not fit together, or fewer than two source videos.
        SpecError: For an unknown metric, dataset or interval, or too few draws.

    Example:
        >>> truth, videos = np.linspace(-3, 3, 60), np.repeat(np.arange(20), 3)
        >>> found = compare(truth, -truth, truth, videos, "mae", draws=200, dataset="mosi")
        >>> found.verdict(), found.conditional_on_one_run
        ('a better', True)
    """
    if draws < 100:
        raise SpecError(f"a comparison takes at least 100 draws, found {draws}")
    if interval not in _INTERVALS:
        raise SpecError(f"intervals are {' and '.join(_INTERVALS)}, found {interval!r}")
    known = datasets[dataset] if isinstance(dataset, str) else dataset
    chosen = metrics[metric] if isinstance(metric, str) else metric
    both = pair(pred_a, pred_b, truth, clusters, known)
    values, difference, systems = _bootstrap(both, chosen.on(known), draws, seed)
    effect = values[0] - values[1]
    defined = difference[np.isfinite(difference) & math.isfinite(effect)]
    if interval == "bca" and defined.size:
        distribution = corrected(defined, effect, *systems, both.videos)
    else:
        distribution = Distribution(defined)
    return _summary(both, chosen, known, values, distribution, draws, interval)


def pair(
    pred_a: ArrayLike, pred_b: ArrayLike, truth: ArrayLike, clusters: ArrayLike, dataset: Dataset
) -> SystemPair:
    """Check two systems' predictions and put them in one shape; arguments as for ``compare``.

    Raises:
        SubmissionError: For arrays that do not fit together, or fewer than two source videos.
    """
    a, labels = _runs("A", pred_a, truth, dataset)
    b, _ = _runs("B", pred_b, truth, dataset)
    groups = np.asarray(clusters)
    if groups.shape != labels.shape:
        raise SubmissionError(
            f"expected one source video per clip, found shape {groups.shape} for"
            f" {labels.size} clips"
        )
    names, index = np.unique(groups, return_inverse=True)
    if names.size < 2:
        raise SubmissionError(
            "the clips come from one source video: nothing tells how results vary between videos",
            hint="give clips of two source videos or more (30 make a comparison worth reading)",
        )
    return SystemPair(a=a, b=b, truth=labels, clusters=index, videos=names.size)


def _runs(name: str, pred: ArrayLike, truth: ArrayLike, dataset: Dataset) -> tuple[Values, Values]:
    runs = np.atleast_2d(np.asarray(pred))
    if runs.ndim != 2 or not len(runs):
        raise SubmissionError(
            f"predictions of {name} have shape (seeds, clips), found {runs.shape}"
        )
    prepared = [prepare(run, truth, dataset) for run in runs]
    return np.stack([values for values, _ in prepared]), prepared[0][1]


def _bootstrap(
    both: SystemPair, function: Score, draws: int, seed: int
) -> tuple[tuple[float, float], Values, tuple[Evaluate, Evaluate]]:
    """Observed values of A and B, draws of their difference (D,), metrics for video weights."""
    child = {name: np.random.default_rng(derive(seed, "bootstrap", name)) for name in "vab"}
    videos = counts(both.videos, draws, child["v"])
    runs = both.a, both.b
    values = [float(np.mean([function(run, both.truth) for run in system])) for system in runs]
    a, b = (evaluator(system, both.truth, both.clusters, function) for system in runs)
    drawn_a = draw(a, len(both.a), videos, child["a"])
    drawn_b = draw(b, len(both.b), videos, child["b"])
    return (values[0], values[1]), drawn_a - drawn_b, (a, b)


def _summary(
    both: SystemPair,
    metric: Metric,
    dataset: Dataset,
    values: tuple[float, float],
    distribution: Distribution,
    draws: int,
    interval: Interval,
) -> Comparison:
    a, b = values
    low, high = distribution.interval()
    higher = None if metric.ideal is not None else metric.higher_is_better
    factors = "source videos" if both.seeds == (1, 1) else "seeds and source videos"
    return Comparison(
        metric=metric.name,
        dataset=dataset.name,
        a=a,
        b=b,
        effect=a - b,
        low=low,
        high=high,
        p_value=distribution.p_value(),
        standard_error=distribution.standard_error(),
        probability_better=_probability_better(distribution, higher),
        higher_is_better=higher,
        method=f"{_INTERVALS[interval]} bootstrap over {factors}",
        draws=draws,
        undefined_draws=draws - distribution.draws.size,
        seeds=both.seeds,
        videos=both.videos,
        clips=both.truth.size,
        conditional_on_one_run=min(both.seeds) == 1,
        distribution=distribution,
    )


def _probability_better(distribution: Distribution, higher_is_better: bool | None) -> float:
    if higher_is_better is None:
        return math.nan
    share = distribution.share_positive()
    return share if higher_is_better else 1.0 - share
