"""What the numbers of a stored stream are like: range, share of zeros, padding.

Public feature files differ in these more than in anything a table shows: aligned files hold words
without a frame as rows of zeros, some features are never anything else, and most of a padded array
is padding.

Shapes: n clips, T frames (padded), D features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness._util.records import Record
from harness.data.corpus import Stream

__all__ = ["StreamCensus", "take_census"]

_BLOCK = 32 << 20  # bytes of float32 looked at together


@dataclass(frozen=True, kw_only=True)
class StreamCensus(Record):
    """One stream, counted over the frames within each clip's length.

    Args:
        clips: n.
        frames: T.
        features: D.
        low: Smallest finite value.
        high: Largest finite value.
        mean: Of the finite values.
        deviation: Their standard deviation, ddof = 0.
        padding: Share of the n x T frames that lie behind the length of their clip.
        zero_values: Share of the values within the lengths that are exactly 0.
        zero_frames: Share of the frames within the lengths in which every value is 0.
        zero_clips: Share of the clips in which every value is 0.
        zero_features: How many of the D features are 0 in every frame.
        shortest: Frames of the shortest clip.
        median: Of the clips' lengths.
        longest: Frames of the longest clip.
    """

    clips: int
    frames: int
    features: int
    low: float
    high: float
    mean: float
    deviation: float
    padding: float
    zero_values: float
    zero_frames: float
    zero_clips: float
    zero_features: int
    shortest: int
    median: float
    longest: int


class _Sums:
    """Running sums over blocks of clips."""

    def __init__(self, features: int) -> None:
        self.values = self.finite = self.zeros = self.frames = self.empty = self.silent = 0
        self.total = self.squares = 0.0
        self.low, self.high = np.inf, -np.inf
        self.used = np.zeros(features, bool)

    def add(self, part: Stream) -> None:
        inside = np.arange(part.frames) < part.lengths[:, None]  # (n, T)
        values = part.values[inside]  # (frames, D)
        good: NDArray[np.float64] = values[np.isfinite(values)].astype(np.float64)
        occupied = (values != 0).any(axis=1)
        self.values += values.size
        self.finite += good.size
        self.zeros += int((values == 0).sum())
        self.frames += len(values)
        self.empty += int((~occupied).sum())
        self.silent += int((~part.values.any(axis=(1, 2))).sum())
        self.total += float(good.sum())
        self.squares += float((good**2).sum())
        if good.size:
            self.low = min(self.low, float(good.min()))
            self.high = max(self.high, float(good.max()))
        self.used |= (values != 0).any(axis=0)


def take_census(stream: Stream) -> StreamCensus:
    """Count a stream, which is read once, in blocks."""
    sums, clips = _Sums(stream.dim), len(stream.lengths)
    step = max(1, _BLOCK // max(1, 4 * stream.frames * stream.dim))
    for start in range(0, clips, step):
        sums.add(stream[start : start + step])
    count = max(sums.finite, 1)
    mean = sums.total / count
    return StreamCensus(
        clips=clips,
        frames=stream.frames,
        features=stream.dim,
        low=sums.low,
        high=sums.high,
        mean=mean,
        deviation=float(np.sqrt(max(sums.squares / count - mean**2, 0.0))),
        padding=1 - sums.frames / max(clips * stream.frames, 1),
        zero_values=sums.zeros / max(sums.values, 1),
        zero_frames=sums.empty / max(sums.frames, 1),
        zero_clips=sums.silent / max(clips, 1),
        zero_features=int((~sums.used).sum()),
        shortest=int(stream.lengths.min(initial=stream.frames)),
        median=float(np.median(stream.lengths)) if clips else 0.0,
        longest=int(stream.lengths.max(initial=0)),
    )
