"""Systems on declared parts of the clips: compared there, and one part held against another.

Shapes: N clips, V source videos, S seeds.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.data.datasets import Dataset
from harness.errors import SubmissionError
from harness.metrics import Metric, Score, Values, metrics
from harness.stats.compare import Comparison, SystemPair, compare, pair
from harness.stats.estimate import Estimate, effective_videos, estimate
from harness.stats.jackknife import values_and_pseudo_values
from harness.stats.multiple import holm

__all__ = [
    "FEWEST_CLIPS",
    "FEWEST_VIDEOS",
    "SliceComparison",
    "between_parts",
    "compare_slices",
    "too_small",
]

FEWEST_CLIPS = 20
FEWEST_VIDEOS = 5
"""A part with fewer is counted, and nothing is said of it."""
_TOO_SMALL = f"too small: fewer than {FEWEST_CLIPS} clips or {FEWEST_VIDEOS} source videos"


def too_small(clips: int, videos: int) -> str:
    """Why nothing is said of a part; empty where something is.

    Example:
        >>> too_small(20, 5), too_small(400, 4)
        ('', 'too small: fewer than 20 clips or 5 source videos')
    """
    return "" if clips >= FEWEST_CLIPS and videos >= FEWEST_VIDEOS else _TOO_SMALL


@dataclass(frozen=True, kw_only=True, eq=False)
class SliceComparison:
    """What a part of the clips says about A - B.

    Args:
        slicing: Which question parts the clips.
        part: Which answer.
        clips: How many clips are in it.
        videos: From how many source videos.
        found: The comparison; None for a part that is too small.
        p_adjusted: Its p-value, by Holm's method corrected for all parts that were compared, of all
            slicings; NaN where there is none.
    """

    slicing: str
    part: str
    clips: int
    videos: int
    found: Comparison | None
    p_adjusted: float = math.nan

    @property
    def too_small(self) -> str:
        """Why nothing is said of it; empty where something is."""
        return "" if self.found is not None else _TOO_SMALL


def compare_slices(
    pred_a: ArrayLike,
    pred_b: ArrayLike,
    truth: ArrayLike,
    clusters: ArrayLike,
    dataset: Dataset,
    *,
    metric: str,
    parts: Mapping[tuple[str, str], NDArray[np.bool_]],
) -> tuple[SliceComparison, ...]:
    """``compare`` in one metric on each part.

    Args:
        pred_a: (S_a, N) predictions of A.
        pred_b: (S_b, N) predictions of B.
        truth: (N,) labels.
        clusters: (N,) source video of each clip.
        dataset: Which metric definitions apply.
        metric: The metric.
        parts: (slicing, part) -> (N,) the clips that are in it; parts may overlap.

    Raises:
        SubmissionError: As ``compare``.
        SpecError: As ``compare``.
    """
    a, b = np.atleast_2d(np.asarray(pred_a)), np.atleast_2d(np.asarray(pred_b))
    labels, videos = np.asarray(truth), np.asarray(clusters)
    found: list[SliceComparison] = []
    for (slicing, part), inside in parts.items():
        clips, of_videos = int(inside.sum()), len(np.unique(videos[inside]))
        comparison = None
        if not too_small(clips, of_videos):
            chosen = (a[:, inside], b[:, inside], labels[inside], videos[inside])
            comparison = compare(*chosen, metric, dataset=dataset)
        found.append(
            SliceComparison(
                slicing=slicing, part=part, clips=clips, videos=of_videos, found=comparison
            )
        )
    return _corrected(found)


def between_parts(
    runs: ArrayLike,
    truth: ArrayLike,
    clusters: ArrayLike,
    metric: Metric | str,
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    *,
    dataset: Dataset,
    name: str,
) -> Estimate:
    """What a system scores on one part of the clips less what it scores on another.

    A source video may have clips in both: leaving it out leaves out all of them, so that what its
    clips share is counted once. Its degrees of freedom are those of the part with fewer effective
    videos.

    Args:
        runs: (S, N) predictions.
        truth: (N,) labels.
        clusters: (N,) source video of each clip.
        metric: A metric or its name.
        first: (N,) the clips of the one part.
        second: (N,) those of the other.
        dataset: Which definition of the metric applies.
        name: Of the group of runs: estimates of different groups can be subtracted.

    Raises:
        SubmissionError: For arrays that do not fit together, or a part of fewer than two videos.
        SpecError: For an unknown metric.
    """
    chosen = metrics[metric] if isinstance(metric, str) else metric
    checked = pair(runs, runs, truth, clusters, dataset)
    parts = [_on_part(checked, chosen.on(dataset), inside) for inside in (first, second)]
    fewest = min((sizes for _, _, sizes in parts), key=effective_videos)
    (values, pseudo, _), (others, other_pseudo, _) = parts
    return estimate(values - others, pseudo - other_pseudo, fewest, runs=name, videos="test")


def _on_part(
    checked: SystemPair, function: Score, inside: NDArray[np.bool_]
) -> tuple[Values, Values, Values]:
    """(S,) values on a part, (S, V) pseudo-values over all videos, (V,) its clips of each video."""
    videos, of_clips, sizes = np.unique(
        checked.clusters[inside], return_inverse=True, return_counts=True
    )
    if videos.size < 2:
        raise SubmissionError("a part of the clips is of fewer than two source videos")
    values, own = values_and_pseudo_values(
        checked.a[:, inside], checked.truth[inside], of_clips, function
    )
    without = (videos.size * values[:, None] - own) / (videos.size - 1)  # (S, V of the part)
    pseudo = np.repeat(values[:, None], checked.videos, axis=1)
    pseudo[:, videos] = checked.videos * values[:, None] - (checked.videos - 1) * without
    counts = np.zeros(checked.videos)
    counts[videos] = sizes
    return values, pseudo, counts


def _corrected(found: Sequence[SliceComparison]) -> tuple[SliceComparison, ...]:
    p_values = [math.nan if one.found is None else one.found.p_value for one in found]
    tested = [place for place, p in enumerate(p_values) if not math.isnan(p)]
    adjusted = dict(zip(tested, holm([p_values[place] for place in tested]), strict=True))
    return tuple(
        dataclasses.replace(one, p_adjusted=float(adjusted.get(place, math.nan)))
        for place, one in enumerate(found)
    )
