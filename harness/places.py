"""Where the clips of a corpus are: their own recordings, or segments of whole videos.

In this order: a table ``manifest.csv`` beside the recordings, with ``id`` and ``file`` and, for
clips cut from a longer video, ``start`` and ``stop`` in seconds; a column ``file`` of the corpus; a
recording of the clip, by name; one of its whole video, by name. Of a ``file`` or a whole video the
clip is the segment from ``start`` to ``stop`` of the corpus.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from harness.errors import DataError
from harness.recording import find_media, find_video

__all__ = ["NOWHERE", "Place", "places"]

_TABLE = "manifest.csv"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where one clip is.

    Args:
        media: The recording; None where there is none.
        start: Begin of the clip within the recording, seconds; None for its beginning.
        stop: End of the clip within the recording, seconds; None for its end.
    """

    media: Path | None = None
    start: float | None = None
    stop: float | None = None


NOWHERE = Place()
"""Of a clip without a recording."""


def places(clips: pd.DataFrame, folder: Path) -> list[Place]:
    """One place per clip, in the order of the table.

    Args:
        clips: ``Corpus.clips`` or a part of it: ``id``, ``video``, ``clip``; perhaps ``file``,
            ``start``, ``stop``.
        folder: Of the recordings.

    Raises:
        DataError: For a missing folder, a table that cannot be read, a recording that it names and
            that is not there, a ``file`` that leads out of the folder, or a whole video of a clip
            without ``start`` and ``stop``.
    """
    if not folder.is_dir():
        raise DataError(f"expected a folder of recordings, found none: {folder}")
    if (folder / _TABLE).is_file():
        listed = _listed(folder)
        return [listed.get(str(name), NOWHERE) for name in clips["id"]]
    return [_place(row, folder) for row in clips.to_dict("records")]


def _listed(folder: Path) -> dict[str, Place]:
    """Clip id -> place, from the folder's table."""
    path = folder / _TABLE
    try:
        table = pd.read_csv(path, dtype={"id": str, "file": str, "start": float, "stop": float})
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}") from error
    missing = [name for name in ("id", "file") if name not in table]
    if missing:
        raise DataError(f"{path}: expected the columns id and file, found no {missing[0]}")
    return {str(row["id"]): _of_table(row, folder) for row in table.to_dict("records")}


def _of_table(row: Mapping[Any, Any], folder: Path) -> Place:
    path = folder / str(row["file"])
    if not path.is_file() or not _is_below(path, folder):
        raise DataError(f"{_TABLE} names the recording {row['file']}, which is not in {folder}")
    return Place(media=path, start=_second(row, "start"), stop=_second(row, "stop"))


def _place(row: Mapping[Any, Any], folder: Path) -> Place:
    named = row.get("file")
    if isinstance(named, str) and named:
        path = folder / named
        if not _is_below(path, folder):
            raise DataError(f"the file of clip {row['id']} lies outside {folder}: {named}")
        return Place(media=path, start=_second(row, "start"), stop=_second(row, "stop"))
    own = find_media(folder, str(row["video"]), str(row["clip"]))
    if own is not None:
        return Place(media=own)
    whole = find_video(folder, str(row["video"]))
    if whole is None:
        return NOWHERE
    start, stop = _second(row, "start"), _second(row, "stop")
    if start is None or stop is None:
        raise DataError(
            f"{whole.name} is a whole video; clip {row['id']} has no start and stop",
            hint="add the columns start and stop, in seconds, to the label file",
        )
    return Place(media=whole, start=start, stop=stop)


def _is_below(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _second(row: Mapping[Any, Any], name: str) -> float | None:
    cell = float(row.get(name, math.nan))
    return None if math.isnan(cell) else cell
