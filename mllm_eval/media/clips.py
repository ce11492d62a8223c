"""A corpus's clips as they can be shown: each with its recording, where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from harness._util import canonical
from harness._util.canonical import Json
from harness.data.media.locate import NOWHERE, places
from harness.errors import DataError
from mllm_eval.media.sampling import Clip, FrameSampling

__all__ = ["clips_of", "donors", "media_identity"]


def clips_of(table: pd.DataFrame, folder: Path | None) -> tuple[Clip, ...]:
    """The clips of a table, in its order.

    Args:
        table: ``Corpus.clips`` or a part of it: ``id``, ``video``, ``clip``, ``text``.
        folder: Of the recordings; None shows transcripts only.

    Raises:
        DataError: See ``harness.data.media.locate.places``.
    """
    found = [NOWHERE] * len(table) if folder is None else places(table, folder)
    named = zip(table["id"].astype(str), table["text"].astype(str), found, strict=True)
    return tuple(
        Clip(
            id=name,
            text=text,
            media=place.media,
            start=place.start,
            stop=place.stop,
            problem=place.problem,
        )
        for name, text, place in named
    )


def media_identity(clip: Clip, senses: Sequence[str], sampling: FrameSampling) -> str:
    """SHA-256 of what decides the media parts of a clip, found without decoding anything.

    It covers the recording's bytes, the cut, the sampling of frames and the version of the decoder.

    Args:
        clip: The clip.
        senses: Which of ``vision`` and ``audio`` are shown.
        sampling: How frames are sampled.

    Returns:
        64 hexadecimal digits; empty when no media are shown.
    """
    media = [sense for sense in ("vision", "audio") if sense in senses]
    if clip.media is None or not media:
        return ""
    shown: dict[str, Json] = {
        "recording": _bytes_of(clip.media),
        "start": clip.start,
        "stop": clip.stop,
        "senses": media,
        "decoder": f"av {version('av')}",
    }
    if "vision" in media:
        shown["sampling"] = canonical.plain(sampling)
    return canonical.digest(shown)


@cache
def _bytes_of(path: Path) -> str:
    """One video holds many clips; it is read once per process."""
    return canonical.file_digest(path)


def donors(videos: Sequence[str], generator: np.random.Generator) -> list[int]:
    """Whose material each clip gets in a control that swaps clips.

    A random permutation of N clips in which no clip keeps its own and, as far as the clips allow,
    none gets that of its own source video.

    Args:
        videos: (N,) source video of each clip.
        generator: Of the permutation.

    Raises:
        DataError: For fewer than two clips.

    Example:
        >>> donors(["a", "a", "b", "b"], np.random.default_rng(0))
        [3, 2, 0, 1]
    """
    names = np.asarray(videos)
    if names.size < 2:
        raise DataError(f"swapping takes two clips or more, found {names.size}")
    order = generator.permutation(names.size)
    for groups in (np.arange(names.size), names):
        for place in np.flatnonzero(groups[order] == groups):
            partners = np.flatnonzero(
                (groups[order] != groups[place]) & (groups != groups[order[place]])
            )
            if partners.size:
                other = generator.choice(partners)
                order[[place, other]] = order[[other, place]]
    return [int(donor) for donor in order]
