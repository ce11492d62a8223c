"""Metrics as functions of sums over clips, kept per seed and source video.

Which metrics can be read off such sums, and how, their functions say: ``harness.metrics.sums``.

Shapes: N clips, V source videos, S seeds, D draws, K sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.metrics import Score, Values
from harness.metrics.sums import Additive, Read, Terms, ratio

__all__ = ["Clusters", "Sums", "ratio", "sums_of"]

Clusters: TypeAlias = NDArray[np.intp]
"""(N,) the source video of each clip as 0 to V - 1, every number in use."""


@dataclass(frozen=True, eq=False)
class Sums:
    """A metric as a function of sums over clips.

    Args:
        cells: (S, V, K) sums over the clips of one video in one run.
        read: (..., K) sums -> (...) metric, NaN where undefined.
    """

    cells: Values
    read: Read

    def __call__(self, videos: Values) -> Values:
        """The metric of every seed in every draw: (D, V) -> (D, S)."""
        seeds, units, width = self.cells.shape
        flat = self.cells.transpose(2, 0, 1).reshape(-1, units)  # (K*S, V)
        sums = (flat @ videos.T).reshape(width, seeds, -1)  # each sum contiguous: read fastest
        return self.read(np.moveaxis(sums, 0, -1)).T


def sums_of(pred: Values, truth: Values, clusters: Clusters, function: Score) -> Sums | None:
    """The metric as sums per seed and video, None when it is not a function of such sums."""
    parts = function.parts(pred, truth) if isinstance(function, Additive) else None
    if parts is None:
        return None
    terms, read = parts
    return Sums(_per_video(terms, clusters), read)


def _per_video(terms: Terms, clusters: Clusters) -> Values:
    """Terms per clip to sums per video (S, V, K)."""
    order = np.argsort(clusters, kind="stable")
    starts = np.searchsorted(clusters[order], np.arange(clusters.max() + 1))
    summed = np.take(np.stack(terms, axis=-1), order, axis=1)  # (S, N, K), video by video
    cells: Values = np.add.reduceat(summed, starts, axis=1)
    return cells
