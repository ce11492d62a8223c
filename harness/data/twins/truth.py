"""Telling a twin's story: source videos, latent sentiment, signals and labels of every clip.

A story is always told at the official size of the dataset and cut down afterwards, so a clip is the
same in every twin of one dataset and seed, whatever its scale and feature set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness._util.seeds import derive
from harness.data.datasets import SPLITS
from harness.data.twins.law import TwinLaw, nuisance
from harness.data.twins.recipe import TwinRecipe

__all__ = ["TwinTruth", "draw_truth", "keep"]

FEWEST_CLIPS = 20
FEWEST_VIDEOS = 5
"""What each split of a scaled twin keeps at least, lest clustered statistics be void."""


@dataclass(frozen=True, eq=False)
class TwinTruth:
    """What is true of N clips, before anything is rendered.

    Args:
        clips: ``id, video, clip, split``, ordered by split and video.
        labels: (N,) on the label grid.
        signals: (N, 3) what text, audio and vision show; about unit variance.
        conflict: (N,) index into ``CONFLICTS``.
        nuisance: (N,) what audio and vision show besides, about unit variance; None without one.
    """

    clips: pd.DataFrame
    labels: NDArray[np.float64]
    signals: NDArray[np.float64]
    conflict: NDArray[np.int64]
    nuisance: NDArray[np.float64] | None = None

    def __getitem__(self, rows: NDArray[np.bool_]) -> TwinTruth:
        clips = self.clips[rows].reset_index(drop=True)
        nuisance = None if self.nuisance is None else self.nuisance[rows]
        return TwinTruth(
            clips, self.labels[rows], self.signals[rows], self.conflict[rows], nuisance
        )

    def rows(self, split: str) -> NDArray[np.bool_]:
        """(N,) which clips are of one split."""
        return (self.clips["split"] == split).to_numpy()


def draw_truth(recipe: TwinRecipe) -> TwinTruth:
    """Every clip of the twin at official size."""
    clips, story = _layout(recipe), recipe.story
    draws = np.array([_draw(recipe.rng(clip, "story")) for clip in clips["id"]])
    effects = {v: recipe.rng(v, "effect").standard_normal() for v in clips["video"].unique()}
    score = np.sqrt(story.icc) * clips["video"].map(effects).to_numpy(dtype=np.float64)
    score += np.sqrt(1 - story.icc) * draws[:, 0]
    truth = TwinTruth(
        clips,
        labels=np.empty(len(clips)),
        signals=np.empty((len(clips), 3)),
        conflict=np.empty(len(clips), dtype=np.int64),
        nuisance=None if recipe.shift is None else np.empty(len(clips)),
    )
    for split in SPLITS:
        law, rows = TwinLaw(recipe.dataset, story, recipe.dataset.splits[split]), truth.rows(split)
        latent = law.latent(_uniform_ranks(score[rows]))
        bounds = law.conflict_shares[:-1].cumsum()
        conflict = np.searchsorted(bounds, draws[rows, 1], side="right")
        truth.labels[rows] = law.label(latent)
        truth.signals[rows] = law.shown(latent, conflict) + law.errors(draws[rows, 2:])
        truth.conflict[rows] = conflict
        if recipe.shift is not None and truth.nuisance is not None:
            chances = [recipe.rng(clip, "nuisance").standard_normal() for clip in clips["id"][rows]]
            truth.nuisance[rows] = nuisance(recipe.shift, latent / story.spread, np.array(chances))
    return truth


def _draw(rng: np.random.Generator) -> tuple[float, ...]:
    """Score, conflict chance and three error terms of one clip."""
    return (rng.standard_normal(), rng.random(), *rng.standard_normal(3))


def _uniform_ranks(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks in (0, 1), so that the official counts of each sign come out exactly."""
    ranks = np.empty(len(score))
    ranks[np.argsort(score, kind="stable")] = np.arange(len(score))
    return (ranks + 0.5) / len(score)


def _layout(recipe: TwinRecipe) -> pd.DataFrame:
    """Which clips exist: official counts of clips and videos per split."""
    numbers: Counter[str] = Counter()
    rows = []
    for split in SPLITS:
        for video, size in _videos(recipe, split):
            for number in range(numbers[video] + 1, numbers[video] + size + 1):
                clip = f"{number:04d}"
                rows.append((recipe.dataset.clip_id(video, clip), video, clip, split))
            numbers[video] += size
    return pd.DataFrame(rows, columns=["id", "video", "clip", "split"])


def _videos(recipe: TwinRecipe, split: str) -> Iterator[tuple[str, int]]:
    """Videos of a split with their numbers of clips: log-normal shares, at least one each."""
    counts = recipe.dataset.splits[split]
    normals = recipe.rng(split, "videos").standard_normal(counts.videos)
    shares = np.exp(recipe.story.unevenness * normals).cumsum()
    spare = np.round((counts.clips - counts.videos) * shares / shares[-1]).astype(int)
    first = _first_video(recipe, split)
    for i, extra in enumerate(np.diff(spare, prepend=0).tolist()):
        yield f"{recipe.dataset.name}-twin-{first + i:04d}", 1 + extra


def _first_video(recipe: TwinRecipe, split: str) -> int:
    """Where a split begins in the dataset's row of videos."""
    train, valid, test = (recipe.dataset.splits[name].videos for name in SPLITS)
    if not recipe.dataset.splits_share_videos:
        return dict(zip(SPLITS, (0, train, train + valid), strict=True))[split]
    return max(0, train - round(recipe.story.shared * test)) if split == "test" else 0


def keep(truth: TwinTruth, recipe: TwinRecipe) -> TwinTruth:
    """The recipe's percentage of each split: whole videos, or thinned ones where they are few.

    All splits choose videos in one order, so that videos shared between splits tend to stay shared.
    """
    if recipe.percent == 100:
        return truth
    name = recipe.dataset.name
    order = {v: derive(recipe.seed, "twin", name, v, "kept") for v in truth.clips["video"].unique()}
    turns = truth.clips["video"].map(order).to_numpy(dtype=np.int64)
    kept = np.zeros(len(turns), dtype=bool)
    for split in SPLITS:
        kept[truth.rows(split)] = _kept(turns[truth.rows(split)], recipe.percent)
    return truth[kept]


def _kept(turns: NDArray[np.int64], percent: int) -> NDArray[np.bool_]:
    """Which clips of one split stay; ``turns`` (n,) says when the video of each is chosen."""
    target = min(len(turns), max(FEWEST_CLIPS, round(len(turns) * percent / 100)))
    _, video, sizes = np.unique(turns, return_inverse=True, return_counts=True)
    enough = int(np.searchsorted(sizes.cumsum(), target)) + 1
    taken = min(len(sizes), max(enough, FEWEST_VIDEOS))
    share = 1.0 if taken == enough else target / sizes[:taken].sum()
    quota = np.ceil(share * sizes)
    quota[taken:] = 0
    position = pd.Series(video).groupby(video).cumcount().to_numpy()
    return np.asarray(position < quota[video])
