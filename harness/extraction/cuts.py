"""Where the clips of a corpus are: their own recordings, or segments of whole videos."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.data.corpus import Corpus
from harness.errors import DataError
from harness.extraction import Cut
from harness.recording import find_media, find_video

__all__ = ["cuts"]


def cuts(corpus: Corpus, media: Path, tables: Path | None = None) -> list[Cut]:
    """One cut per clip, in the order of the corpus.

    A column ``file`` names a recording below ``media``; without it, a recording of the clip is
    looked for, then one of its whole video. Of a ``file`` or a whole video, the segment from
    ``start`` to ``stop`` (columns, seconds) is the clip; a clip without a recording has none.

    Args:
        corpus: With the clips.
        media: Folder of recordings.
        tables: Folder of OpenFace tables, one ``<clip id>.csv`` each.

    Raises:
        DataError: For a missing folder, a ``file`` that leads out of it, or a whole video without
            ``start`` and ``stop``.
    """
    for folder in filter(None, (media, tables)):
        if not folder.is_dir():
            raise DataError(f"expected a folder, found none: {folder}")
    return [_cut(row, media, tables) for row in corpus.clips.to_dict("records")]


def _cut(row: Mapping[Any, Any], media: Path, tables: Path | None) -> Cut:
    clip = str(row["id"])
    table = None if tables is None else tables / f"{clip}.csv"
    table = table if table is not None and table.is_file() else None
    named = str(row.get("file") or "")
    if named:
        return _segment(row, clip, _below(media, named, clip), table)
    own = find_media(media, str(row["video"]), str(row["clip"]))
    if own is not None:
        return Cut(id=clip, media=own, table=table)
    whole = find_video(media, str(row["video"]))
    if whole is None:
        return Cut(id=clip, media=None, table=table)
    if math.isnan(_seconds(row, "start")) or math.isnan(_seconds(row, "stop")):
        raise DataError(
            f"{whole.name} is a whole video; clip {clip} has no start and stop",
            hint="add the columns start and stop, in seconds, to the label file",
        )
    return _segment(row, clip, whole, table)


def _segment(row: Mapping[Any, Any], clip: str, path: Path, table: Path | None) -> Cut:
    start, stop = _seconds(row, "start"), _seconds(row, "stop")
    return Cut(
        id=clip,
        media=path,
        start=0.0 if math.isnan(start) else start,
        stop=None if math.isnan(stop) else stop,
        table=table,
    )


def _seconds(row: Mapping[Any, Any], name: str) -> float:
    return float(row.get(name, math.nan))


def _below(folder: Path, name: str, clip: str) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"the file of clip {clip} lies outside {folder}: {name}")
    return path
