"""One question about a model, its answer in a number with an interval, and in plain words.

Shapes: n clips, V source videos.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from harness._util.canonical import Json
from harness.errors import SubmissionError
from harness.metrics.sums import ratio
from harness.stats.estimate import estimate
from harness.stats.jackknife import pseudo_values_of
from harness.stats.sums import Sums

__all__ = ["ProbeEstimate", "ProbeFinding", "mean_over_videos"]


@dataclass(frozen=True, kw_only=True)
class ProbeEstimate:
    """A mean over clips with its 95 % interval for new source videos."""

    value: float
    """NaN without clips."""
    low: float
    """NaN with fewer than two source videos: nothing tells how they vary."""
    high: float
    p_value: float
    """Two-sided, of a mean of zero."""
    clips: int
    videos: int

    @property
    def sign(self) -> int:
        """1 or -1 when the interval leaves zero out on that side, else 0."""
        if self.low > 0:
            return 1
        return -1 if self.high < 0 else 0


@dataclass(frozen=True, kw_only=True)
class ProbeFinding:
    """What a probe found.

    Args:
        probe: Its name.
        measure: What the estimate is the mean of, in words.
        estimate: Over the clips with all answers that the probe needs.
        tried: Clips that the probe was tried on.
        verdict: In plain words.
        facts: Counts and means beside the estimate.
    """

    probe: str
    measure: str
    estimate: ProbeEstimate
    tried: int
    verdict: str
    facts: Mapping[str, Json] = field(default_factory=dict)

    def record(self) -> dict[str, Json]:
        """As JSON; undefined numbers are null."""
        estimate = self.estimate
        numbers = {
            name: value if math.isfinite(value) else None
            for name in ("value", "low", "high", "p_value")
            if isinstance(value := getattr(estimate, name), float)
        }
        return {
            "probe": self.probe,
            "measure": self.measure,
            "asked": self.tried,
            "clips": estimate.clips,
            "videos": estimate.videos,
            **numbers,
            "verdict": self.verdict,
            "facts": self.facts,
        }


def mean_over_videos(values: ArrayLike, videos: ArrayLike) -> ProbeEstimate:
    """The mean over clips, with the variation between source videos.

    The model was asked once: nothing but videos varies what is estimated.

    Args:
        values: (n,) per clip; NaN is left out with its clip.
        videos: (n,) source video of each clip.

    Raises:
        SubmissionError: When the two differ in length.

    Example:
        >>> mean_over_videos([1.0, 2.0, 3.0], ["a", "a", "b"]).value
        2.0
    """
    given, names = np.asarray(values, dtype=np.float64), np.asarray(videos)
    if given.ndim != 1 or given.shape != names.shape:
        raise SubmissionError(f"expected one video per value, found {given.shape}, {names.shape}")
    there = np.isfinite(given)
    kept = given[there]
    found, index = np.unique(names[there], return_inverse=True)
    law = None
    if found.size >= 2:
        sizes = np.bincount(index).astype(np.float64)
        cells = np.stack([np.bincount(index, weights=kept), sizes], axis=-1)  # (V, 2)
        of_run = pseudo_values_of(Sums(cells[None], ratio))
        law = estimate(*of_run, sizes, runs="model", videos="test").reference
    low, high = (math.nan, math.nan) if law is None else law.interval()
    return ProbeEstimate(
        value=float(kept.mean()) if kept.size else math.nan,
        low=low,
        high=high,
        p_value=math.nan if law is None else law.p_value(),
        clips=int(kept.size),
        videos=int(found.size),
    )
