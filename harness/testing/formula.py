"""Weights and clips that are functions of names, shapes and seeds, so that none has to be kept.

Whoever ran a published network on them can hand over its figures alone: predictions, losses and
gradients, which ``harness.testing.golden`` compares with ours. Weights come from integers, so they
are equal to the last bit on every machine.

Shapes: n clips, T steps of a stream, D features.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BERT",
    "LAYOUTS",
    "Layout",
    "Rehearsed",
    "draws",
    "epoch_batches",
    "rehearsed_clips",
    "weight",
]

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

_WORDS = 128
_FIRST_WORD, _OPENING, _CLOSING = 5, 2, 3  # ids
_SPACING, _MIX_A, _MIX_B = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB  # SplitMix64

BERT: Final[Mapping[str, int | float]] = MappingProxyType(
    {
        "vocab_size": _WORDS,
        "hidden_size": 768,
        "num_attention_heads": 12,
        "intermediate_size": 96,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
)
"""Settings of the text encoder, but for its number of layers."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Sizes of the clips: (T, D) of text, audio and vision, and the largest label."""

    text: tuple[int, int]
    audio: tuple[int, int]
    vision: tuple[int, int]
    span: float

    @property
    def streams(self) -> dict[str, tuple[int, int]]:
        """(T, D) by stream, in the order in which they are drawn."""
        return {"text": self.text, "audio": self.audio, "vision": self.vision}


LAYOUTS: Final[Mapping[str, Layout]] = MappingProxyType(
    {
        "mosi": Layout(text=(50, 768), audio=(75, 5), vision=(50, 20), span=3.0),
        "mosi-aligned": Layout(text=(50, 768), audio=(50, 5), vision=(50, 20), span=3.0),
        "mosi-short": Layout(text=(25, 768), audio=(75, 5), vision=(50, 20), span=3.0),
        "mosi-aligned-short": Layout(text=(25, 768), audio=(25, 5), vision=(25, 20), span=3.0),
        "sims-short": Layout(text=(20, 768), audio=(33, 33), vision=(27, 709), span=1.0),
        "sims-kuda": Layout(text=(39, 768), audio=(60, 33), vision=(55, 709), span=1.0),
    }
)


def weight(name: str, shape: tuple[int, ...]) -> Floats:
    """The value of a parameter or running statistic.

    With v in [-1, 1): ``running_var`` is 1 + |v| / 2 and ``running_mean`` v / 10; with one axis at
    most, a ``weight`` is 1 + v / 10 and anything else v / 10; tables with a leading axis of one
    are v / 2; other weights are v over the root of the values per row.

    Args:
        name: Its name in the network's ``state_dict``; the end of it decides.
        shape: Its shape.
    """
    v = _uniform(name, math.prod(shape)).reshape(shape)
    values: NDArray[np.float64]
    if name.endswith("running_var"):
        values = 1 + 0.5 * np.abs(v)
    elif name.endswith("running_mean"):
        values = 0.1 * v
    elif len(shape) <= 1:
        values = 0.1 * v + (1.0 if name.endswith("weight") else 0.0)
    elif len(shape) >= 3 and shape[0] == 1:
        values = 0.5 * v
    else:
        values = v / math.sqrt(math.prod(shape[1:]))
    return values.astype(np.float32)


def draws(shape: tuple[int, ...]) -> Floats:
    """In [-1, 1), what stands for random draws of a shape: the same ones at every call."""
    return _uniform("draws", math.prod(shape)).reshape(shape).astype(np.float32)


def _uniform(name: str, count: int) -> NDArray[np.float64]:
    """(count,) multiples of 2^-23 in [-1, 1): SplitMix64 of the name's CRC-32 and the position."""
    state = np.arange(1, count + 1, dtype=np.uint64)
    state += np.uint64(zlib.crc32(name.encode()) << 32)
    state *= np.uint64(_SPACING)  # arrays wrap around in silence
    for shift, factor in ((30, _MIX_A), (27, _MIX_B)):
        state ^= state >> np.uint64(shift)
        state *= np.uint64(factor)
    state ^= state >> np.uint64(31)
    state >>= np.uint64(40)  # 24 bits are left
    return state.astype(np.float64) / 2**23 - 1


@dataclass(frozen=True, eq=False, kw_only=True)
class Rehearsed:
    """Clips of a layout.

    Args:
        streams: ``text``, ``audio``, ``vision`` -> (n, T, D), zero from each length on.
        lengths: By stream (n,), 1 to T; the first clip fills its arrays.
        tokens: (n, 3, T of text) ids, mask and segments.
        labels: ``M``, ``T``, ``A``, ``V`` -> (n,), multiples of 0.2.
    """

    streams: Mapping[str, Floats]
    lengths: Mapping[str, Integers]
    tokens: Integers
    labels: Mapping[str, Floats]


def rehearsed_clips(layout: str, count: int, seed: int) -> Rehearsed:
    """``count`` clips of a layout; the draws and their order are part of the formula.

    Args:
        layout: Key of ``LAYOUTS``.
        count: n.
        seed: Of ``numpy.random.default_rng``.
    """
    sizes, rng = LAYOUTS[layout], np.random.default_rng(seed)
    streams, lengths = {}, {}
    for name, (steps, features) in sizes.streams.items():
        long = rng.integers(5 if name == "text" else 8, steps + 1, count)
        long[0] = steps
        values = rng.standard_normal((count, steps, features)).astype(np.float32)
        values[~_inside(long, steps)] = 0
        streams[name], lengths[name] = values, long.astype(np.int64)
    tokens = _tokens(rng, lengths["text"], sizes.text[0])
    main = _ratings(rng, count, sizes.span)
    main[1 % count] = 0
    labels = {"M": main, **{name: _ratings(rng, count, sizes.span) for name in "TAV"}}
    return Rehearsed(
        streams=streams,
        lengths=lengths,
        tokens=tokens,
        labels={name: values.astype(np.float32) for name, values in labels.items()},
    )


def _inside(lengths: Integers, steps: int) -> NDArray[np.bool_]:
    """(n,) -> (n, steps), True on true steps."""
    inside: NDArray[np.bool_] = np.arange(steps) < lengths[:, np.newaxis]
    return inside


def _tokens(rng: np.random.Generator, lengths: Integers, steps: int) -> Integers:
    """(n, 3, steps): random words between an opening and a closing token."""
    ids = rng.integers(_FIRST_WORD, _WORDS, (len(lengths), steps))
    ids[:, 0] = _OPENING
    ids[np.arange(len(ids)), lengths - 1] = _CLOSING
    mask = _inside(lengths, steps).astype(np.int64)
    return np.stack([ids * mask, mask, np.zeros_like(mask)], axis=1)


def _ratings(rng: np.random.Generator, count: int, span: float) -> NDArray[np.float64]:
    ratings: NDArray[np.float64] = np.round(5 * rng.uniform(-span, span, count)) / 5
    return ratings


def epoch_batches(count: int, size: int, epoch: int) -> list[Integers]:
    """Rows of the batches of an epoch counted from 1; the last may be small."""
    order = np.random.default_rng(1000 + epoch).permutation(count)
    return [order[start : start + size] for start in range(0, count, size)]
