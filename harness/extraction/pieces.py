"""One extractor over many clips: in parallel, each result kept by content, problems collected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness._util import canonical
from harness._util.pool import each
from harness._util.sealed import kept_array, read_array
from harness.errors import DataError, HarnessError, MissingExtra
from harness.extraction import Cut, Extractor, extractors

__all__ = ["Piece", "extract_all"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Piece:
    """What one extractor made of one clip.

    Args:
        id: The clip.
        stream: The extractor's stream.
        file: Where the result is kept; None where there is a problem.
        frames: T of the result, 0 where there is a problem.
        problem: Why there is nothing, empty where there is.
        kept: Whether it had been extracted before.
    """

    id: str
    stream: str
    file: Path | None = None
    frames: int = 0
    problem: str = ""
    kept: bool = False

    def values(self) -> NDArray[np.float32]:
        """(T, D) float32 as extracted; call only where there is no problem.

        Raises:
            DataError: When its file was damaged since.
        """
        assert self.file is not None
        try:
            stored: NDArray[np.float32] = read_array(self.file)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.stream} of clip {self.id} was damaged in the cache: {error}",
                hint="run the same command again; it is extracted anew",
            ) from error
        return stored


@dataclass(frozen=True, kw_only=True)
class _Order:
    """A clip, an extractor by name, and where results are kept: what a worker is sent."""

    cut: Cut
    extractor: str
    folder: Path
    seconds: float


def extract_all(
    cuts: Sequence[Cut],
    chosen: Sequence[Extractor],
    *,
    seconds: float,
    cache: Path,
    workers: int,
    on_piece: Callable[[Piece], None],
) -> dict[tuple[str, str], Piece]:
    """Every extractor over every clip.

    Args:
        cuts: The clips.
        chosen: One extractor per stream.
        seconds: Of a clip at most; the rest is left out.
        cache: Folder for results, which an interrupted extraction takes up.
        workers: Processes.
        on_piece: Called for each result as it is made.

    Returns:
        (clip id, stream) -> piece.

    Raises:
        RunFailed: When a worker is killed or crashes.
        MissingExtra: When a package that all clips need is not there.
    """
    orders = [
        _Order(
            cut=cut,
            extractor=extractor.name,
            folder=cache / "extraction" / _mark(extractor),
            seconds=seconds,
        )
        for extractor in chosen
        for cut in cuts
    ]
    pieces = {}
    for piece in each(_piece, orders, workers):
        pieces[piece.id, piece.stream] = piece
        on_piece(piece)
    return pieces


def _mark(extractor: Extractor) -> str:
    return f"{extractor.name}-{canonical.digest(extractor.space)[:12]}"


def _piece(order: _Order) -> Piece:
    extractor = extractors[order.extractor]
    try:
        path = order.folder / f"{_content(order)}.npy"
        kept = path.is_file()
        frames = len(kept_array(path, lambda: _extract(order, extractor)))
    except MissingExtra:
        raise
    except DataError as error:
        return Piece(id=order.cut.id, stream=extractor.stream, problem=str(error))
    return Piece(id=order.cut.id, stream=extractor.stream, file=path, frames=frames, kept=kept)


def _extract(order: _Order, extractor: Extractor) -> NDArray[np.float32]:
    """What the extractor makes of the clip's first seconds."""
    return _values(order, extractor)[: max(1, round(order.seconds * extractor.rate))]


def _values(order: _Order, extractor: Extractor) -> NDArray[np.float32]:
    """What the extractor makes of the clip: (T, D), finite, T at least 1."""
    expected = len(extractor.features)
    try:
        values = np.asarray(extractor.extract(_shortened(order)), np.float32)
    except (HarnessError, MemoryError):
        raise
    except Exception as error:
        raise DataError(
            f"{extractor.name} failed on clip {order.cut.id}: {type(error).__name__}: {error}"
        ) from error
    shape = values.shape
    if len(shape) != 2 or not shape[0] or shape[1] != expected or not np.isfinite(values).all():
        raise DataError(
            f"{extractor.name} should make finite rows of {expected} values,"
            f" found {shape} of clip {order.cut.id}"
        )
    return values


def _shortened(order: _Order) -> Cut:
    """The cut without what is left out anyway: whole videos are long."""
    cut, limit = order.cut, order.cut.start + order.seconds
    if cut.stop is None or cut.stop <= limit:
        return cut
    return replace(cut, stop=limit)


def _content(order: _Order) -> str:
    """Digest of all that decides the result besides the extractor."""
    cut = order.cut
    if cut.problem:
        raise DataError(cut.problem)
    try:
        files = [None if path is None else canonical.file_digest(path) for path in _sources(cut)]
    except OSError as error:
        raise DataError(f"clip {cut.id} cannot be read: {error}") from error
    return canonical.digest([files, cut.start, cut.stop, order.seconds])[:32]


def _sources(cut: Cut) -> tuple[Path | None, Path | None]:
    for path in (cut.media, cut.table):
        if path is not None and not path.is_file():
            raise DataError(f"expected the recording of clip {cut.id}, found no file: {path.name}")
    return cut.media, cut.table
