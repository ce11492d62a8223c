"""Pseudo-values: any metric as a mean over source videos, by leaving one video out at a time.

With f the metric of a run on all V videos and f(-v) that without video v, the pseudo-value is
x[v] = V · f - (V - 1) · f(-v). For a mean over clips in videos of equal size, x[v] is the mean over
the clips of video v; for every smooth metric the x[v] behave like independent scores of videos.

Source:
    Tukey. Annals of Mathematical Statistics 29(2), 1958; Efron, Stein. Annals of Statistics 9(3),
    1981: their variance is not too small on average.

Shapes: N clips, V source videos, S seeds.
"""

from __future__ import annotations

import numpy as np

from harness.metrics import Score, Values
from harness.stats.sums import Clusters, Sums, sums_of

__all__ = ["pseudo_values_of", "values_and_pseudo_values"]


def values_and_pseudo_values(
    pred: Values, truth: Values, clusters: Clusters, function: Score
) -> tuple[Values, Values]:
    """The metric of every run, and its pseudo-values.

    Args:
        pred: (S, N) predictions that went through ``harness.metrics.prepare``.
        truth: (N,) labels that did.
        clusters: (N,) video of each clip, 0 to V - 1, every number in use.
        function: The metric's definition for the dataset.

    Returns:
        (S,) values and (S, V) pseudo-values, NaN where the metric is undefined. The mean of a
        run's pseudo-values is its value but for a bias of order 1 / V, which they correct and the
        value keeps.
    """
    sums = sums_of(pred, truth, clusters, function)
    if sums is not None:
        return pseudo_values_of(sums)
    values = np.array([function(run, truth) for run in pred], dtype=np.float64)
    without = np.empty((len(pred), int(clusters.max()) + 1))
    for video in range(without.shape[1]):
        kept = clusters != video
        without[:, video] = [function(run[kept], truth[kept]) for run in pred]
    return values, _pseudo(values, without)


def pseudo_values_of(sums: Sums) -> tuple[Values, Values]:
    """The same of a metric that is read off sums: all videos are left out at once."""
    whole = sums.cells.sum(axis=1)  # (S, K)
    values = sums.read(whole)
    return values, _pseudo(values, sums.read(whole[:, None] - sums.cells))


def _pseudo(values: Values, without: Values) -> Values:
    """(S, V) from (S,) values and (S, V) values without each video."""
    videos = without.shape[1]
    return np.asarray(videos * values[:, None] - (videos - 1) * without)
