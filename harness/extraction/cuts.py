"""The clips of a corpus as extractors take them."""

from __future__ import annotations

from pathlib import Path

from harness.data.corpus import Corpus
from harness.data.media.locate import places
from harness.errors import DataError
from harness.extraction import Cut

__all__ = ["cuts"]


def cuts(corpus: Corpus, media: Path, tables: Path | None = None) -> list[Cut]:
    """One cut per clip, in the order of the corpus.

    Args:
        corpus: With the clips.
        media: Folder of recordings, see ``harness.data.media.locate``.
        tables: Folder of OpenFace tables, one ``<clip id>.csv`` each.

    Raises:
        DataError: For a missing folder; see ``harness.data.media.locate.places`` for the others.
    """
    if tables is not None and not tables.is_dir():
        raise DataError(f"expected a folder of OpenFace tables, found none: {tables}")
    found = places(corpus.clips, media, whole=True)
    return [
        Cut(
            id=clip,
            media=place.media,
            start=place.start or 0.0,
            stop=place.stop,
            table=_table(tables, clip),
            problem=place.problem,
        )
        for clip, place in zip(corpus.clips["id"], found, strict=True)
    ]


def _table(folder: Path | None, clip: str) -> Path | None:
    path = None if folder is None else folder / f"{clip}.csv"
    return path if path is not None and path.is_file() else None
