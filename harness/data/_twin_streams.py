"""Rendering a story as feature streams: signals planted in nuisance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from harness.data._twin_texts import Telling, Utterance
from harness.data._twin_truth import Truth, clip_rng
from harness.data.corpus import STREAMS, Stream
from harness.data.datasets import Dataset
from harness.seeds import derive

__all__ = ["Nuisance", "Planting", "render"]

Shapes = Mapping[str, tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class Planting:
    """How strongly signals show in features, in units of the background's standard deviation."""

    opinion: float = 0.5
    """Of a unit of signal in the word that states it."""
    context: float = 0.25
    """Of a unit of the utterance's signal in every one of its words."""
    frame: float = 2.5
    """Of a unit of signal in the audio and vision frames of the window."""
    window: float = 0.2
    """Share of the frames in the window."""


@dataclass(frozen=True, kw_only=True)
class Nuisance:
    """What features show besides signals: the one place where domains could be made to differ."""

    word: float = 0.3
    """Standard deviation of a word's features about its own embedding."""
    speaker: float = 0.4
    """Standard deviation of a source video's constant offset."""
    memory: float = 0.5
    """Autocorrelation of background frames."""
    scales: tuple[float, float] = (0.3, 3.0)
    """Range of the feature scales, log-uniform over features."""


def render(
    dataset: Dataset,
    shapes: Shapes,
    aligned: bool,
    truth: Truth,
    utterances: Sequence[Utterance],
    *,
    planting: Planting,
    nuisance: Nuisance,
    telling: Telling,
    seed: int,
) -> dict[str, Stream]:
    ...
