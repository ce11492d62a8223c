"""Where a clip begins and ends in its padded array, and how its padding comes to the end.

No frame that carries signal is dropped, and streams that belong together keep their alignment. A
zero frame may be padding or data: a silent first frame, a face not found yet. What tells them
apart, per clip and in this order:

1. **Stated frames** L of T. The clip is the first L frames where all its signal lies there: zero
   frames before the signal are data and stay. Else it is the last L frames, padded at the front,
   where all its signal lies there and reaches one of their two ends. Else it is its signal, padded
   on both sides, where that is L frames long. Else the statement contradicts the signal: the clip
   stays where it is and its length is extended to its last signal.
2. **No statement**, most clips of the stream begin with zero frames and end with signal: the stream
   is padded at the front, and each clip begins with its first signal.
3. **No statement**, fewer such clips: one of them is padded at the front when it begins with more
   zero frames than the longest pause inside any clip of the stream, for then zero frames as data
   are shorter in this stream; else they are data and stay.

Streams of equal T > 1 are *aligned*: frame t means the same moment in all of them. They are looked
at as one (a frame carries signal where any of them does) and move by the same amount or not at all,
so a zero audio frame beside a word stays beside it. A token mask says where the text, and what is
aligned with it, begins. Not aligned in spite of equal T are streams that state numbers of frames
which differ (audio and vision padded to one size), and, with the text, streams whose signal lies
past the mask's end in most clips (padded at the other side).

Shapes: N clips, T frames (padded), D features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness._util.canonical import Json
from harness.data.corpus import Stream
from harness.errors import DataError

__all__ = ["Lengths", "blocks", "settle", "some"]

_BLOCK = 32 << 20  # bytes of float32 looked at together
_SHOWN = 3  # examples in a message


@dataclass(frozen=True, eq=False, kw_only=True)
class Lengths:
    """Frames per clip as a file states them.

    Args:
        frames: (N,) int64, from 0. More than T where a clip was cut to T when the file was made.
        source: The key they come from.
        places: (N,) what to call each clip in a message.
        starts: (N,) first frame of each clip, known from a token mask, whose word is final: what
            lies outside is an encoder's output for padding. None for stated numbers of frames,
            which have been seen to be too short.
    """

    frames: NDArray[np.int64]
    source: str
    places: Sequence[str]
    starts: NDArray[np.int64] | None = None


@dataclass(eq=False, kw_only=True)
class _Signal:
    """One stream at work: its values change in place."""

    name: str
    values: NDArray[np.float32]
    stated: Lengths | None
    occupied: NDArray[np.bool_]  # (N, T) frames that are not all zero


def settle(
    values: Mapping[str, NDArray[np.float32]], stated: Mapping[str, Lengths]
) -> dict[str, tuple[Stream, dict[str, Json]]]:
    """Move padding to the end, in place, and settle each clip's length.

    Args:
        values: Stream -> (N, T, D) finite values.
        stated: Stream -> its lengths, where the file has them; else the last signal ends a clip.

    Returns:
        Stream -> the stream, and the record of what was done to it.

    Raises:
        DataError: For stated lengths beyond T that no truncation explains, and for signal of
            audio or vision where the token mask has padding before the text.
    """
    signals = [
        _Signal(name=name, values=array, stated=stated.get(name), occupied=_occupied(array))
        for name, array in values.items()
    ]
    truncated = {signal.name: _truncated(signal) for signal in signals}
    settled = {}
    for group in _aligned(signals):
        shifts = _group_shifts(group)
        for signal in group:
            begins = ~signal.occupied[:, 0] & signal.occupied.any(axis=1)
            record: dict[str, Json] = {
                "aligned_with": [other.name for other in group if other is not signal],
                "padding": _padding(shifts),
                "moved_clips": int((shifts > 0).sum()),
                "silent_starts": int((begins & (shifts == 0)).sum()),
                "truncated_clips": truncated[signal.name],
            }
            _move(signal, shifts)
            lengths, counts = _lengths(signal)
            settled[signal.name] = Stream(signal.values, lengths), record | counts
    return {name: settled[name] for name in values}


def blocks(values: NDArray[np.float32]) -> Iterator[slice]:
    """Rows that are looked at together: a bounded copy even of a 10 GB array."""
    step = max(1, _BLOCK // max(1, 4 * values.shape[1] * values.shape[2]))
    return (slice(start, start + step) for start in range(0, len(values), step))


def some(stated: Lengths, wrong: NDArray[np.bool_]) -> str:
    """How many lengths are wrong, and examples."""
    rows = np.flatnonzero(wrong)
    shown = [f"{stated.places[row]} {stated.frames[row]}" for row in rows[:_SHOWN]]
    return f"{rows.size} of {wrong.size} clips ({', '.join(shown)})"


def _occupied(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    occupied = np.zeros(values.shape[:2], dtype=np.bool_)
    for rows in blocks(values):
        occupied[rows] = values[rows].any(axis=2)
    return occupied


def _truncated(signal: _Signal) -> int:
    """Clips that were longer than the array; refuses lengths that are longer for no such reason.

    A clip cut to T ends with signal in its last frame, but for some that are silent just there.
    """
    stated, frames = signal.stated, signal.occupied.shape[1]
    if stated is None:
        return 0
    longer = stated.frames > frames
    ended = longer & signal.occupied.any(axis=1) & ~signal.occupied[:, -1]
    if 2 * ended.sum() > longer.sum():
        raise DataError(
            f"{stated.source} states more than the {frames} frames of {signal.name}, and the signal"
            f" ends before them, in {some(stated, ended)}",
            hint=f"store the number of frames of each clip, or leave {stated.source} out",
        )
    return int(longer.sum())


def _aligned(signals: Sequence[_Signal]) -> list[list[_Signal]]:
    """Streams in groups that move together."""
    groups: list[list[_Signal]] = []
    for frames in dict.fromkeys(signal.occupied.shape[1] for signal in signals):
        same = [signal for signal in signals if signal.occupied.shape[1] == frames]
        counted = [s.stated.frames for s in same if s.stated and s.stated.starts is None]
        differ = any(not np.array_equal(counted[0], other) for other in counted[1:])
        groups += [[signal] for signal in same] if frames == 1 or differ else _beside_text(same)
    return groups


def _beside_text(same: list[_Signal]) -> list[list[_Signal]]:
    """Streams of equal T: those that end with the masked text and it, and those that do not."""
    mask = next((s.stated for s in same if s.stated and s.stated.starts is not None), None)
    if mask is None or mask.starts is None:
        return [same]
    ends = mask.starts + mask.frames
    past = [
        signal
        for signal in same
        if signal.stated is not mask and (_last_signal(signal.occupied) > ends).mean() > 0.5
    ]
    return [[s for s in same if s not in past], past] if past else [same]


def _group_shifts(group: Sequence[_Signal]) -> NDArray[np.int64]:
    """(N,) frames of padding before each clip, equal for all streams of the group."""
    known = [signal.stated for signal in group if signal.stated is not None]
    for stated in known:
        if stated.starts is not None:
            _refuse_signal_before(stated, stated.starts, group)
            return stated.starts
    union = np.logical_or.reduce([signal.occupied for signal in group])
    if known:
        return _by_statement(union, np.minimum(known[0].frames, union.shape[1]))
    return _by_signal(union)


def _refuse_signal_before(
    stated: Lengths, starts: NDArray[np.int64], group: Sequence[_Signal]
) -> None:
    for signal in group:
        early = signal.occupied.any(axis=1) & (signal.occupied.argmax(axis=1) < starts)
        if early.any() and signal.stated is not stated:
            raise DataError(
                f"{signal.name} carries signal in frames that the {stated.source} calls padding"
                f" before the text, in {some(stated, early)}",
                hint="pad text_bert, text, audio and vision on the same side",
            )


def _by_statement(occupied: NDArray[np.bool_], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) shifts by rule 1."""
    frames = occupied.shape[1]
    first, last = occupied.argmax(axis=1), _last_signal(occupied)
    elsewhere = last > lengths
    start = frames - lengths
    front = elsewhere & (first >= start) & ((last == frames) | (first == start))
    both = elsewhere & ~front & (last - first == lengths)
    return np.where(front, start, np.where(both, first, 0)).astype(np.int64)


def _by_signal(occupied: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(N,) shifts by rules 2 and 3."""
    first: NDArray[np.int64] = occupied.argmax(axis=1)  # 0 also in an empty clip
    against_end = (first > 0) & occupied[:, -1]
    if not against_end.any():
        return np.zeros_like(first)
    if against_end.mean() > 0.5:
        return first
    return np.where(against_end & (first > _longest_pause(occupied)), first, 0)


def _longest_pause(occupied: NDArray[np.bool_]) -> int:
    """Zero frames in a row between two frames with signal, the most of any clip."""
    longest = 0
    step = max(1, _BLOCK // (32 * occupied.shape[1]))  # two indices of a frame, and their steps
    for start in range(0, len(occupied), step):
        rows, frames = np.nonzero(occupied[start : start + step])
        steps = np.diff(frames)[np.diff(rows) == 0]
        longest = max(longest, int(steps.max(initial=1)) - 1)
    return longest


def _padding(shifts: NDArray[np.int64]) -> str:
    moved = (shifts > 0).mean()
    if moved == 0:
        return "end"
    return "front, moved to the end" if moved > 0.5 else "front in some clips, moved to the end"


def _move(signal: _Signal, shifts: NDArray[np.int64]) -> None:
    for row in np.flatnonzero(shifts):
        signal.values[row] = np.roll(signal.values[row], -shifts[row], axis=0)
        signal.occupied[row] = np.roll(signal.occupied[row], -shifts[row])


def _lengths(signal: _Signal) -> tuple[NDArray[np.int64], dict[str, Json]]:
    """Lengths of 1 to T; zeroes in place what lies beyond a mask."""
    occupied, stated = signal.occupied, signal.stated
    last = _last_signal(occupied)
    lengths, source, final = last, "last non-zero frame", False
    if stated is not None:
        lengths = np.minimum(stated.frames, occupied.shape[1])
        source, final = stated.source, stated.starts is not None
    beyond = last > lengths
    cut = 0
    if final:
        for row in np.flatnonzero(beyond):
            cut += int(occupied[row, lengths[row] :].sum())
            signal.values[row, lengths[row] :] = 0
    else:
        lengths = np.maximum(lengths, last)
    record: dict[str, Json] = {
        "lengths_from": source,
        "extended_clips": 0 if final else int(beyond.sum()),
        "cut_clips": int(beyond.sum()) if final else 0,
        "cut_frames": cut,
        "empty_clips": int((~occupied.any(axis=1)).sum()),
    }
    return np.maximum(lengths, 1).astype(np.int64), record


def _last_signal(occupied: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(N,) one past the last frame that is not all zero, 0 for an empty clip."""
    from_end = occupied[:, ::-1].argmax(axis=1)
    last = occupied.shape[1] - from_end
    return np.where(occupied.any(axis=1), last, 0).astype(np.int64)
