"""Reading recordings with PyAV: which tracks there are, frames at given moments, cut sound.

Times are seconds from the beginning of the recording, as label tables give them. Everything here
depends on the file's bytes alone: scaling and compression run in one thread with bit-exact
arithmetic, so that one version of PyAV gives one answer.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness._util.extras import load
from harness.errors import DataError

if TYPE_CHECKING:
    from av import AudioStream, VideoFrame, VideoStream
    from av.container import InputContainer

__all__ = [
    "RATE",
    "Timeline",
    "film",
    "find_media",
    "find_video",
    "opened",
    "recordings_in",
    "sound",
    "stills",
    "tracks",
]

RATE = 16_000
"""Samples per second of cut sound: what every audio model served today resamples to."""

_PREROLL = 1.0  # s read before a cut: decoders need a run-up, and seeking is not exact
_HOLE = RATE // 100  # samples; smaller jumps of the clock are rounding, larger ones a real gap
_MISSING = 1.0  # s that a file may end before it claims to; beyond, it is cut short
_LAYOUTS = ("{video}/{clip}", "Raw/{video}/{clip}", "{video}_{clip}")
_WHOLE = ("{video}", "Raw/{video}", "Full/{video}")
_SUFFIXES = (".mp4", ".avi", ".mkv", ".webm", ".mov", ".wav", ".flac", ".mp3")
_QUANTISER = 3  # JPEG, 2 (finest) to 31
_SCALE = (
    "{width}:{height}:flags=bicubic+accurate_rnd+full_chroma_int+bitexact"
    ":out_color_matrix=bt601:out_range=full"  # what every JPEG decoder assumes
)


@dataclass(frozen=True)
class Timeline:
    """When the frames of a cut are shown.

    Args:
        moments: Begin of each frame of the recording, ascending, seconds.
        begin: Begin of the cut, seconds.
        end: End of the cut, seconds; never after the last frame has gone.
    """

    moments: Sequence[float]
    begin: float
    end: float

    def at(self, moment: float) -> int:
        """Index of the frame that is on the screen at ``moment``."""
        return max(bisect_right(self.moments, moment) - 1, 0)

    @property
    def last(self) -> float:
        """Begin of the last frame that appears within the cut, at least ``begin``."""
        final = bisect_right(self.moments, self.end) - 1
        if final > 0 and self.moments[final] >= self.end:
            final -= 1
        return max(self.moments[final], self.begin)


def find_media(folder: Path, video: str, clip: str) -> Path | None:
    """The recording of one clip below ``folder``, or None where there is none.

    Datasets publish ``VIDEO/CLIP.mp4``, some within ``Raw``; ``VIDEO_CLIP.mp4`` is found too. A
    recording of the whole video is not taken for the clip.

    Raises:
        DataError: When the folder is missing or an id could lead out of it.
    """
    return _first(folder, _LAYOUTS, video=video, clip=clip)


def find_video(folder: Path, video: str) -> Path | None:
    """The recording of a whole source video below ``folder``, or None where there is none.

    Raises:
        DataError: When the folder is missing or the id could lead out of it.
    """
    return _first(folder, _WHOLE, video=video)


def recordings_in(folder: Path) -> list[Path]:
    """The recordings that lie in a folder itself, by name."""
    found = (path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    return sorted(path for path in found if path.is_file())


def _first(folder: Path, layouts: Sequence[str], **ids: str) -> Path | None:
    if not folder.is_dir():
        raise DataError(f"expected a folder of recordings, found none: {folder}")
    for name in ids.values():
        if name in ("", ".", "..") or set(name) & set("/\\\0"):
            raise DataError(f"expected ids that can name a file, found {name!r}")
    candidates = (
        folder / f"{layout.format(**ids)}{suffix}" for layout in layouts for suffix in _SUFFIXES
    )
    return next((path for path in candidates if path.is_file()), None)


def tracks(path: Path) -> frozenset[str]:
    """Which of ``audio`` and ``vision`` the recording holds.

    Raises:
        DataError: When the file is missing or no recording.
        MissingExtra: When PyAV is not installed.
    """
    with opened(path) as container:
        held = {"audio": container.streams.audio, "vision": container.streams.video}
        return frozenset(name for name, streams in held.items() if streams)


def stills(
    path: Path,
    begin: float,
    stop: float | None,
    choose: Callable[[Timeline], Sequence[float]],
    size: int,
) -> list[bytes]:
    """The frames on the screen at the moments that ``choose`` names, as JPEG.

    Args:
        path: The recording.
        begin: Begin of the cut, seconds.
        stop: End of the cut, seconds; None for the end of the recording.
        choose: From the timeline of the cut to moments, seconds.
        size: Longest side, pixels; smaller frames keep their size.

    Raises:
        DataError: For a broken file, no video track, a cut that begins after the end.
    """
    with opened(path) as container:
        if not container.streams.video:
            raise DataError(f"expected a video track, found none: {path}")
        stream = container.streams.video[0]
        if not stream.width or not stream.height:
            raise DataError(f"expected a video track with pictures, found none in it: {path}")
        stamps, line = _timeline(container, stream, begin, stop, path)
        wanted = [stamps[line.at(moment)] for moment in choose(line)]
        pictures = _pictures(container, stream, set(wanted), size)
        if pictures.keys() != set(wanted):
            raise DataError(f"expected a whole recording, found frames that do not decode: {path}")
        return [pictures[stamp] for stamp in wanted]


def _timeline(
    container: InputContainer, stream: VideoStream, begin: float, stop: float | None, path: Path
) -> tuple[list[int], Timeline]:
    """Time stamps of all frames in the order they are shown, and the cut among them."""
    packets = sorted(
        (packet.pts, packet.duration or 0)
        for packet in container.demux(stream)
        if packet.pts is not None and not packet.is_discard
    )
    if not packets:
        raise DataError(f"expected a video track with frames, found an empty one: {path}")
    base, origin = _base(stream), _origin(container)
    finish = float(sum(packets[-1]) * base) - origin
    _check_reach(stream, begin, finish, stop, path)
    moments = [float(stamp * base) - origin for stamp, _ in packets]
    line = Timeline(moments, begin, finish if stop is None else min(stop, finish))
    return [stamp for stamp, _ in packets], line


def film(
    path: Path, begin: float, stop: float | None, rate: float
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """The frames on the screen ``rate`` times a second, with their moments.

    Args:
        path: The recording.
        begin: Begin of the cut, seconds.
        stop: End of the cut, seconds; None for the end of the recording.
        rate: Moments a second; the first one is half an interval into the cut.

    Yields:
        Moment within the cut, seconds, and (height, width, 3) RGB.

    Raises:
        DataError: For a broken file, no video track, a cut that begins after the end.
    """
    with opened(path) as container:
        if not container.streams.video:
            raise DataError(f"expected a video track, found none: {path}")
        stream = container.streams.video[0]
        stamps, line = _timeline(container, stream, begin, stop, path)
        count = max(1, round((line.end - line.begin) * rate))
        moments = [(k + 0.5) * (line.end - line.begin) / count for k in range(count)]
        wanted = [stamps[line.at(line.begin + moment)] for moment in moments]
        _seek(container, stream, float(wanted[0] * _base(stream)))
        decoded = container.decode(stream)
        stamp: int | None = None
        picture: NDArray[np.uint8] = np.empty((0, 0, 3), np.uint8)
        for moment, asked in zip(moments, wanted, strict=True):
            while stamp != asked:  # stamps ascend, so a frame that is gone never comes
                frame = next(decoded, None)
                if frame is None:
                    raise DataError(f"expected a whole recording, found missing frames: {path}")
                stamp = frame.pts
                if stamp == asked:
                    picture = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            yield moment, picture


def _pictures(
    container: InputContainer, stream: VideoStream, wanted: set[int], size: int
) -> dict[int, bytes]:
    """JPEG by time stamp; a stamp that never decodes is absent."""
    _seek(container, stream, float(min(wanted) * _base(stream)))
    found: dict[int, bytes] = {}
    jpeg = _jpeg(stream, size)
    for frame in container.decode(stream):
        if frame.pts in wanted:
            found[frame.pts] = jpeg(frame)
            if len(found) == len(wanted):
                break
    return found


def _jpeg(stream: VideoStream, size: int) -> Callable[[VideoFrame], bytes]:
    """A function that scales a frame to square pixels, ``size`` on its longest side, as JPEG."""
    av = load("av")
    tall, wide = stream.height, stream.width * (stream.sample_aspect_ratio or 1)
    ratio = min(Fraction(1), size / Fraction(max(wide, tall)))
    width, height = (max(2 * round(side * ratio / 2), 2) for side in (wide, tall))

    graph = av.filter.Graph()
    source = graph.add_buffer(template=stream)
    scale = graph.add("scale", _SCALE.format(width=width, height=height))
    pixels = graph.add("format", "yuvj420p")
    graph.link_nodes(source, scale, pixels, graph.add("buffersink")).configure()

    def compress(frame: VideoFrame) -> bytes:
        encoder = av.CodecContext.create("mjpeg", "w")
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
        encoder.time_base, encoder.thread_count = stream.time_base, 1
        encoder.qmin = encoder.qmax = _QUANTISER
        encoder.flags |= int(av.codec.context.Flags.bitexact)
        graph.push(frame)
        packets = [*encoder.encode(graph.pull()), *encoder.encode(None)]
        return b"".join(bytes(packet) for packet in packets)

    return compress


def sound(path: Path, begin: float, stop: float | None) -> NDArray[np.int16]:
    """(S,) samples of the first audio track from ``begin`` to ``stop``, mono, ``RATE`` a second.

    Gaps in the recording are silence, so that sample ``s`` is heard at ``begin + s / RATE``.

    Raises:
        DataError: For a broken file, no audio track, a cut that begins after the end.
    """
    with opened(path) as container:
        if not container.streams.audio:
            raise DataError(f"expected an audio track, found none: {path}")
        stream = container.streams.audio[0]
        _seek(container, stream, begin + _origin(container))
        pieces = list(_pieces(container, stream, stop))
        finish = (pieces[-1][0] + len(pieces[-1][1])) / RATE if pieces else 0.0
        _check_reach(stream, begin, finish, stop, path)
    end = finish if stop is None else min(stop, finish)
    first, length = round(begin * RATE), round((end - begin) * RATE)
    cut = np.zeros(length, np.int16)
    for at, samples in pieces:
        low, high = max(first, at), min(first + length, at + len(samples))
        if low < high:
            cut[low - first : high - first] = samples[low - at : high - at]
    return cut


def _pieces(
    container: InputContainer, stream: AudioStream, stop: float | None
) -> Iterator[tuple[int, NDArray[np.int16]]]:
    """Runs of samples with the position of their first, until well after ``stop``."""
    resampler = load("av").AudioResampler(format="s16", layout="mono", rate=RATE)
    origin = _origin(container)
    cursor: int | None = None
    for frame in _flushed(container, stream):
        for piece in resampler.resample(frame):
            samples: NDArray[np.int16] = piece.to_ndarray().reshape(-1)
            clock = cursor if piece.time is None else round((piece.time - origin) * RATE)
            clock = clock or 0
            at = clock if cursor is None or abs(clock - cursor) > _HOLE else cursor
            cursor = at + len(samples)
            yield at, samples
        if stop is not None and cursor is not None and cursor > (stop + _PREROLL) * RATE:
            return


def _flushed(container: InputContainer, stream: AudioStream) -> Iterator[Any]:
    """Decoded frames, then None, which empties the resampler."""
    yield from container.decode(stream)
    yield None


def _check_reach(
    stream: AudioStream | VideoStream, begin: float, finish: float, stop: float | None, path: Path
) -> None:
    """Raise DataError when the cut lies behind the end, or the file ends before it claims to."""
    claimed = float(stream.duration * _base(stream)) if stream.duration else 0.0
    if finish < min(claimed, claimed if stop is None else stop) - _MISSING:
        raise DataError(
            f"expected {claimed:.2f} s of {stream.type}, found {finish:.2f} s: {path}",
            hint="the file is cut short: fetch it again",
        )
    if begin >= finish:
        raise DataError(
            f"expected a start before the end of the {stream.type} track at {finish:.2f} s, "
            f"found {begin:.2f} s: {path}"
        )


def _seek(container: InputContainer, stream: AudioStream | VideoStream, moment: float) -> None:
    container.seek(int(max(moment - _PREROLL, 0.0) / _base(stream)), stream=stream)


def _base(stream: AudioStream | VideoStream) -> Fraction:
    """Seconds of one tick of the stream's clock."""
    return stream.time_base or Fraction(1)


def _origin(container: InputContainer) -> float:
    """Where the clock of the file stands when it begins, seconds."""
    return max((container.start_time or 0) / int(load("av").time_base), 0.0)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """The recording; whatever PyAV finds wrong with it is a DataError."""
    av = load("av")
    if not path.is_file():
        raise DataError(f"expected a recording, found no file: {path}")
    try:
        with av.open(str(path)) as container:
            yield container
    except av.FFmpegError as error:
        raise DataError(
            f"expected a recording that PyAV can read, found a broken file: {path} ({error})"
        ) from error
