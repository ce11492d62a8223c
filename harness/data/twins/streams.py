"""Rendering a story as feature streams: signals planted in nuisance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from harness._util.seeds import derive
from harness.data.corpus import Stream
from harness.data.twins.census import imposed, scaled_lengths
from harness.data.twins.recipe import Nuisance, TwinRecipe
from harness.data.twins.texts import Utterance
from harness.data.twins.truth import TwinTruth

__all__ = ["render"]


def render(
    recipe: TwinRecipe, truth: TwinTruth, utterances: Sequence[Utterance]
) -> dict[str, Stream]:
    """The text, audio and vision streams of all clips."""
    words = np.array([len(utterance.words) for utterance in utterances])
    streams = {
        "text": _text(recipe, truth, utterances),
        "audio": _frames(recipe, "audio", truth, truth.signals[:, 1], words),
        "vision": _frames(recipe, "vision", truth, truth.signals[:, 2], words),
    }
    if recipe.census is None:
        return streams
    return {
        name: imposed(
            stream,
            recipe.census.streams[name],
            [recipe.rng(clip, name, "zeros") for clip in truth.clips["id"]],
        )
        for name, stream in streams.items()
    }


def _text(recipe: TwinRecipe, truth: TwinTruth, utterances: Sequence[Utterance]) -> Stream:
    """One frame per word: its embedding, what it and the whole utterance express, and noise."""
    frames, dim = recipe.shapes["text"]
    direction, planting = _direction("text", dim), recipe.planting
    table = {word: _word(word, dim) for word in {w for said in utterances for w in said.words}}
    lengths = np.array([min(len(said.words), frames) for said in utterances])
    values = np.zeros((len(lengths), frames, dim), dtype=np.float32)
    for row, (clip, said) in enumerate(zip(truth.clips["id"], utterances, strict=True)):
        length = int(lengths[row])
        embedded = np.stack([table[word] for word in said.words[:length]])
        strength = planting.opinion * np.array(said.valences[:length])
        strength += planting.context * said.mean
        embedded += strength[:, None] / recipe.telling.unit * direction
        noise = recipe.rng(clip, "text").standard_normal((length, dim))
        values[row, :length] = embedded + recipe.nuisance.word * noise
    return Stream(values, lengths)


def _frames(
    recipe: TwinRecipe,
    name: str,
    truth: TwinTruth,
    signals: NDArray[np.float64],
    words: NDArray[np.int64],
) -> Stream:
    """Background everywhere, the clip's signal in one window of it."""
    frames, dim = recipe.shapes[name]
    clips, planting = truth.clips, recipe.planting
    direction, scale = _direction(name, dim), _scale(name, dim, recipe.nuisance)
    offsets = _offsets(recipe, name, truth)
    speakers = {v: recipe.rng(v, name).standard_normal(dim) for v in clips["video"].unique()}
    lengths = _lengths(recipe, name, truth, words)
    values = np.zeros((len(lengths), frames, dim), dtype=np.float32)
    for row, (clip, video) in enumerate(zip(clips["id"], clips["video"], strict=True)):
        length = int(lengths[row])
        rng = recipe.rng(clip, name)
        clip_values = background(recipe.nuisance, speakers[video], length, rng)
        width = max(1, round(planting.window * length))
        start = int(rng.integers(length - width + 1))
        clip_values[start : start + width] += planting.frame * signals[row] * direction
        if offsets is not None:
            clip_values += offsets[row]
        values[row, :length] = clip_values * scale
    return Stream(values, lengths)


def _offsets(recipe: TwinRecipe, name: str, truth: TwinTruth) -> NDArray[np.float64] | None:
    """(N, D) what the nuisance adds to every frame of a clip; None without one."""
    if recipe.shift is None or truth.nuisance is None:
        return None
    return recipe.shift.size * truth.nuisance[:, None] * _aside(name, recipe.shapes[name][1])


def background(
    nuisance: Nuisance, speaker: NDArray[np.float64], length: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(length, D) frames without any signal: the speaker's offset (D,) plus AR(1) noise.

    Each feature of the noise has unit variance at every frame.
    """
    shocks = rng.standard_normal((length, len(speaker)))
    shocks[1:] *= np.sqrt(1 - nuisance.memory**2)
    noise = lfilter([1.0], [1.0, -nuisance.memory], shocks, axis=0)
    return np.asarray(noise + nuisance.speaker * speaker)


def _lengths(
    recipe: TwinRecipe, name: str, truth: TwinTruth, words: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(N,) frames per clip: one per word, or in proportion to the words, at a varying pace."""
    frames = recipe.shapes[name][0]
    if recipe.aligned:
        return np.minimum(words, frames)
    share = words / recipe.shapes["text"][0]
    pace = [recipe.rng(clip, name, "pace").uniform(0.8, 1.2) for clip in truth.clips["id"]]
    lengths = np.clip(np.round(frames * share * pace), 1, frames).astype(np.int64)
    if recipe.census is None:
        return lengths
    return scaled_lengths(lengths, recipe.census.streams[name])


# The encoder is frozen: what follows is the same for every dataset and seed.


def _word(word: str, dim: int) -> NDArray[np.float64]:
    """(D,) embedding of a word."""
    return _frozen("word", word, dim).standard_normal(dim)


def _direction(stream: str, dim: int) -> NDArray[np.float64]:
    """(D,) of 1 and -1: the way a positive signal moves each feature."""
    return _frozen("direction", stream, dim).choice([-1.0, 1.0], dim)


def _aside(stream: str, dim: int) -> NDArray[np.float64]:
    """(D,) of 1 and -1: ``_direction`` with half of the features turned, at right angles to it."""
    turned = _frozen("aside", stream, dim).permutation(np.arange(dim)) < dim // 2
    return np.where(turned, -1.0, 1.0) * _direction(stream, dim)


def _scale(stream: str, dim: int, nuisance: Nuisance) -> NDArray[np.float64]:
    """(D,) standard deviation of each feature's background."""
    low, high = np.log(nuisance.scales)
    return np.exp(_frozen("scale", stream, dim).uniform(low, high, dim))


def _frozen(*names: str | int) -> np.random.Generator:
    return np.random.default_rng(derive(0, "twin encoder", *names))
