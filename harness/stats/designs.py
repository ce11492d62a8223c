"""Simulated test sets: two systems' scores per run and source video, with a known true difference.

Shapes: V source videos, S seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeAlias

import numpy as np
from scipy.special import ndtri

from harness.metrics import Values

__all__ = [
    "MOSEI_LIKE",
    "MOSI_LIKE",
    "SCENARIOS",
    "AccuracyDesign",
    "Design",
    "Law",
    "Scenario",
    "Simulated",
]

Law: TypeAlias = Literal["normal", "t3", "exponential"]
"""Distribution of every random term: Gaussian, Student's t with 3 degrees, centred exponential."""


class Simulated(Protocol):
    """A simulated test set."""

    @property
    def videos(self) -> int:
        """V."""

    @property
    def clips_per_video(self) -> int:
        """Number of clips of each video."""

    def simulate(
        self, seeds: tuple[int, int], effect: float, generator: np.random.Generator
    ) -> tuple[Values, Values]:
        """Video means (S_a, V) of A and (S_b, V) of B, whose true difference is ``effect``."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """Standard deviations of the terms of a per-clip error difference, in label units.

    d[s, i] = effect + c_i + v_video(i) + b_s + e[s, i], all terms independent.
    """

    videos: int
    clips_per_video: int
    clip: float = 0.25
    video: float = 0.05
    seed: float
    residual: float = 0.25
    law: Law = "normal"

    def simulate(
        self, seeds: tuple[int, int], effect: float, generator: np.random.Generator
    ) -> tuple[Values, Values]:
        """Video means (S_a, V) and (S_b, V) of the errors, whose differences follow the model.

        What systems share cancels in the difference, so clip and video terms are A's alone; seed
        and residual terms are halved in variance between the two. A system with a single run is
        deterministic: it has neither.
        """
        shared = self._means(self.video, (self.videos,), 1, generator)  # (V,)
        shared += self._means(self.clip, (self.videos,), self.clips_per_video, generator)
        a, b = (self._runs(count, generator) for count in seeds)
        return a + shared + effect, b

    def _runs(self, seeds: int, generator: np.random.Generator) -> Values:
        if seeds == 1:
            return np.zeros((1, self.videos))
        share, shape = math.sqrt(0.5), (seeds, self.videos)
        own = self._means(share * self.residual, shape, self.clips_per_video, generator)  # (S, V)
        # A seed's term is one for all videos.
        return own + self._means(share * self.seed, (seeds, 1), 1, generator)

    def _means(
        self, deviation: float, shape: tuple[int, ...], clips: int, generator: np.random.Generator
    ) -> Values:
        """Means over so many independent terms."""
        if self.law == "normal":  # exact without drawing clips
            return generator.normal(0.0, deviation / math.sqrt(clips), shape)
        if self.law == "exponential":  # means of exponential terms are gamma
            return deviation * (generator.gamma(clips, 1.0 / clips, shape) - 1.0)
        terms = generator.standard_t(3, (*shape, clips)) / math.sqrt(3.0)  # their variance is 3
        means: Values = deviation * terms.mean(axis=-1)
        return means


@dataclass(frozen=True, kw_only=True)
class AccuracyDesign:
    """Clips that are right or wrong: a Gaussian latent score of variance 1 under a threshold.

    The numbers are shares of that variance; what they leave is the clip's own difficulty, which
    all runs of both systems share.
    """

    videos: int
    clips_per_video: int
    accuracy: float
    """Probability that B is right."""
    video: float = 0.05
    """Difficulty of a video, shared by both systems."""
    own_video: float = 0.02
    """Difficulty of a video for one system."""
    own_clip: float = 0.05
    """Difficulty of a clip for one system."""
    seed: float = 0.001
    """Of a run as a whole: at an accuracy of 0.8 its deviation over seeds is 0.9 points."""
    residual: float = 0.1
    """Of a clip in a run."""

    def simulate(
        self, seeds: tuple[int, int], effect: float, generator: np.random.Generator
    ) -> tuple[Values, Values]:
        """Accuracy per run and video, (S_a, V) and (S_b, V)."""
        own = self.own_video + self.own_clip + self.seed + self.residual
        shared = _normal(self.video, (self.videos, 1), generator)  # (V, 1)
        shared = shared + _normal(1.0 - own - self.video, self._clips, generator)  # (V, clips)
        a, b = (
            self._right(count, shared, float(ndtri(probability)), generator)
            for count, probability in zip(
                seeds, (self.accuracy + effect, self.accuracy), strict=True
            )
        )
        return a, b

    @property
    def _clips(self) -> tuple[int, int]:
        return self.videos, self.clips_per_video

    def _right(
        self, seeds: int, shared: Values, threshold: float, generator: np.random.Generator
    ) -> Values:
        own = _normal(self.own_video, (self.videos, 1), generator)  # (V, 1)
        own = own + _normal(self.own_clip, self._clips, generator)  # (V, clips)
        runs = _normal(self.seed, (seeds, 1, 1), generator)  # (S, 1, 1)
        runs = runs + _normal(self.residual, (seeds, *self._clips), generator)  # (S, V, clips)
        # A score of variance 1 lies below the accuracy's normal quantile that often.
        right: Values = (runs + (shared + own) < threshold).mean(axis=-1)
        return right


def _normal(variance: float, shape: tuple[int, ...], generator: np.random.Generator) -> Values:
    return generator.normal(0.0, math.sqrt(variance), shape)


MOSI_LIKE = Design(videos=31, clips_per_video=22, seed=0.010)
MOSEI_LIKE = Design(videos=676, clips_per_video=7, seed=0.004)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A simulated comparison."""

    title: str
    design: Simulated
    seeds: tuple[int, int]
    """Runs of A and of B."""
    effect: float
    """True difference at which power is measured, in units of the metric."""
    note: str
    """What is simulated, in a sentence fragment."""


_OTHER_LAWS: Mapping[str, tuple[Law, str]] = {
    "heavy tails": ("t3", "as MOSI-like, every term Student's t with 3 degrees of freedom"),
    "skewed errors": ("exponential", "as MOSI-like, every term exponential"),
}

SCENARIOS = (
    *(
        Scenario(
            title="MOSI-like",
            design=MOSI_LIKE,
            seeds=(seeds, seeds),
            effect=0.02,
            note="absolute errors, Gaussian terms",
        )
        for seeds in (3, 5, 10)
    ),
    Scenario(
        title="MOSEI-like",
        design=MOSEI_LIKE,
        seeds=(5, 5),
        effect=0.01,
        note="absolute errors, Gaussian terms",
    ),
    *(
        Scenario(
            title=title,
            design=replace(MOSI_LIKE, law=law),
            seeds=(5, 5),
            effect=0.02,
            note=note,
        )
        for title, (law, note) in _OTHER_LAWS.items()
    ),
    *(
        Scenario(
            title=f"{videos} videos",
            design=replace(MOSI_LIKE, videos=videos),
            seeds=(5, 5),
            effect=effect,
            note="as MOSI-like, but fewer videos",
        )
        for videos, effect in ((15, 0.03), (10, 0.04))
    ),
    Scenario(
        title="unequal seeds",
        design=MOSI_LIKE,
        seeds=(3, 10),
        effect=0.02,
        note="as MOSI-like",
    ),
    Scenario(
        title="deterministic A",
        design=MOSI_LIKE,
        seeds=(1, 5),
        effect=0.02,
        note="as MOSI-like, but A has one run and no variation over seeds",
    ),
    Scenario(
        title="accuracy",
        design=AccuracyDesign(videos=31, clips_per_video=22, accuracy=0.8),
        seeds=(5, 5),
        effect=0.03,
        note="clips right or wrong, 80 % right; clips, videos and seeds differ in difficulty",
    ),
)
