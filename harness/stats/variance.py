"""Where a score's variation comes from: the seed, the source video, the clip, and their crossings.

The score of run s on clip c of video v (its absolute error, or 0 and 1) is taken as

    y = mean + seed_s + video_v + clip_c + (seed x video)_sv + (seed x clip)_sc

with independent random terms: clips are nested in videos of unequal size, seeds crossed with both.
The variance of each term is solved from mean squares, which makes no assumption about
distributions. Estimates are unbiased and therefore sometimes negative; they are floored at zero
where they are used, and ``Components.floored`` says which.

Of two systems, the terms video and clip are those of their *difference*: both are scored on the
same clips, and what is hard for one is mostly hard for the other. Their seeds are two separate
factors, so that numbers of runs may differ.

Shapes: S runs, N clips, V source videos.

Source:
    Searle, Casella, McCulloch. Variance Components. Wiley, 1992, chapter 5: analysis-of-variance
    estimators for unbalanced data (Henderson's method I).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.data.datasets import Dataset
from harness.errors import SpecError, SubmissionError
from harness.metrics import Metric, Values, prepare
from harness.stats.power import resolution
from harness.stats.sums import ratio, sums_of

__all__ = [
    "SOURCES",
    "Components",
    "SeedTerms",
    "clip_scores",
    "components",
    "components_of_difference",
]

SOURCES = ("seed", "video", "clip", "seed_video", "seed_clip")
"""What varies: terms of the model, in this order everywhere."""

_FEWEST_RUNS = 2  # one run tells nothing about how runs vary, whatever the arithmetic allows


@dataclass(frozen=True, kw_only=True)
class SeedTerms:
    """What one more run changes in one system's scores: unbiased variances, possibly negative.

    Args:
        runs: S, the runs they were estimated from; with one run all three are zero.
        seed: Of the whole run.
        seed_video: Of the run on one video.
        seed_clip: Of the run on one clip, training noise that fits no other term included.
    """

    runs: int
    seed: float
    seed_video: float
    seed_clip: float


@dataclass(frozen=True, kw_only=True)
class Components:
    """Variance components of one system's scores, or of the difference between two systems.

    Args:
        mean: Mean score over runs and clips, or the difference of the two.
        clips: N.
        videos: V.
        effective_videos: N² / Σ n_v², the number of equal videos that would average as well.
        video: Unbiased variance of the term video.
        clip: Unbiased variance of the term clip; with one clip per video it is part of ``video``.
        systems: The seed terms of the system, or of both.
    """

    mean: float
    clips: int
    videos: int
    effective_videos: float
    video: float
    clip: float
    systems: tuple[SeedTerms, ...]

    @property
    def estimates(self) -> dict[str, float]:
        """Source -> unbiased variance, for one run of each system; may be negative."""
        return {
            "seed": sum(system.seed for system in self.systems),
            "video": self.video,
            "clip": self.clip,
            "seed_video": sum(system.seed_video for system in self.systems),
            "seed_clip": sum(system.seed_clip for system in self.systems),
        }

    @property
    def variances(self) -> dict[str, float]:
        """Source -> variance, for one run of each system; estimates below zero count as zero."""
        return self._variances([1] * len(self.systems))

    def _variances(self, runs: Sequence[int]) -> dict[str, float]:
        """The same for the mean over ``runs`` of each system, on one clip."""
        own = list(zip(self.systems, runs, strict=True))
        return {
            "seed": sum(max(0.0, system.seed) / n for system, n in own),
            "video": max(0.0, self.video),
            "clip": max(0.0, self.clip),
            "seed_video": sum(max(0.0, system.seed_video) / n for system, n in own),
            "seed_clip": sum(max(0.0, system.seed_clip) / n for system, n in own),
        }

    @property
    def floored(self) -> tuple[str, ...]:
        """Sources with an estimate below zero, of either system."""
        shared = {"video": self.video, "clip": self.clip}
        own = {
            name: min(getattr(system, name) for system in self.systems)
            for name in ("seed", "seed_video", "seed_clip")
        }
        return tuple(name for name in SOURCES if (shared | own)[name] < 0)

    @property
    def shares(self) -> dict[str, float]:
        """Source -> percent of the variance of one clip's score; NaN when nothing varies."""
        return _percent(self.variances)

    def of_mean(self, runs: int | None = None) -> dict[str, float]:
        """Source -> its part of the variance of ``mean`` over new seeds and new test clips.

        Args:
            runs: Runs of each system; None for as many as there are.
        """
        averaged = {
            "seed": 1.0,
            "video": self.effective_videos,
            "clip": self.clips,
            "seed_video": self.effective_videos,
            "seed_clip": self.clips,
        }
        of_clip = self._variances([runs or system.runs for system in self.systems])
        return {name: of_clip[name] / averaged[name] for name in SOURCES}

    def shares_of_mean(self, runs: int | None = None) -> dict[str, float]:
        """Source -> percent of the variance of ``mean``; NaN when nothing varies."""
        return _percent(self.of_mean(runs))

    def standard_error(self, runs: int | None = None) -> float:
        """Of ``mean``, over new seeds and new test clips from new videos."""
        return math.sqrt(sum(self.of_mean(runs).values()))

    def detectable(self, runs: int | None = None) -> float:
        """Smallest true mean that a two-sided 5 % test tells from zero with 80 % power."""
        return resolution(self.standard_error(runs))

    @property
    def floor(self) -> float:
        """``detectable`` with any number of runs: what clips and videos alone leave."""
        return resolution(math.sqrt(self._fixed))

    @property
    def _fixed(self) -> float:
        parts = self.of_mean(1)
        return parts["video"] + parts["clip"]

    def runs_needed(self, delta: float) -> int | None:
        """Runs of each system that make a true difference ``delta`` detectable.

        Normal approximation: a few more are needed where it answers fewer than five.

        Args:
            delta: True difference, > 0, in units of the score.

        Returns:
            The number, at least 2 where runs vary at all; None when no number is enough because
            ``floor`` is at ``delta`` or above.

        Raises:
            SpecError: For a ``delta`` that is not positive.
        """
        if not delta > 0:
            raise SpecError(f"a difference to detect is positive, found {delta:g}")
        per_run = sum(self.of_mean(1).values()) - self._fixed  # variance that more runs reduce
        room = (delta / resolution(1.0)) ** 2 - self._fixed  # what may remain of it
        if per_run <= 0:
            return 1 if room >= 0 else None
        return max(_FEWEST_RUNS, math.ceil(per_run / room)) if room > 0 else None


def _percent(parts: Mapping[str, float]) -> dict[str, float]:
    total = sum(parts.values())
    return {name: 100.0 * part / total if total else math.nan for name, part in parts.items()}


def clip_scores(
    pred: ArrayLike, truth: ArrayLike, metric: Metric, dataset: Dataset
) -> tuple[Values, NDArray[np.bool_]]:
    """Scores per clip, whose mean over clips is the metric.

    Args:
        pred: (S, N) predictions on the dataset's label scale.
        truth: (N,) labels.
        metric: MAE or an accuracy.
        dataset: Decides the metric's definition.

    Returns:
        (S, M) scores of the clips that count, and (N,) which those are.

    Raises:
        SpecError: For a metric that is not a mean over clips.
        SubmissionError: As ``harness.metrics.prepare``.
    """
    prepared = [prepare(run, truth, dataset) for run in np.atleast_2d(np.asarray(pred))]
    runs, labels = np.stack([values for values, _ in prepared]), prepared[0][1]  # (S, N), (N,)
    # Each clip is a video of its own, so that cells are scores per clip.
    sums = sums_of(runs, labels, np.arange(labels.size), metric.on(dataset))
    if sums is None or sums.read is not ratio:
        raise SpecError(
            f"{metric.name} is not a mean over clips, so it has no variance components",
            hint="choose mae or an accuracy",
        )
    score, counted = sums.cells[..., 0], sums.cells[0, :, 1] > 0  # (S, N), (N,)
    return score[:, counted], counted


def components(scores: Values, videos: ArrayLike) -> Components:
    """Components of one system.

    Args:
        scores: (S, N) score of each run on each clip. With S = 1 the seed terms are zero, which is
            true of systems that no seed changes and of no other.
        videos: (N,) source video of each clip, as text or integers.

    Raises:
        SubmissionError: For arrays that do not fit together, or fewer than two source videos.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=(4, 60))
        >>> found = components(noise, np.repeat(np.arange(12), 5))
        >>> found.shares["seed_clip"] > 80
        True
    """
    return _solve(scores.mean(axis=0), (scores,), videos)


def components_of_difference(a: Values, b: Values, videos: ArrayLike) -> Components:
    """Components of the score of A minus that of B on the same clips.

    Args:
        a: (S_a, N) scores of A; ``components`` explains S = 1.
        b: (S_b, N) scores of B.
        videos: (N,) source video of each clip.

    Raises:
        SubmissionError: As ``components``.
    """
    if a.shape[-1] != b.shape[-1]:
        raise SubmissionError(
            f"A and B must be scored on the same clips, found {a.shape[-1]} and {b.shape[-1]}"
        )
    return _solve(a.mean(axis=0) - b.mean(axis=0), (a, b), videos)


@dataclass(frozen=True, eq=False)
class _Layout:
    """Which clips lie in which video.

    Args:
        video: (N,) place of each clip's video.
        sizes: (V,) clips per video.
    """

    video: NDArray[np.intp]
    sizes: Values

    @classmethod
    def of(cls, videos: ArrayLike, clips: int) -> _Layout:
        names = np.asarray(videos)
        if names.shape != (clips,):
            raise SubmissionError(
                f"expected one source video per clip, found shape {names.shape} for {clips} clips"
            )
        _, video, sizes = np.unique(names, return_inverse=True, return_counts=True)
        if sizes.size < 2:
            raise SubmissionError(
                "the clips come from one source video: nothing tells how results vary between"
                " videos",
                hint="score clips of two source videos or more",
            )
        return cls(video, sizes.astype(np.float64))

    @property
    def clips(self) -> int:
        return self.video.size

    @property
    def videos(self) -> int:
        return self.sizes.size

    @property
    def weight(self) -> float:
        """Σ n_v² / N: how often a video's term enters the sum over clips."""
        return float((self.sizes**2).sum()) / self.clips

    @property
    def typical(self) -> float:
        """Clips per video in the expectation of a mean square between videos."""
        return (self.clips - self.weight) / (self.videos - 1)

    def split(self, x: Values) -> tuple[Values, Values]:
        """(R, N) rows into video means less the row's mean (R, V), and the rest within videos."""
        sums = np.stack([np.bincount(self.video, row, self.videos) for row in x])  # (R, V)
        means = sums / self.sizes  # (R, V)
        return means - x.mean(axis=1, keepdims=True), x - means[:, self.video]

    def mean_squares(self, x: Values, rows: int) -> tuple[float, float]:
        """Mean squares between and within videos over R rows with ``rows`` degrees of freedom.

        With one clip per video there is nothing within, and zero stands for it.
        """
        between, within = self.split(x)
        inner = self.clips - self.videos
        return (
            float((self.sizes * between**2).sum()) / (rows * (self.videos - 1)),
            float((within**2).sum()) / (rows * inner) if inner else 0.0,
        )


def _solve(mean: Values, systems: tuple[Values, ...], videos: ArrayLike) -> Components:
    layout = _Layout.of(videos, mean.size)
    terms = tuple(_seed_terms(scores, layout) for scores in systems)
    between, within = layout.mean_squares(mean[None], 1)  # of the mean over runs, (1, N)
    return Components(
        mean=float(mean.mean()),
        clips=layout.clips,
        videos=layout.videos,
        effective_videos=layout.clips / layout.weight,
        # The mean over S runs still holds a share 1 / S of their terms.
        video=(between - within) / layout.typical - sum(t.seed_video / t.runs for t in terms),
        clip=within - sum(t.seed_clip / t.runs for t in terms),
        systems=terms,
    )


def _seed_terms(scores: Values, layout: _Layout) -> SeedTerms:
    runs = len(scores)
    if runs == 1:
        return SeedTerms(runs=1, seed=0.0, seed_video=0.0, seed_clip=0.0)
    of_run = scores.mean(axis=1)  # (S,)
    crossed = scores - of_run[:, None] - scores.mean(axis=0) + scores.mean()  # (S, N)
    between, seed_clip = layout.mean_squares(crossed, runs - 1)  # rows add up to 0: S - 1 are free
    seed_video = (between - seed_clip) / layout.typical
    # A run's mean over clips has variance seed + (weight · seed_video + seed_clip) / N.
    seed = float(of_run.var(ddof=1)) - (layout.weight * seed_video + seed_clip) / layout.clips
    return SeedTerms(runs=runs, seed=seed, seed_video=seed_video, seed_clip=seed_clip)
