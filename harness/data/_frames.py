"""Published feature arrays to streams: cleaning, padding and lengths, each step counted.

Shapes: N clips of all splits, n of one split, T frames (padded), D features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.canonical import Json
from harness.data.corpus import Stream
from harness.errors import DataError

__all__ = ["CLEANING", "Lengths", "frames_and_dim", "to_stream"]

CLEANING = "NaN and infinities become 0; frames from the clip's length on become 0"

_BLOCK = 32 << 20  # bytes of float32 converted at a time
_SYSTEMATIC = (
    0.05  # more clips than this share with signal past their length: the lengths are wrong
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Lengths:
    """Frames per clip as a file states them.

    Args:
        frames: (N,) int64.
        source: The key they come from.
        binding: Whether what lies beyond them is padding for certain (a token mask says so; stored
            frame counts have been seen to be too short).
    """

    frames: NDArray[np.int64]
    source: str
    binding: bool

    def fits(self, frames: int) -> bool:
        """Whether all lengths lie in 0 to ``frames``."""
        return bool(((self.frames >= 0) & (self.frames <= frames)).all())


def frames_and_dim(name: str, parts: Mapping[str, object]) -> tuple[int, int]:
    """(T, D) of one stream over its splits; vectors without frames count as one frame.

    Raises:
        DataError: When a part is no array of (n, T, D) or (n, D) numbers, or D differs.
    """
    shapes = [_with_frames(f"{split}.{name}", part).shape[1:] for split, part in parts.items()]
    if len({dim for _, dim in shapes}) != 1:
        found = ", ".join(f"{split} {shape}" for split, shape in zip(parts, shapes, strict=True))
        raise DataError(f"{name} should have the same features in all splits, found {found}")
    return max(frames for frames, _ in shapes), shapes[0][1]


def to_stream(
    name: str, parts: Mapping[str, object], stated: Lengths | None
) -> tuple[Stream, dict[str, Json]]:
    """Join the splits of one stream, clean it, move its padding to the end and settle lengths.

    Args:
        name: The stream, for messages.
        parts: Split -> (n, T, D) or (n, D) numbers, in storage order.
        stated: Lengths from the file; without them (or when they leave 0..T) the last non-zero
            frame ends a clip.

    Returns:
        The stream, and the record of what was done to it.

    Raises:
        DataError: As ``frames_and_dim``.
    """
    values, census = _joined(name, parts)
    occupied = _occupied(values)  # (N, T)
    moved = _pad_at_end(values, occupied)
    lengths, record = _settled(values, occupied, None if moved else stated)
    record |= {
        "frames": values.shape[1],
        "dim": values.shape[2],
        "nonfinite": census,
        "padding": "front, moved to the end" if moved else "end",
        "moved_clips": moved,
    }
    return Stream(values, lengths), record


def _with_frames(where: str, part: object) -> NDArray[np.generic]:
    """(n, T, D) view of an array of numbers."""
    if isinstance(part, np.ndarray) and part.dtype.kind in "fiub" and part.ndim in (2, 3):
        array: NDArray[np.generic] = part[:, None, :] if part.ndim == 2 else part
        if array.size:
            return array
    found = f"{part.dtype} {part.shape}" if isinstance(part, np.ndarray) else type(part).__name__
    raise DataError(f"{where} should be numbers of shape (clips, frames, features), found {found}")


def _joined(name: str, parts: Mapping[str, object]) -> tuple[NDArray[np.float32], dict[str, Json]]:
    """(N, T, D) finite values, and the count of values that were not."""
    frames, dim = frames_and_dim(name, parts)
    arrays = {split: _with_frames(name, part) for split, part in parts.items()}
    values = np.zeros((sum(map(len, arrays.values())), frames, dim), dtype=np.float32)
    census: dict[str, Json] = {}
    start = 0
    for split, array in arrays.items():
        target = values[start : start + len(array), : array.shape[1]]
        census[split] = _copy_finite(array, target)
        start += len(array)
    return values, census


def _copy_finite(source: NDArray[np.generic], target: NDArray[np.float32]) -> dict[str, Json]:
    nan = infinite = 0
    for rows in _blocks(target):
        block = target[rows]
        with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite, counted below
            block[...] = source[rows]
        if np.isfinite(block).all():
            continue
        nan += int(np.isnan(block).sum())
        infinite += int(np.isinf(block).sum())
        np.nan_to_num(block, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return {"nan": nan, "infinite": infinite}


def _blocks(values: NDArray[np.float32]) -> Iterator[slice]:
    step = max(1, _BLOCK // max(1, 4 * values.shape[1] * values.shape[2]))
    return (slice(start, start + step) for start in range(0, len(values), step))


def _occupied(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(N, T) which frames are not all zero."""
    occupied = np.zeros(values.shape[:2], dtype=np.bool_)
    for rows in _blocks(values):
        occupied[rows] = values[rows].any(axis=2)
    return occupied


def _pad_at_end(values: NDArray[np.float32], occupied: NDArray[np.bool_]) -> int:
    """Shift clips that are padded at the front, in place, where most clips are; how many."""
    first = occupied.argmax(axis=1)
    front = (first > 0) & occupied[:, -1]
    if front.mean() <= 0.5:
        return 0
    for row in np.flatnonzero(front):
        values[row] = np.roll(values[row], -first[row], axis=0)
        occupied[row] = np.roll(occupied[row], -first[row])
    return int(front.sum())


def _settled(
    values: NDArray[np.float32], occupied: NDArray[np.bool_], stated: Lengths | None
) -> tuple[NDArray[np.int64], dict[str, Json]]:
    """Lengths of 1 to T; zeroes in place what lies beyond them."""
    last = _last_signal(occupied)
    lengths, source, binding = last, "last non-zero frame", False
    if stated is not None and stated.fits(occupied.shape[1]):
        lengths, source, binding = stated.frames, stated.source, stated.binding
    elif stated is not None:
        source += f" ({stated.source} leaves 0..{occupied.shape[1]})"
    beyond = last > lengths
    extended = 0
    if beyond.mean() > _SYSTEMATIC and not binding:
        extended = int(beyond.sum())
        lengths, beyond = np.maximum(lengths, last), np.zeros_like(beyond)
    cut = 0
    for row in np.flatnonzero(beyond):
        cut += int(occupied[row, lengths[row] :].sum())
        values[row, lengths[row] :] = 0
    record: dict[str, Json] = {
        "lengths_from": source,
        "extended_clips": extended,
        "cut_clips": int(beyond.sum()),
        "cut_frames": cut,
        "empty_clips": int((~occupied.any(axis=1)).sum()),
    }
    return np.maximum(lengths, 1).astype(np.int64), record


def _last_signal(occupied: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(N,) one past the last frame that is not all zero, 0 for an empty clip."""
    from_end = occupied[:, ::-1].argmax(axis=1)
    last = occupied.shape[1] - from_end
    return np.where(occupied.any(axis=1), last, 0).astype(np.int64)
