"""The paired comparison of two systems: effect, interval, p-value, verdict.

The question: on new clips from new videos, trained with new seeds, is A better than B? Seeds belong
to a system, source videos are shared by both, and both are a sample. The variance of the difference
is that of two crossed random factors, estimated from the metric's pseudo-values by video and run;
its uncertainty, which is large with three seeds or eight videos, is in the reference distribution
(``harness.stats.reference``). Nothing is drawn at random: the same predictions give the same
p-value, whatever they are compared beside.

How often the test errs, where, and what else was tried: the page on calibration.

Shapes: N clips, V source videos, S seeds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from harness.data.datasets import Dataset, datasets
from harness.errors import SubmissionError
from harness.metrics import Metric, Score, Values, metrics, prepare
from harness.stats.estimate import Estimate, estimate
from harness.stats.jackknife import values_and_pseudo_values
from harness.stats.reference import Reference
from harness.stats.sums import Clusters

__all__ = [
    "METHOD",
    "Comparison",
    "SystemPair",
    "Verdict",
    "compare",
    "compare_run_by_run",
    "estimate_of",
    "pair",
]

METHOD = "crossed variance of seeds and source videos, t after Satterthwaite"

Verdict: TypeAlias = Literal[
    "a better", "b better", "different", "negligible", "equivalent", "undecided", "undefined"
]
"""``negligible``: a difference that is significant and within the margin; ``different``: for
metrics whose best value lies inside their range."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SystemPair:
    """Two systems on the same clips, checked.

    Args:
        a: (S_a, N) predictions, float64, as metrics want them.
        b: (S_b, N) predictions.
        truth: (N,) labels.
        clusters: (N,) source video of each clip, 0 to V - 1.
        sizes: (V,) clips of each video.
    """

    a: Values
    b: Values
    truth: Values
    clusters: Clusters
    sizes: Values

    @property
    def seeds(self) -> tuple[int, int]:
        """Number of runs of A and of B."""
        return len(self.a), len(self.b)

    @property
    def videos(self) -> int:
        """V."""
        return self.sizes.size


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
    """Two-sided."""
    standard_error: float
    degrees: float
    """Of freedom, not necessarily whole."""
    probability_better: float
    """Confidence that A is better; NaN for metrics without a direction."""
    higher_is_better: bool | None
    """None for metrics whose best value lies inside their range."""
    seeds: tuple[int, int]
    videos: int
    clips: int
    conditional_on_one_run: bool
    """Whether a system has a single run: its variation over seeds is not in the interval."""
    difference: Estimate = field(repr=False)
    """With all it varies by: intervals at other levels, equivalence, seeds needed."""

    @property
    def reference(self) -> Reference:
        """The law of the effect about the truth."""
        return self.difference.reference

    def verdict(self, alpha: float = 0.05, margin: float | None = None) -> Verdict:
        """One word, for one comparison by itself; correct p-values of families beforehand.

        Args:
            alpha: Level of the test of difference and of the test of equivalence.
            margin: Declared margin of the metric, None when there is none.
        """
        if math.isnan(self.p_value):
            return "undefined"
        equivalent = margin is not None and self.reference.p_equivalence(margin) < alpha
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
    *,
    dataset: Dataset | str,
) -> Comparison:
    """Compare two systems over new seeds and new source videos.

    Args:
        pred_a: (S_a, N) predictions of A, one row per seed, or (N,) for a single run.
        pred_b: (S_b, N) predictions of B on the same clips; S_b may differ from S_a.
        truth: (N,) labels.
        clusters: (N,) source video of each clip, as text or integers.
        metric: A metric or its name.
        dataset: A dataset or its name; it decides the metric's definition.

    Returns:
        The comparison; everything but ``a`` and ``b`` is NaN where the metric of a system is
        undefined, or would be without one of the videos.

    Raises:
        SubmissionError: For arrays that do not fit together, or fewer than two source videos.
        SpecError: For an unknown metric or dataset.

    Example:
        >>> truth, videos = np.linspace(-3, 3, 60), np.repeat(np.arange(20), 3)
        >>> found = compare(truth, -truth, truth, videos, "mae", dataset="mosi")
        >>> found.verdict(), found.conditional_on_one_run
        ('a better', True)
    """
    both, chosen, known = _checked(pred_a, pred_b, truth, clusters, metric, dataset)
    a, b = (
        estimate_of(runs, both, chosen.on(known), name)
        for name, runs in (("A", both.a), ("B", both.b))
    )
    return _comparison(a - b, a.value, b.value, both, chosen, known)


def compare_run_by_run(
    pred_a: ArrayLike,
    pred_b: ArrayLike,
    truth: ArrayLike,
    clusters: ArrayLike,
    metric: Metric | str,
    *,
    dataset: Dataset | str,
) -> Comparison:
    """Compare two ways of treating the same trainings, such as two choices of an epoch.

    Run s of A and run s of B share their seed, and with it all that they have in common: it is the
    difference of each pair that varies over new seeds and new source videos.

    Args:
        pred_a: (S, N) predictions of A, one row per seed.
        pred_b: (S, N) predictions of B, the same seeds in the same order.
        truth: (N,) labels.
        clusters: (N,) source video of each clip, as text or integers.
        metric: A metric or its name.
        dataset: A dataset or its name; it decides the metric's definition.

    Raises:
        SubmissionError: For arrays that do not fit together, or fewer than two source videos.
        SpecError: For an unknown metric or dataset.

    Example:
        >>> truth, videos = np.linspace(-3, 3, 60), np.repeat(np.arange(20), 3)
        >>> runs = truth + np.array([[0.1], [0.9]])  # seeds differ more than what is done to them
        >>> found = compare_run_by_run(runs - 0.05, runs, truth, videos, "mae", dataset="mosi")
        >>> round(found.effect, 3), round(found.low, 3), round(found.high, 3)
        (-0.05, -0.05, -0.05)
    """
    both, chosen, known = _checked(pred_a, pred_b, truth, clusters, metric, dataset)
    if both.seeds[0] != both.seeds[1]:
        raise SubmissionError(
            f"runs are compared in pairs: found {both.seeds[0]} of A and {both.seeds[1]} of B"
        )
    score = chosen.on(known)
    (a, own), (b, other) = (
        values_and_pseudo_values(runs, both.truth, both.clusters, score)
        for runs in (both.a, both.b)
    )
    difference = estimate(a - b, own - other, both.sizes, runs="A - B", videos="test")
    return _comparison(difference, float(a.mean()), float(b.mean()), both, chosen, known)


def _checked(
    pred_a: ArrayLike,
    pred_b: ArrayLike,
    truth: ArrayLike,
    clusters: ArrayLike,
    metric: Metric | str,
    dataset: Dataset | str,
) -> tuple[SystemPair, Metric, Dataset]:
    known = datasets[dataset] if isinstance(dataset, str) else dataset
    chosen = metrics[metric] if isinstance(metric, str) else metric
    return pair(pred_a, pred_b, truth, clusters, known), chosen, known


def _comparison(
    difference: Estimate, a: float, b: float, both: SystemPair, metric: Metric, dataset: Dataset
) -> Comparison:
    law = difference.reference
    low, high = law.interval()
    higher = None if metric.ideal is not None else metric.higher_is_better
    return Comparison(
        metric=metric.name,
        dataset=dataset.name,
        a=a,
        b=b,
        effect=difference.value,
        low=low,
        high=high,
        p_value=law.p_value(),
        standard_error=law.standard_error(),
        degrees=law.degrees,
        probability_better=_probability_better(law, higher),
        higher_is_better=higher,
        seeds=both.seeds,
        videos=both.videos,
        clips=both.truth.size,
        conditional_on_one_run=min(both.seeds) == 1,
        difference=difference,
    )


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
    names, index, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if names.size < 2:
        raise SubmissionError(
            "the clips come from one source video: nothing tells how results vary between videos",
            hint="give clips of two source videos or more (30 make a comparison worth reading)",
        )
    return SystemPair(a=a, b=b, truth=labels, clusters=index, sizes=sizes.astype(np.float64))


def _runs(name: str, pred: ArrayLike, truth: ArrayLike, dataset: Dataset) -> tuple[Values, Values]:
    runs = np.atleast_2d(np.asarray(pred))
    if runs.ndim != 2 or not len(runs):
        raise SubmissionError(
            f"predictions of {name} have shape (seeds, clips), found {runs.shape}"
        )
    prepared = [prepare(run, truth, dataset) for run in runs]
    return np.stack([values for values, _ in prepared]), prepared[0][1]


def estimate_of(runs: Values, both: SystemPair, function: Score, name: str) -> Estimate:
    """One system's mean over its runs.

    Args:
        runs: (S, N) checked predictions.
        both: The clips they are of.
        function: The metric's definition for the dataset.
        name: Of the group of runs.
    """
    values, pseudo = values_and_pseudo_values(runs, both.truth, both.clusters, function)
    return estimate(values, pseudo, both.sizes, runs=name, videos="test")


def _probability_better(law: Reference, higher_is_better: bool | None) -> float:
    if higher_is_better is None:
        return math.nan
    share = law.share_positive()
    return share if higher_is_better else 1.0 - share
