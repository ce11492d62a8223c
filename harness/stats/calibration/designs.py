"""Simulated test sets at clip level, with labels, predictions and a known true difference.

A prediction is part of the label plus an error. The variance of a standardised error has five
shares: what all systems find hard in a clip and in a video, what one system does, and what one run
does with one clip. A run as a whole has an error scale, which is the spread over seeds that tables
print. All metrics are measured from the same predictions.

Relative standard deviations of MAE over seeds, in logs of MMSA's rows: .01 on MOSEI, .02 to .05 on
MOSI, and up to .25 where single runs collapse to a constant.

Shapes: R replicates, N clips, V source videos, S seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from scipy.special import ndtri

from harness.metrics import Values
from harness.stats.sums import Clusters

__all__ = ["DESIGNS", "Design", "Law", "SimulatedSets", "System"]

Law: TypeAlias = Literal["normal", "t"]
"""Of every error term: Gaussian, or Student's t with 2.5 degrees of freedom."""

_TAIL = 2.5
_ERROR = 0.855  # standard deviation of errors, in units of MOSI's labels
_SLOPE = 0.85  # share of a label that a prediction follows
_CONSTANT, _WOBBLE = 0.1, 0.05  # what a collapsed run predicts


@dataclass(frozen=True, kw_only=True)
class System:
    """One of the systems on a simulated test set.

    Args:
        runs: S.
        harder: Its error scale is 1 + ``harder`` times that of the design.
        spread: Standard deviation over runs of the relative error scale.
        collapse: Probability that a run predicts nearly a constant.
    """

    runs: int
    harder: float = 0.0
    spread: float
    collapse: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Design:
    """A comparison of two systems to be simulated; the defaults are MOSI with five seeds.

    Args:
        title: In the field's words.
        seeds: Runs of A and of B.
        videos: V.
        clips: In a video, on average.
        uneven: Standard deviation of the logarithm of clips in a video.
        largest: Share of all clips that lie in one video; 0 where all are alike.
        spread: Relative standard deviation of the error scale over runs, of A and of B.
        shared: Share of error variance: a clip, for all systems.
        video: A video, for all systems.
        own_video: A video, for one system.
        noise: A clip in one run. What is left of 1 is a clip, for one system.
        law: Of every term.
        gross: Share of clips whose shared error is six times as large.
        collapse: Probability that a run predicts nearly a constant.
        contrast: Ratio of error scales between the hardest and the easiest videos.
        error: Standard deviation of an error, in label units.
        deterministic: Whether A is one run that no seed changes.
        difference: Relative difference of error scales at which power is measured.
    """

    title: str
    seeds: tuple[int, int] = (5, 5)
    videos: int = 31
    clips: int = 22
    uneven: float = 0.0
    largest: float = 0.0
    spread: tuple[float, float] = (0.03, 0.03)
    shared: float = 0.55
    video: float = 0.04
    own_video: float = 0.01
    noise: float = 0.20
    law: Law = "normal"
    gross: float = 0.0
    collapse: float = 0.0
    contrast: float = 1.0
    error: float = _ERROR
    deterministic: bool = False
    difference: float = 0.06

    @property
    def own(self) -> float:
        """Share of error variance: a clip, for one system."""
        return max(0.0, 1.0 - self.shared - self.video - self.own_video - self.noise)

    @property
    def exchangeable(self) -> bool:
        """Whether runs of both systems follow one law where there is no difference.

        The null is then exact for every metric.
        """
        return not self.deterministic and self.spread[0] == self.spread[1]

    @property
    def unseen_spread(self) -> bool:
        """Whether a single run hides a spread over seeds: a claim no method can make."""
        return 1 in self.seeds and not self.deterministic and max(self.spread) > 0

    @property
    def only_noise(self) -> bool:
        """Whether nothing differs between seeds, nor between systems in a video."""
        return not any((*self.spread, self.video, self.own_video))

    @property
    def sizes(self) -> Values:
        """(V,) clips of each video."""
        if self.largest:
            rest = round(self.videos * self.clips * (1.0 - self.largest) / (self.videos - 1))
            most = round(rest * (self.videos - 1) * self.largest / (1.0 - self.largest))
            return np.array([most, *[rest] * (self.videos - 1)], dtype=np.float64)
        at = (np.arange(self.videos) + 0.5) / self.videos
        shape = np.exp(self.uneven * ndtri(at))
        return np.asarray(np.round(shape / shape.mean() * self.clips).clip(min=1.0))

    def pair(self, difference: float) -> tuple[System, System]:
        """A and B, A's error scale larger by a relative difference."""
        a, b = (
            System(runs=runs, spread=spread, collapse=self.collapse)
            for runs, spread in zip(self.seeds, self.spread, strict=True)
        )
        if self.deterministic:
            a = replace(a, spread=0.0, collapse=0.0)
        return replace(a, harder=difference), b

    def several(self, harder: Sequence[float]) -> tuple[System, ...]:
        """Systems like B, one for each relative difference of error scales."""
        return tuple(
            System(runs=self.seeds[1], harder=each, spread=self.spread[1], collapse=self.collapse)
            for each in harder
        )


class SimulatedSets:
    """R test sets of one design: new clips from new videos, the same for all systems.

    Args:
        design: What is simulated.
        replicates: R.
        generator: Of labels and errors.
    """

    def __init__(self, design: Design, replicates: int, generator: np.random.Generator) -> None:
        self._design, self._generator = design, generator
        sizes = design.sizes.astype(np.intp)
        self.clusters: Clusters = np.repeat(np.arange(sizes.size), sizes)
        self._clips, self._videos = (replicates, self.clusters.size), (replicates, sizes.size)
        normal = generator.standard_normal
        labels = 0.6 * normal(self._videos)[:, self.clusters] + 1.45 * normal(self._clips)
        self.truth = np.clip(np.round(labels * 5.0) / 5.0, -3.0, 3.0)  # (R, N), in fifths as MOSI's
        self._shared = self._terms(design.shared, design.video)
        if design.gross:
            gross = generator.random(self._clips) < design.gross
            self._shared[gross] *= 6.0
        self._scale = self._of_videos()

    def predictions(self, system: System) -> Values:
        """(R, S, N) predictions of a system."""
        design, generator = self._design, self._generator
        replicates, clips = self._clips
        runs = (replicates, system.runs)
        own = self._shared + self._terms(design.own, design.own_video)
        error = own[:, None] + self._term(design.noise, (*runs, clips))
        scale = 1.0 + system.spread * generator.standard_normal(runs)
        scale *= design.error * (1.0 + system.harder)
        error *= scale[..., None]
        error *= self._scale[:, None]
        error += _SLOPE * self.truth[:, None]
        if system.collapse:
            fell = generator.random(runs) < system.collapse
            constant = _CONSTANT + _WOBBLE * generator.standard_normal((int(fell.sum()), clips))
            error[fell] = constant
        return error

    def _terms(self, clip: float, video: float) -> Values:
        """(R, N) sum of a term per clip and one per video."""
        return self._term(clip, self._clips) + self._term(video, self._videos)[:, self.clusters]

    def _term(self, variance: float, shape: tuple[int, ...]) -> Values:
        if not variance:
            return np.zeros(shape)
        deviation = math.sqrt(variance)
        if self._design.law == "normal":
            return deviation * self._generator.standard_normal(shape)
        wide = math.sqrt(_TAIL / (_TAIL - 2.0))  # standard deviation of Student's t
        return deviation / wide * self._generator.standard_t(_TAIL, shape)

    def _of_videos(self) -> Values:
        """(R, N) error scale of each clip's video, of mean square one."""
        if self._design.contrast == 1.0:
            return np.ones((1, 1))
        reach = math.log(self._design.contrast)
        scale = np.exp(reach * self._generator.random(self._videos))
        mean_square = math.expm1(2.0 * reach) / (2.0 * reach)
        return (scale / math.sqrt(mean_square))[:, self.clusters]


_MOSEI = Design(
    title="676 videos, uneven, 5 seeds",
    videos=676,
    clips=7,
    uneven=0.6,
    spread=(0.01, 0.01),
    difference=0.02,
)

DESIGNS = (
    Design(title="31 videos × 22 clips, 5 seeds, seed sd as in MMSA's logs"),
    Design(title="31 videos, 5 seeds, small seed spread", spread=(0.005, 0.005)),
    _MOSEI,
    replace(_MOSEI, title="676 videos, uneven, 3 seeds", seeds=(3, 3)),
    Design(title="31 very uneven videos", uneven=1.2),
    Design(title="8 videos", videos=8, difference=0.12),
    Design(title="15 videos", videos=15, difference=0.09),
    Design(title="2 seeds each", seeds=(2, 2), difference=0.09),
    Design(title="3 seeds each", seeds=(3, 3)),
    Design(title="10 seeds each", seeds=(10, 10)),
    Design(title="heavy tails (t, 2.5 df)", law="t"),
    Design(title="5 % gross errors", gross=0.05),
    Design(
        title="systems share nearly all error",
        shared=0.93,
        video=0.05,
        own_video=0.002,
        noise=0.01,
        spread=(0.005, 0.005),
        difference=0.02,
    ),
    Design(
        title="nothing but seed × clip noise",
        shared=0.1,
        video=0.0,
        own_video=0.0,
        noise=0.9,
        spread=(0.0, 0.0),
        difference=0.04,
    ),
    Design(
        title="seed spread of the noisiest logged rows, 3 seeds",
        seeds=(3, 3),
        spread=(0.08, 0.08),
        difference=0.15,
    ),
    Design(
        title="seed spread of the noisiest logged rows, 5 seeds",
        spread=(0.08, 0.08),
        difference=0.12,
    ),
    replace(
        _MOSEI,
        title="676 videos, large seed spread, 3 seeds",
        seeds=(3, 3),
        spread=(0.08, 0.08),
        difference=0.2,
    ),
    Design(title="a seed collapses with p = .1", collapse=0.1, difference=0.2),
    Design(title="a seed collapses with p = .2", collapse=0.2, difference=0.3),
    replace(
        _MOSEI,
        title="676 videos, a seed collapses with p = .1",
        collapse=0.1,
        difference=0.2,
    ),
    Design(
        title="deterministic against 3 seeds",
        seeds=(1, 3),
        deterministic=True,
        spread=(0.005, 0.005),
        difference=0.07,
    ),
    Design(
        title="deterministic against 3 seeds, with seed spread",
        seeds=(1, 3),
        deterministic=True,
        spread=(0.04, 0.04),
        difference=0.1,
    ),
    Design(title="1 run against 1, seed spread real", seeds=(1, 1), difference=0.1),
    Design(title="1 run against 5, seed spread real", seeds=(1, 5), difference=0.1),
    Design(title="1 run against 1, no seed spread", seeds=(1, 1), spread=(0.0, 0.0)),
    Design(
        title="5 against 20 seeds, the first five times as noisy",
        seeds=(5, 20),
        spread=(0.1, 0.02),
        difference=0.12,
    ),
    Design(title="one video holds half the clips", largest=0.5, difference=0.09),
    Design(title="error scale of videos differs ten-fold", contrast=10.0),
    Design(title="Acc-2 near 95 %", error=0.35),
)
"""The first 25 are those with which the procedure before was examined; the rest are hard in other
ways."""
