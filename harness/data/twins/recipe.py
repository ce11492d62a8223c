"""Every setting of a twin. Formulas are in ``twin``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness._util.canonical import Json, plain
from harness._util.seeds import derive
from harness.data.datasets import Dataset
from harness.data.twins.census import Census

__all__ = [
    "Nuisance",
    "Planting",
    "Shift",
    "Story",
    "Telling",
    "TwinRecipe",
    "shift_of",
    "story_of",
]

VERSION = 1
"""Of the generator: grows when the same name begins to give other content."""


@dataclass(frozen=True, kw_only=True)
class Story:
    """Who speaks, what is felt, and what each modality shows of it."""

    grid: float
    """Step of the label grid."""
    spread: float
    """About the standard deviation of the label: one unit of a signal."""
    negative: tuple[float, float] = (1.3, 1.6)
    """Kumaraswamy (a, b) of the strength of negative clips, as a share of the range."""
    positive: tuple[float, float] = (1.3, 1.6)
    """The same for positive clips."""
    icc: float = 0.1
    """Share of the score's variance that lies between source videos."""
    unevenness: float = 0.8
    """Log standard deviation of the number of clips per video."""
    shared: float = 1.0
    """Share of the test videos that also occur in train, where the splits share videos at all."""
    reliability: tuple[float, float, float] = (0.80, 0.56, 0.60)
    """rho of text, audio, vision: how much of a signal is the latent sentiment."""
    errors: tuple[float, float, float] = (0.0, 0.0, -0.6)
    """Correlation of the errors: text-audio, text-vision, audio-vision. Below 0: complementary."""
    conflict: float = 0.15
    """Share of clips in which one modality, each equally often, shows the opposite sentiment."""
    length: tuple[float, float] = (14.0, 0.6)
    """Median and log standard deviation of the length, in English words or Chinese characters,
    that a transcript is given at least (its last clause may exceed it)."""


@dataclass(frozen=True, kw_only=True)
class Telling:
    """How closely transcripts and explanations follow the signals."""

    unit: float = 0.6
    """Valence that a text signal of 1 is put into."""
    slip: float = 0.08
    """Standard deviation of an utterance's mean valence about its signal."""
    scatter: float = 0.25
    """Standard deviation of the single claims about that mean."""
    room: int = 12
    """Words (or characters) of an utterance for each claim after the first."""
    negated: float = -0.6
    """Factor of a negated opinion word."""
    truthful: float = 0.8
    """Probability that an explanation states the signal's level; else it states a random one."""
    levels: tuple[float, float] = (0.35, 1.1)
    """Size of a signal from which it is called positive (negative), and strongly so."""


@dataclass(frozen=True, kw_only=True)
class Planting:
    """What one unit of signal adds to a feature, in standard deviations of its background."""

    opinion: float = 0.5
    """In the word that states it."""
    context: float = 0.25
    """In every word of the utterance."""
    frame: float = 2.5
    """In the audio and vision frames of the window."""
    window: float = 0.2
    """Share of the frames that lie in the window."""


@dataclass(frozen=True, kw_only=True)
class Nuisance:
    """What features show besides signals, alike in all domains."""

    word: float = 0.3
    """Standard deviation of a word's features about its own embedding."""
    speaker: float = 0.4
    """Standard deviation of a source video's constant offset."""
    memory: float = 0.5
    """Autocorrelation of neighbouring frames."""
    scales: tuple[float, float] = (0.3, 3.0)
    """Range of the standard deviations of features, log-uniform."""


@dataclass(frozen=True, kw_only=True)
class Shift:
    """A nuisance that goes with the sentiment, in every domain otherwise."""

    strength: float
    """kappa, -1 to 1: how much of it is the latent sentiment; below 0 it shows the opposite."""
    size: float = 0.5
    """What one unit of it adds to every audio and vision frame, in standard deviations of the
    background: as much as one unit of signal adds on average."""


@dataclass(frozen=True, kw_only=True)
class TwinRecipe:
    """One twin: the dataset imitated, its size and seed, and all settings."""

    dataset: Dataset
    shapes: Mapping[str, tuple[int, int]]
    """Stream -> (frames, features)."""
    aligned: bool
    """Whether audio and vision have one frame per word."""
    percent: int
    seed: int
    story: Story
    telling: Telling = Telling()
    planting: Planting = Planting()
    nuisance: Nuisance = Nuisance()
    shift: Shift | None = None
    """None: domains differ by their stories alone."""
    census: Census | None = None
    """What the numbers of the streams look like; None: dense noise."""

    def rng(self, *names: str) -> np.random.Generator:
        """The generator of one purpose, the same in every shape and scale of the twin."""
        return np.random.default_rng(derive(self.seed, "twin", self.dataset.name, *names))

    def record(self) -> Json:
        """All settings, for the manifest."""
        settings = (self.story, self.telling, self.planting, self.nuisance, self.shift)
        return {
            "version": VERSION,
            "percent": self.percent,
            "seed": self.seed,
            **{type(part).__name__.lower(): plain(part) for part in settings if part is not None},
            **({} if self.census is None else {"census": self.census.json()}),
        }


_STORIES = {
    "mosi": Story(
        grid=0.2,
        spread=1.6,
        negative=(1.28, 1.63),
        positive=(1.31, 1.56),
        icc=0.28,
        unevenness=0.45,
        length=(10.0, 0.6),
    ),
    "mosei": Story(
        grid=1 / 3,
        spread=1.1,
        negative=(0.85, 1.46),
        positive=(0.93, 2.19),
        icc=0.44,
        reliability=(0.76, 0.50, 0.54),
        errors=(0.0, 0.0, -0.5),
        length=(16.0, 0.6),
    ),
    "sims": Story(
        grid=0.2,
        spread=0.7,
        negative=(0.38, 0.23),
        positive=(0.53, 0.37),
        icc=0.04,
        reliability=(0.70, 0.54, 0.60),
        length=(11.0, 0.45),
    ),
    "simsv2": Story(
        grid=0.2,
        spread=0.65,
        negative=(0.86, 0.49),
        positive=(1.39, 0.99),
        icc=0.09,
        shared=128 / 145,
        reliability=(0.70, 0.54, 0.60),
        length=(12.5, 0.45),
    ),
}


def story_of(dataset: Dataset) -> Story:
    """The dataset's story; a plain one for a dataset that has none of its own."""
    width = dataset.high - dataset.low
    plain_story = Story(grid=dataset.grid or width / 30, spread=width / 4)
    return _STORIES.get(dataset.name, plain_story)


_STRENGTHS = {"mosi": 0.8, "mosei": 0.5, "sims": -0.7, "simsv2": -0.7}
"""Of the nuisance: two domains agree on its sign, not on its size; the third contradicts them."""


def shift_of(dataset: Dataset) -> Shift:
    """The nuisance of the dataset's domain; a middling one for a dataset of no known domain."""
    return Shift(strength=_STRENGTHS.get(dataset.name, 0.7))
