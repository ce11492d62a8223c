"""Published feature arrays to streams: shapes checked, splits joined, values made finite.

Where clips begin and end in them is settled in ``_padding``.

Shapes: N clips of all splits, n of one split, T frames (padded), D features.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from harness._util.budget import Budget
from harness._util.canonical import Json
from harness.data.corpus import Stream
from harness.data.readers.padding import Lengths, blocks, settle
from harness.errors import DataError

__all__ = ["CLEANING", "frames_and_dim", "padded", "to_streams"]

_MARKS = 4  # bytes per frame of what says which have signal, while it is looked at

CLEANING = (
    "NaN and infinities become 0; padding stands at the end; no frame with signal is dropped but"
    " what an encoder made of padding tokens"
)


def padded(
    name: str, parts: Mapping[str, object], budget: Budget, *, pad: bool
) -> tuple[dict[str, object], NDArray[np.int64] | None]:
    """One stream whose clips may each have an array of their own.

    Args:
        name: The stream, for messages.
        parts: Split -> an array, or one (t, D) array per clip in a list or an object array.
        budget: Padded arrays are charged to.
        pad: Whether arrays of different t may be padded with zeros at the end.

    Returns:
        Split -> (n, T, D) numbers, anything else unchanged; and t of each of the N clips, None
        where the file holds padded arrays.

    Raises:
        DataError: When t differs and ``pad`` is not set, D differs between clips, or the padded
            arrays take more than the budget.
    """
    lists = {split: _list_of_arrays(part) for split, part in parts.items()}
    if not any(lists.values()):
        return dict(parts), None
    if not all(lists.values()):
        raise DataError(f"{name} is padded in one split and a list of arrays in another")
    counts = np.array([len(array) for arrays in lists.values() for array in arrays])
    if counts.min() != counts.max() and not pad:
        raise DataError(
            f"{name} holds one array per clip, and frames differ per clip: {counts.min()} to"
            f" {counts.max()}",
            hint="pad them with zeros at the end: --pad",
        )
    joined: dict[str, object] = {
        split: _stacked(f"{split}.{name}", arrays, budget) for split, arrays in lists.items()
    }
    return joined, counts.astype(np.int64)


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


def to_streams(
    parts: Mapping[str, Mapping[str, object]], stated: Mapping[str, Lengths], budget: Budget
) -> dict[str, tuple[Stream, dict[str, Json]]]:
    """Join the splits of all streams, clean them, move their padding to the end, settle lengths.

    Args:
        parts: Stream -> split -> (n, T, D) or (n, D) numbers, in storage order.
        stated: Stream -> lengths from the file, where it has them.
        budget: Joined arrays are charged to: all clips are padded to the longest.

    Returns:
        Stream -> the stream, and the record of what was done to it.

    Raises:
        DataError: As ``frames_and_dim`` and ``settle``, and when the budget is used up.
    """
    joined = {name: _joined(name, arrays, budget) for name, arrays in parts.items()}
    settled = settle({name: values for name, (values, _) in joined.items()}, stated)
    return {
        name: (
            stream,
            {
                "frames": stream.frames,
                "dim": stream.dim,
                "nonfinite": joined[name][1],
                **record,
            },
        )
        for name, (stream, record) in settled.items()
    }


def _list_of_arrays(part: object) -> list[NDArray[np.generic]]:
    """The clips' arrays of a part that is a list of them, else an empty list."""
    listed = isinstance(part, list | tuple) or (
        isinstance(part, np.ndarray) and part.dtype.kind == "O" and part.ndim == 1
    )
    entries: Sequence[object] = list(part) if listed else []  # type: ignore[call-overload]
    arrays = [entry for entry in entries if isinstance(entry, np.ndarray) and _is_clip(entry)]
    return arrays if len(arrays) == len(entries) else []


def _is_clip(array: NDArray[np.generic]) -> bool:
    return array.ndim == 2 and array.dtype.kind in "fiu"


def _stacked(
    where: str, arrays: Sequence[NDArray[np.generic]], budget: Budget
) -> NDArray[np.generic]:
    dims = {array.shape[1] for array in arrays}
    if len(dims) != 1:
        found = ", ".join(map(str, sorted(dims)))
        raise DataError(f"{where} should have the same features in all clips, found {found}")
    frames = max(1, max(map(len, arrays)))
    shape, dtype = (len(arrays), frames, *dims), np.result_type(*{array.dtype for array in arrays})
    budget.spend(math.prod(shape) * dtype.itemsize, f"{where}, padded to {frames} frames")
    stacked = np.zeros(shape, dtype=dtype)
    for row, array in enumerate(arrays):
        stacked[row, : len(array)] = array
    return stacked


def _with_frames(where: str, part: object) -> NDArray[np.generic]:
    """(n, T, D) view of an array of numbers."""
    if isinstance(part, np.ndarray) and part.dtype.kind in "fiub" and part.ndim in (2, 3):
        array: NDArray[np.generic] = part[:, None, :] if part.ndim == 2 else part
        if array.size:
            return array
    found = f"{part.dtype} {part.shape}" if isinstance(part, np.ndarray) else type(part).__name__
    raise DataError(f"{where} should be numbers of shape (clips, frames, features), found {found}")


def _joined(
    name: str, parts: Mapping[str, object], budget: Budget
) -> tuple[NDArray[np.float32], dict[str, Json]]:
    """(N, T, D) finite values, and the count of values that were not."""
    frames, dim = frames_and_dim(name, parts)
    arrays = {split: _with_frames(name, part) for split, part in parts.items()}
    clips = sum(map(len, arrays.values()))
    budget.spend(clips * frames * (4 * dim + _MARKS), f"{name}, padded to {frames} frames")
    values = np.zeros((clips, frames, dim), dtype=np.float32)
    census: dict[str, Json] = {}
    start = 0
    for split, array in arrays.items():
        target = values[start : start + len(array), : array.shape[1]]
        census[split] = _copy_finite(array, target)
        start += len(array)
    return values, census


def _copy_finite(source: NDArray[np.generic], target: NDArray[np.float32]) -> dict[str, Json]:
    nan = infinite = 0
    for rows in blocks(target):
        block = target[rows]
        with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite, counted below
            block[...] = source[rows]
        if np.isfinite(block).all():
            continue
        nan += int(np.isnan(block).sum())
        infinite += int(np.isinf(block).sum())
        np.nan_to_num(block, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return {"nan": nan, "infinite": infinite}
