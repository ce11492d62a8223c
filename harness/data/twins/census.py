"""Twins whose numbers look like those of a real feature file: range, zeros, padding.

A twin's streams are dense Gaussian noise of clips that fill what they are given. Real files are
not: aligned ones have rows of zeros for words without a frame, features that never say anything,
clips without a face, values far out. A census counts that in a file which somebody has, and holds
figures alone; a twin made from it has them, and its story, its signals and its ceilings still.

The twin is called by the census: ``mosi-twin@aligned-50-like-1a2b3c4d``, whose last part is the
begin of the census's digest, so that one name has one content everywhere.

Imposed on each stream, in this order: whole features, clips and frames of zeros, single zeros, then
a map of what is left onto the range, in which larger values stay the larger, so that mean and
deviation over the frames within the lengths come out too. Which frames are zero is drawn clip by
clip and knows nothing of labels. Lengths follow the median of the text stream, and where
streams are not aligned each one's own padding.

Shapes: n clips, T frames, D features.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from harness._util import canonical
from harness._util.canonical import Json
from harness.data.audit.census import StreamCensus, take_census
from harness.data.corpus import STREAMS, Corpus, Stream
from harness.errors import DataError, StoreError

__all__ = ["Census", "imposed", "scaled_lengths"]

_SHAPE = re.compile(r"[a-z]+(?:-[0-9]+)?")
_MARK = 8  # hexadecimal digits of the digest in a twin's name
_KNOTS = 20_000  # quantiles that values are mapped by
_LOOKED_AT = 1_000_000  # values whose quantiles stand for all


@dataclass(frozen=True, kw_only=True)
class Census:
    """What a corpus's streams are like, in figures.

    Args:
        dataset: Its dataset's name.
        feature_set: Of the corpus, its first word and number: what its twins are called.
        streams: Stream -> counts.
    """

    dataset: str
    feature_set: str
    streams: Mapping[str, StreamCensus]

    @classmethod
    def of(cls, corpus: Corpus) -> Census:
        """Count a corpus.

        Raises:
            DataError: For one without text, audio and vision, or a feature set whose name begins
                with no word.
        """
        shape = _SHAPE.match(corpus.feature_set)
        if shape is None:
            raise DataError(f"a twin cannot be called after the feature set {corpus.feature_set}")
        lacking = [name for name in STREAMS if name not in corpus.streams]
        if lacking:
            raise DataError(
                f"{corpus.name} has no {' and no '.join(lacking)} stream; a twin has all three",
                hint="take the census of an MMSA feature file: msa data add FILE",
            )
        return cls(
            dataset=corpus.dataset.name,
            feature_set=shape[0],
            streams={name: take_census(corpus.streams[name]) for name in STREAMS},
        )

    @classmethod
    def loads(cls, text: str, where: str) -> Census:
        """Read what ``dumps`` wrote.

        Raises:
            DataError: Naming ``where``, for anything else.
        """
        try:
            table = json.loads(text)
            streams = {
                str(name): StreamCensus.of(counted, f"stream {name}")
                for name, counted in table["streams"].items()
            }
            census = cls(
                dataset=str(table["dataset"]),
                feature_set=str(table["feature_set"]),
                streams=streams,
            )
            sound = set(streams) == set(STREAMS) and all(map(_is_sound, streams.values()))
        except (KeyError, TypeError, ValueError, AttributeError, StoreError) as error:
            raise DataError(f"{where} is no census: {error}", hint=_HINT) from error
        if not sound:
            raise DataError(f"{where} is no census: its figures contradict each other", hint=_HINT)
        return census

    def dumps(self) -> str:
        """As JSON, to be read by people too."""
        table = {
            "dataset": self.dataset,
            "feature_set": self.feature_set,
            "streams": self.json(),
        }
        return json.dumps(table, indent=1) + "\n"

    @property
    def mark(self) -> str:
        """What its twins' names end in."""
        return canonical.digest(self.json())[:_MARK]

    def json(self) -> dict[str, Json]:
        """The figures of each stream."""
        return {name: part.json() for name, part in self.streams.items()}

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """Stream -> frames and features."""
        return {name: (part.frames, part.features) for name, part in self.streams.items()}


_HINT = "msa data census CORPUS --out FILE writes one"


def _is_sound(part: StreamCensus) -> bool:
    """Whether a stream could be like that."""
    shares = (part.padding, part.zero_values, part.zero_frames, part.zero_clips)
    sizes = (part.clips, part.frames, part.features, part.shortest)
    figures = (part.low, part.high, part.mean, part.deviation)
    return (
        all(0 <= share <= 1 for share in shares)
        and min(sizes) >= 1
        and all(map(math.isfinite, figures))
        and part.low <= part.mean <= part.high
        and 0 <= part.zero_features < part.features
        and part.shortest <= part.median <= part.longest <= part.frames
    )


def scaled_lengths(lengths: NDArray[np.int64], census: StreamCensus) -> NDArray[np.int64]:
    """(n,) lengths whose mean leaves the census's padding, between its shortest and longest."""
    wanted = (1 - census.padding) * census.frames
    factor = wanted / max(float(lengths.mean()), 1.0)
    scaled = np.round(lengths * factor).astype(np.int64)
    return np.clip(scaled, census.shortest, census.longest)


def imposed(stream: Stream, census: StreamCensus, rngs: list[np.random.Generator]) -> Stream:
    """The stream with the census's zeros, moments and range.

    Args:
        stream: (n, T, D) dense within its lengths.
        census: Of T frames and D features.
        rngs: One generator per clip, for its zeros.
    """
    values = np.array(stream.values, dtype=np.float32)
    inside = np.arange(stream.frames) < stream.lengths[:, None]  # (n, T)
    occupied = _occupied(inside, census, rngs, stream.dim)
    _set_moments(values, occupied, census)
    values[~occupied] = 0
    return Stream(values, stream.lengths)


def _occupied(
    inside: NDArray[np.bool_], census: StreamCensus, rngs: list[np.random.Generator], dim: int
) -> NDArray[np.bool_]:
    """(n, T, D) which values are not zero."""
    frames = _beyond(census.zero_frames, census.zero_clips)
    shown = (1 - census.zero_frames) * (1 - census.zero_features / dim)
    single = _beyond(census.zero_values, 1 - shown)
    found = np.repeat(inside[:, :, None], dim, axis=2)
    found[:, :, dim - census.zero_features :] = False
    for row, rng in enumerate(rngs):
        blank = rng.random() < census.zero_clips
        empty = np.less(rng.random((inside.shape[1], 1)), frames)
        zero = np.less(rng.random(found.shape[1:]), single)
        found[row] &= ~(blank | empty | zero)
    return found


def _beyond(share: float, already: float) -> float:
    """Of what is not yet zero, the part that has to become so."""
    return 0.0 if already >= 1 else max(0.0, (share - already) / (1 - already))


def _set_moments(
    values: NDArray[np.float32], occupied: NDArray[np.bool_], census: StreamCensus
) -> None:
    """Give what is shown a Beta law over the census's range, larger values staying the larger.

    With the zeros, its mean and deviation are the census's; a range is far wider than either on one
    side in most files, which a linear map would have to cut off.
    """
    shown = values[occupied].astype(np.float64)
    width = census.high - census.low
    if not shown.size or not width:
        values[occupied] = census.low
        return
    places = (np.arange(_KNOTS) + 0.5) / _KNOTS
    knots = np.quantile(shown[:: 1 + shown.size // _LOOKED_AT], places)
    mean, variance = ((part - base) / scale for part, base, scale in _shown_moments(census))
    concentration = mean * (1 - mean) / variance - 1
    law = betaincinv(mean * concentration, (1 - mean) * concentration, places)
    mapped = census.low + width * np.interp(shown, knots, law)
    mapped[shown.argmin()], mapped[shown.argmax()] = census.low, census.high
    values[occupied] = mapped.astype(np.float32)


def _shown_moments(census: StreamCensus) -> tuple[tuple[float, float, float], ...]:
    """Mean and variance of what is not zero, each with what makes it one of values in [0, 1]."""
    width = census.high - census.low
    share = max(1 - census.zero_values, 1e-9)
    inner = 1e-6 * width
    mean = float(np.clip(census.mean / share, census.low + inner, census.high - inner))
    variance = (census.deviation**2 + census.mean**2) / share - mean**2
    widest = (mean - census.low) * (census.high - mean)  # of all values at the two ends
    variance = float(np.clip(variance, 1e-9 * widest, 0.99 * widest))
    return (mean, census.low, width), (variance, 0.0, width**2)
