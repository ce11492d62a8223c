"""What a recording holds, decoded from end to end, beside what its header says.

Headers are written by whoever cut a clip. Players believe them; an extractor that does reads frames
that are not there, or leaves out some that are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from harness.data.media.decode import opened
from harness.errors import DataError

if TYPE_CHECKING:
    from av import AudioStream, VideoStream

__all__ = ["Track", "measure"]

_KINDS: Mapping[str, Literal["audio", "vision"]] = {"audio": "audio", "video": "vision"}


@dataclass(frozen=True, kw_only=True)
class Track:
    """One track of a recording.

    Args:
        seconds: From the begin of its first decoded frame to the end of its last.
        stated_seconds: What the header says; None where it says nothing.
        frames: Decoded: pictures, or samples of one channel.
        stated_frames: Pictures by the header; None where it says nothing, and for sound, whose
            headers count packets.
        rate: Pictures or samples a second, by the header; 0 where it says nothing.
    """

    seconds: float
    stated_seconds: float | None
    frames: int
    stated_frames: int | None
    rate: float

    @property
    def seconds_off(self) -> float:
        """How far the header's duration is from what was decoded; 0 where it states none."""
        return 0.0 if self.stated_seconds is None else abs(self.seconds - self.stated_seconds)

    @property
    def frames_off(self) -> int:
        """The same of its number of pictures."""
        return 0 if self.stated_frames is None else abs(self.frames - self.stated_frames)


def measure(path: Path) -> dict[str, Track]:
    """Decode the first audio and the first video track of a recording.

    Returns:
        ``audio`` and ``vision``, those that are there and have a frame.

    Raises:
        DataError: When the file is missing, no recording, or breaks off while it is decoded.
        MissingExtra: When PyAV is not installed.
    """
    with opened(path) as container:
        streams = [*container.streams.audio[:1], *container.streams.video[:1]]
        kinds = [stream.type for stream in streams]
    found: dict[str, Track] = {}
    for kind in kinds:
        track = _track(path, kind)
        if track is not None:
            found[_KINDS[kind]] = track
    if not found:
        raise DataError(f"expected a recording with sound or pictures, found neither: {path}")
    return found


def _track(path: Path, kind: str) -> Track | None:
    """Decoded by itself: a container that is read twice at once seeks."""
    with opened(path) as container:
        stream = (container.streams.audio if kind == "audio" else container.streams.video)[0]
        spans = list(_spans(stream, container.decode(stream)))
        if not spans:
            return None
        ticks, base = stream.duration, stream.time_base
        counted = stream.frames if kind == "video" else 0
        return Track(
            seconds=max(end for _, end, _ in spans) - min(begin for begin, _, _ in spans),
            stated_seconds=None if ticks is None or base is None else float(ticks * base),
            frames=sum(count for _, _, count in spans),
            stated_frames=counted or None,
            rate=_rate(stream),
        )


def _rate(stream: AudioStream | VideoStream) -> float:
    rate = stream.rate if stream.type == "audio" else stream.average_rate
    return 0.0 if rate is None else float(rate)


def _spans(
    stream: AudioStream | VideoStream, frames: Iterator[object]
) -> Iterator[tuple[float, float, int]]:
    """Begin and end of each decoded frame, seconds, and how many samples or pictures it is."""
    rate, end = _rate(stream), 0.0
    for frame in frames:
        count = getattr(frame, "samples", 1)
        begin = end if frame.time is None else float(frame.time)  # type: ignore[attr-defined]
        lasts = count / rate if rate else 0.0
        end = begin + lasts
        yield begin, end, count
