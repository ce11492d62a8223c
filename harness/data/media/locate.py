"""Where the clips of a corpus are: their own recordings, or segments of whole videos.

In this order: a table ``manifest.csv`` beside the recordings, with ``id`` and ``file`` and, for
clips cut from a longer video, ``start`` and ``stop`` in seconds; a column ``file`` of the corpus; a
recording of the clip, by name; one of its whole video, by name. Of a ``file`` or a whole video the
clip is the segment from ``start`` to ``stop`` of the corpus. A clip whose times make no segment has
no place, and says why; such times in ``manifest.csv`` are refused.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from harness.data.media.decode import find_media, find_video
from harness.data.readers.tables import InputTable, read_table
from harness.errors import DataError

__all__ = ["NOWHERE", "Recording", "places"]

_TABLE = "manifest.csv"

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Recording:
    """Where one clip is.

    Args:
        media: The recording; None where there is none.
        start: Begin of the clip within the recording, seconds; None for its beginning.
        stop: End of the clip within the recording, seconds; None for its end.
        problem: Why there is no place though there is a recording; empty otherwise.
    """

    media: Path | None = None
    start: float | None = None
    stop: float | None = None
    problem: str = ""


NOWHERE = Recording()
"""Of a clip without a recording."""


def places(clips: pd.DataFrame, folder: Path, *, whole: bool = False) -> list[Recording]:
    """One place per clip, in the order of the table.

    Args:
        clips: ``Corpus.clips`` or a part of it: ``id``, ``video``, ``clip``; perhaps ``file``,
            ``start``, ``stop``.
        folder: Of the recordings.
        whole: Whether ``clips`` are all of the corpus; then ids of ``manifest.csv`` that are not
            among them are reported.

    Raises:
        DataError: For a missing folder, a table that cannot be read, names a clip twice, has times
            that make no segment or recordings that are not in the folder, a ``file`` that leads
            out of the folder, or a whole video of a clip without ``start`` and ``stop``.
    """
    if not folder.is_dir():
        raise DataError(f"expected a folder of recordings, found none: {folder}")
    if (folder / _TABLE).is_file():
        listed = _listed(folder)
        if whole:
            _report_unknown([clip for clip in listed if clip not in set(clips["id"])])
        return [listed.get(str(name), NOWHERE) for name in clips["id"]]
    return [_place(row, folder) for row in clips.to_dict("records")]


def _listed(folder: Path) -> dict[str, Recording]:
    """Clip id -> place, from the folder's table."""
    path = folder / _TABLE
    try:
        table = read_table(path, what="tables of recordings")
        found = _segments(table)
    except DataError as error:
        raise DataError(f"cannot read {path}: {error}", hint=error.hint) from error
    away = [file for file, *_ in found.values() if not _is_in(folder, file)]
    if away:
        also = f" ({len(away)} such recordings)" if len(away) > 1 else ""
        raise DataError(
            f"{_TABLE} names the recording {away[0]}, which is not in {folder}{also}",
            hint="paths are relative to the folder and stay in it",
        )
    return {
        clip: Recording(media=folder / file, start=start, stop=stop)
        for clip, (file, start, stop) in found.items()
    }


def _segments(table: InputTable) -> dict[str, tuple[str, float | None, float | None]]:
    """Clip id -> file, start, stop."""
    if "file" not in table.frame:
        found = ", ".join(map(str, table.frame.columns))
        raise DataError(f"expected the columns id and file, found no file ({found})")
    ids = table.ids(unique=True)
    files = table.texts("file", ids, empty=False)
    times = [
        [_known(value) for value in table.numbers(name, ids, empty=True)]
        if name in table.frame
        else [None] * len(ids)
        for name in ("start", "stop")
    ]
    rows = list(zip(ids, files, *times, strict=True))
    both = {"start", "stop"} <= set(table.frame)
    wrong = [why for clip, _, *cut in rows if (why := _fault(clip, *cut, both=both))]
    if wrong:
        also = f" ({len(wrong)} such clips)" if len(wrong) > 1 else ""
        raise DataError(f"{wrong[0]}{also}", hint="times are seconds from the recording's begin")
    return {clip: (file.strip(), start, stop) for clip, file, start, stop in rows}


def _fault(clip: str, start: float | None, stop: float | None, *, both: bool) -> str:
    """Why the times make no segment of a recording; empty where they do.

    Args:
        clip: Whose they are.
        start: Seconds, None where there is none.
        stop: Seconds, None where there is none.
        both: Whether a table has columns for both, so that one without the other is a gap.
    """
    if both and (start is None) != (stop is None):
        given, lost = ("stop", "start") if start is None else ("start", "stop")
        return f"clip {clip} has a {given} and no {lost}"
    if (start or 0.0) < 0:
        return f"clip {clip} starts at {start:g} s, before its recording begins"
    if stop is not None and stop <= (start or 0.0):
        return f"clip {clip} stops at {stop:g} s, not after its start at {start or 0.0:g} s"
    return ""


def _report_unknown(ids: Sequence[str]) -> None:
    if ids:
        some = ", ".join(ids[:3]) + (", …" if len(ids) > 3 else "")
        log.warning("%s names %d clips that the corpus has not: %s", _TABLE, len(ids), some)


def _place(row: Mapping[Any, Any], folder: Path) -> Recording:
    named = row.get("file")
    if isinstance(named, str) and named:
        path = folder / named
        if not _is_below(path, folder):
            raise DataError(f"the file of clip {row['id']} lies outside {folder}: {named}")
        return _segment(row, path)
    own = find_media(folder, str(row["video"]), str(row["clip"]))
    if own is not None:
        return Recording(media=own)
    whole = find_video(folder, str(row["video"]))
    if whole is None:
        return NOWHERE
    times = [_second(row, name) for name in ("start", "stop") if name in row]
    if len(times) < 2 or times == [None, None]:
        raise DataError(
            f"{whole.name} is a whole video; clip {row['id']} has no start and stop",
            hint="add the columns start and stop, in seconds, to the label file",
        )
    return _segment(row, whole)


def _segment(row: Mapping[Any, Any], media: Path) -> Recording:
    """The clip's segment of a recording by the corpus's own times."""
    start, stop = _second(row, "start"), _second(row, "stop")
    problem = _fault(str(row["id"]), start, stop, both={"start", "stop"} <= set(row))
    return Recording(problem=problem) if problem else Recording(media=media, start=start, stop=stop)


def _is_in(folder: Path, name: str) -> bool:
    path = folder / name
    return _is_below(path, folder) and path.is_file()


def _is_below(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _second(row: Mapping[Any, Any], name: str) -> float | None:
    cell = row.get(name)
    return None if cell is None else _known(float(cell))


def _known(seconds: float) -> float | None:
    return None if math.isnan(seconds) else float(seconds)
