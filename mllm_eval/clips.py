"""A corpus's clips as they can be shown: each with its recording, where there is one.

Recordings are found by their names (:func:`mllm_eval.media.find_media`), or by a table beside them,
``manifest.csv`` with ``id`` and ``file`` and, for clips cut from a longer video, ``start`` and
``stop`` in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from harness import canonical
from harness.canonical import Json
from harness.errors import DataError
from mllm_eval.media import Clip, Sampling, find_media

__all__ = ["clips_of", "donors", "media_identity"]

_TABLE = "manifest.csv"
_Place = tuple[Path | None, float | None, float | None]
"""Recording, start and stop."""


def clips_of(table: pd.DataFrame, folder: Path | None) -> tuple[Clip, ...]:
    """The clips of a table, in its order.

    Args:
        table: ``Corpus.clips`` or a part of it: ``id``, ``video``, ``clip``, ``text``.
        folder: Of the recordings; None shows transcripts only.

    Raises:
        DataError: When the folder or a recording named in its table is missing, or the table cannot
            be read.
    """
    rows = table[["id", "video", "clip", "text"]].astype(str).itertuples(index=False, name=None)
    if folder is None:
        return tuple(Clip(id=name, text=text) for name, _, _, text in rows)
    listed = _listed(folder) if (folder / _TABLE).is_file() else None
    clips = []
    for name, video, clip, text in rows:
        if listed is None:
            place: _Place = (find_media(folder, video, clip), None, None)
        else:
            place = listed.get(name, (None, None, None))
        clips.append(Clip(id=name, text=text, media=place[0], start=place[1], stop=place[2]))
    return tuple(clips)


def _listed(folder: Path) -> dict[str, _Place]:
    """Clip id -> recording, start and stop, from the folder's table."""
    path = folder / _TABLE
    try:
        table = pd.read_csv(path, dtype={"id": str, "file": str, "start": float, "stop": float})
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}") from error
    missing = [name for name in ("id", "file") if name not in table]
    if missing:
        raise DataError(f"{path}: expected the columns id and file, found no {missing[0]}")
    table = table.reindex(columns=["id", "file", "start", "stop"])
    return {
        name: (_within(folder, file), _second(start), _second(stop))
        for name, file, start, stop in table.itertuples(index=False, name=None)
    }


def _second(cell: float) -> float | None:
    return None if math.isnan(cell) else float(cell)


def _within(folder: Path, file: object) -> Path:
    path = folder / str(file)
    if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"{_TABLE} names the recording {file}, which is not in {folder}")
    return path


def media_identity(clip: Clip, senses: Sequence[str], sampling: Sampling) -> str:
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
