"""Estimates that add and subtract: a metric's mean over seeds, with what it varies by.

Two things vary an estimate: which seeds a system was trained with, and which source videos were
tested on. Seeds belong to one system; videos are shared by all systems tested on them, so that what
is hard for both cancels in a difference. What belongs to neither (one run on one video) shows in
both mean squares and is kept by itself, to be counted once (``harness.stats.reference``).

With x[s, v] the pseudo-values of a system (``harness.stats.jackknife``), the parts are

    deviation[s] = (mean over v of x[s] - mean) / sqrt(S (S - 1))      squares sum to T_seed
    influence[v] = (mean over s of x[:, v] - mean) / sqrt(V (V - 1))   squares sum to T_video
    rest         = mean square of the two-way residuals / (S V)

Influences of estimates on the same videos are subtracted before they are squared.

Two seeds often lie close together by chance. Satterthwaite's degrees of freedom, taken from what
they show, would then be those of the videos alone, and one comparison in 16 of equal systems would
have a winner. For the degrees of freedom, two seeds therefore show at least a share of T
(``harness.stats.calibration`` says how often that errs).

Source:
    Cornfield, Tukey. Annals of Mathematical Statistics 27(4), 1956: mean squares of crossed random
    factors; Cameron, Gelbach, Miller. JBES 29(2), 2011, for the sum less the part counted twice.

Shapes: V source videos, S seeds.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.metrics import Values
from harness.stats.reference import Reference

__all__ = [
    "LEAST_OF_TWO",
    "Estimate",
    "RunPart",
    "VideoPart",
    "effective_videos",
    "estimate",
    "mean_of",
]

LEAST_OF_TWO = 0.15
"""Share of T that two seeds' mean square counts as, at least, in degrees of freedom."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RunPart:
    """What the seeds of one system do to an estimate.

    Args:
        deviation: (S,) scaled so that its squares sum to the mean square; empty for one run.
        rest: Mean square of what belongs to neither a seed nor a video.
    """

    deviation: Values = field(repr=False)
    rest: float

    @property
    def mean_square(self) -> float:
        """T_seed: seeds' variance of the mean, the rest included."""
        return float(self.deviation @ self.deviation)

    @property
    def degrees(self) -> float:
        """S - 1, and 1 for a single run, which has no mean square."""
        return max(float(self.deviation.size - 1), 1.0)

    @property
    def least(self) -> float:
        """Share of T that the mean square counts as, at least, in degrees of freedom."""
        return LEAST_OF_TWO if self.deviation.size == 2 else 0.0

    def scaled(self, factor: float) -> RunPart:
        """Of the estimate times a factor."""
        return RunPart(deviation=self.deviation * factor, rest=self.rest * factor**2)


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoPart:
    """What the source videos of one test set do to an estimate.

    Args:
        influence: (V,) scaled so that its squares sum to the mean square.
        degrees: Effective number of videos less one, at least 1.
    """

    influence: Values = field(repr=False)
    degrees: float

    @property
    def mean_square(self) -> float:
        """T_video, the rest included."""
        return float(self.influence @ self.influence)

    def plus(self, other: VideoPart, factor: float) -> VideoPart:
        """With ``factor`` times another one on the same videos."""
        return VideoPart(influence=self.influence + factor * other.influence, degrees=self.degrees)


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimate:
    """A number with what it varies by.

    Args:
        value: NaN where the metric is undefined.
        runs: Name of a group of runs -> what its seeds do.
        videos: Name of a test set -> what its videos do.
    """

    value: float
    runs: Mapping[str, RunPart]
    videos: Mapping[str, VideoPart]

    @property
    def total(self) -> float:
        """T: sum of all mean squares."""
        runs = sum(part.mean_square for part in self.runs.values())
        return float(runs + sum(part.mean_square for part in self.videos.values()))

    @property
    def rest(self) -> float:
        """E: what T counts twice."""
        return float(sum(part.rest for part in self.runs.values()))

    @property
    def degrees(self) -> float:
        """Of T, after Satterthwaite; 1 where nothing varies."""
        total = self.total
        squares = sum(part.mean_square**2 / part.degrees for part in self.videos.values()) + sum(
            max(part.mean_square, part.least * total) ** 2 / part.degrees
            for part in self.runs.values()
        )
        return max(total**2 / squares, 1.0) if squares > 0 else 1.0

    @property
    def reference(self) -> Reference:
        """The law of the estimate about the truth."""
        return Reference(effect=self.value, total=self.total, rest=self.rest, degrees=self.degrees)

    def content(self) -> bytes:
        """Digest of all that it holds, 32 bytes."""
        parts: list[tuple[str, str, Values, float]] = [
            *(("runs", name, part.deviation, part.rest) for name, part in self.runs.items()),
            *(("videos", n, part.influence, part.degrees) for n, part in self.videos.items()),
        ]
        said = [(kind, name, numbers.size) for kind, name, numbers, _ in parts]
        state = hashlib.sha256(repr(said).encode())
        state.update(np.array([self.value, *(number for *_, number in parts)]).tobytes())
        for _, _, numbers, _ in parts:
            state.update(np.ascontiguousarray(numbers).tobytes())
        return state.digest()

    def __add__(self, other: Estimate) -> Estimate:
        return self._plus(other, 1.0)

    def __sub__(self, other: Estimate) -> Estimate:
        return self._plus(other, -1.0)

    def __mul__(self, factor: float) -> Estimate:
        return Estimate(
            value=self.value * factor,
            runs={name: part.scaled(factor) for name, part in self.runs.items()},
            videos={
                name: VideoPart(influence=part.influence * factor, degrees=part.degrees)
                for name, part in self.videos.items()
            },
        )

    def _plus(self, other: Estimate, factor: float) -> Estimate:
        """Estimates of different runs; those of the same runs are combined run by run, before.

        Raises:
            ValueError: For a group of runs that both hold.
        """
        shared = self.runs.keys() & other.runs.keys()
        if shared:
            raise ValueError(f"both estimates hold the runs of {sorted(shared)[0]!r}")
        videos = dict(self.videos)
        for name, part in other.videos.items():
            own = videos.get(name) or VideoPart(
                influence=np.zeros_like(part.influence), degrees=part.degrees
            )
            videos[name] = own.plus(part, factor)
        return Estimate(
            value=self.value + factor * other.value,
            runs={**self.runs, **{n: part.scaled(factor) for n, part in other.runs.items()}},
            videos=videos,
        )


def mean_of(estimates: Sequence[Estimate]) -> Estimate:
    """Their mean, equally weighted; they hold different runs."""
    first, *others = estimates
    for other in others:
        first = first + other
    return first * (1.0 / len(estimates))


def effective_videos(sizes: Values) -> float:
    """N² / Σ n², the number of equal videos that would average as well.

    Args:
        sizes: (V,) clips of each.

    Example:
        >>> effective_videos(np.array([5.0, 5.0, 5.0]))
        3.0
    """
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def estimate(values: Values, pseudo: Values, sizes: Values, *, runs: str, videos: str) -> Estimate:
    """The mean over the runs of one system on one test set.

    Args:
        values: (S,) the metric of every run.
        pseudo: (S, V) its pseudo-values.
        sizes: (V,) clips of each video.
        runs: Name of the group of runs.
        videos: Name of the test set.
    """
    seeds, count = pseudo.shape
    by_run = pseudo.mean(axis=1, keepdims=True)  # (S, 1)
    by_video = pseudo.mean(axis=0)  # (V,)
    mean = float(by_video.mean())
    part = RunPart(deviation=np.empty(0), rest=0.0)
    if seeds > 1:
        own = pseudo - by_run - by_video + mean  # (S, V)
        square = float((own**2).sum()) / ((seeds - 1) * (count - 1))
        part = RunPart(
            deviation=(by_run[:, 0] - mean) / math.sqrt(seeds * (seeds - 1)),
            rest=square / (seeds * count),
        )
    return Estimate(
        value=float(values.mean()),
        runs={runs: part},
        videos={
            videos: VideoPart(
                influence=(by_video - mean) / math.sqrt(count * (count - 1)),
                degrees=max(effective_videos(sizes) - 1.0, 1.0),
            )
        },
    )
