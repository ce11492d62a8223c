"""What a multimodal model is shown of a clip: sampled frames, sound, transcript.

Frames and sound are cut here, not by the server, so that every engine sees the same bytes; servers
sample video by defaults of their own. Sound is a part of its own, because few engines hear the
sound of a video part. PyAV is needed only where there is media (``pip install
'msa-harness[media]'``).
"""

from __future__ import annotations

import base64
import contextlib
import io
import math
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from harness._util import canonical
from harness._util.shared_work import SharedWork
from harness.data.media import decode as recording
from harness.data.media.decode import RATE, Timeline, find_media
from harness.errors import DataError, SpecError

__all__ = [
    "CONDITIONS",
    "SENSES",
    "Clip",
    "Condition",
    "FrameSampling",
    "Look",
    "audio",
    "find_media",
    "frames",
    "look",
    "media_digest",
    "parts",
    "shown",
]

Condition = Literal["text", "audio", "vision", "all"]
"""What is shown: the transcript alone, the sound alone, the frames alone, or everything."""

CONDITIONS: tuple[Condition, ...] = get_args(Condition)
SENSES: frozenset[str] = frozenset({"vision", "audio"})
"""What a recording can be shown to; a model that lacks one is not shown its tracks."""
Rule = Literal["uniform-centre", "uniform-edges", "fps"]
Part = dict[str, Any]

_KEPT = SharedWork[tuple[Part, ...]](
    256 << 20,  # bytes: hundreds of clips, for every prompt about them and a second try
    lambda parts: sum(len(str(part)) for part in parts),
)
_ORDER = ("vision", "audio", "text")
"""Media come before the words about them, as chat templates of such models expect."""


@dataclass(frozen=True, kw_only=True)
class FrameSampling:
    """Which frames are shown and how large; part of a run's identity.

    ``uniform-centre`` shows the middle of each of ``frames`` equal stretches; ``uniform-edges`` the
    first frame, the last and evenly between; ``fps`` as ``uniform-centre`` with as many stretches
    as the clip has 1/``fps`` seconds, rounded, at least one and at most ``frames``.

    Raises:
        SpecError: For counts, sizes or rates out of range.
    """

    frames: int = 8
    """Frames of a clip, 1 or more; the most there may be under ``fps``."""
    size: int = 448
    """Longest side, pixels, 16 or more; smaller recordings are not enlarged."""
    rule: Rule = "uniform-centre"
    fps: float | None = None
    """Frames a second, for the rule ``fps`` only."""

    def __post_init__(self) -> None:
        if self.rule not in get_args(Rule):
            raise SpecError(f"sampling rules are {', '.join(get_args(Rule))}; found {self.rule!r}")
        if self.frames < (2 if self.rule == "uniform-edges" else 1):
            raise SpecError(f"{self.rule} has too few frames: {self.frames}")
        if self.size < 16:
            raise SpecError(f"expected a longest side of at least 16 pixels, found {self.size}")
        if (self.rule == "fps") != (self.fps is not None):
            raise SpecError(f"fps belongs to the rule fps, and only there; found {self}")
        if self.fps is not None and not 0 < self.fps < math.inf:
            raise SpecError(f"expected a positive number of frames a second, found {self.fps}")


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A clip as it can be shown.

    Args:
        id: The dataset's id of the clip; never shown.
        text: The transcript.
        media: The recording, or None where there is none.
        start: Begin of the clip within the recording, seconds; None for its beginning.
        stop: End of the clip within the recording, seconds; None for its end.
        problem: Why its recording cannot be shown, such as times without length; empty otherwise.
    """

    id: str
    text: str
    media: Path | None = None
    start: float | None = None
    stop: float | None = None
    problem: str = ""


class Look(NamedTuple):
    """What a condition shows of one clip."""

    shown: tuple[str, ...]
    """Which of ``vision``, ``audio`` and ``text``, in order; nothing where there is a fault."""
    fault: str = ""
    """Why the condition cannot be shown of this clip; empty where it can."""


def frames(
    path: Path, sampling: FrameSampling, start: float | None = None, stop: float | None = None
) -> list[bytes]:
    """JPEG frames of a recording, or of the segment from ``start`` to ``stop``, in order.

    The frame of a moment is the one on the screen then. A segment with fewer frames than asked for
    shows some repeatedly; a ``stop`` behind the end means the end (label tables round up).

    Args:
        path: The recording.
        sampling: Which frames and how large.
        start: Begin of the segment, seconds; None for the beginning.
        stop: End of the segment, seconds; None for the end.

    Raises:
        DataError: For a missing or broken file, no video track, a segment without length or behind
            the end, PyAV not installed.
    """
    begin = _begin(path, start, stop)
    return recording.stills(path, begin, stop, partial(_moments, sampling), sampling.size)


def _moments(sampling: FrameSampling, line: Timeline) -> list[float]:
    """Moments to show of a cut, seconds, ascending."""
    count = sampling.frames
    if sampling.rule == "uniform-edges":
        return [float(moment) for moment in np.linspace(line.begin, line.last, count)]
    length = line.end - line.begin
    if sampling.fps is not None:
        count = min(max(round(length * sampling.fps), 1), count)
    return [line.begin + (k + 0.5) * length / count for k in range(count)]


def audio(path: Path, start: float | None = None, stop: float | None = None) -> bytes:
    """The sound of a recording or segment as WAV: 16 kHz, mono, 16 bit.

    Args:
        path: The recording.
        start: Begin of the segment, seconds; None for the beginning.
        stop: End of the segment, seconds; None for the end.

    Raises:
        DataError: For a missing or broken file, no audio track, a segment without length or behind
            the end, PyAV not installed.
    """
    samples = recording.sound(path, _begin(path, start, stop), stop)
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def _begin(path: Path, start: float | None, stop: float | None) -> float:
    begin = 0.0 if start is None else start
    if not 0 <= begin < (math.inf if stop is None else stop):
        raise DataError(
            f"expected 0 <= start < stop in seconds, found start {start}, stop {stop}: {path}"
        )
    return begin


def shown(clip: Clip, condition: Condition, senses: frozenset[str] = SENSES) -> tuple[str, ...]:
    """Which of ``vision``, ``audio`` and ``text`` the condition shows of this clip, in order.

    ``all`` shows what there is: the transcript alone when the clip has no media. Rows count what
    was shown, so that a transcript is never taken for a video.

    Args:
        clip: The clip.
        condition: What to show.
        senses: Which of ``vision`` and ``audio`` the model takes.

    Raises:
        SpecError: For an unknown condition.
        DataError: When the recording is broken or its times make no segment, or ``audio`` or
            ``vision`` alone would show nothing.
    """
    if condition not in CONDITIONS:
        raise SpecError(f"conditions are {', '.join(CONDITIONS)}; found {condition!r}")
    if condition == "text":
        return ("text",)
    if clip.problem:
        raise DataError(clip.problem)
    with _told_by_name(clip):
        tracks = frozenset[str]() if clip.media is None else recording.tracks(clip.media)
    held = {"text", *senses.intersection(tracks)}
    here = tuple(name for name in _ORDER if name in held and condition in (name, "all"))
    if not here:
        raise DataError(
            f"clip {clip.id}: expected {condition} to show, found {' and '.join(sorted(held))}",
            hint="the conditions text and all show the transcript of such clips",
        )
    return here


def look(clip: Clip, condition: Condition, senses: frozenset[str] = SENSES) -> Look:
    """As :func:`shown`, with what is wrong with a clip as its own outcome and no error.

    Raises:
        SpecError: For an unknown condition.
    """
    try:
        return Look(shown(clip, condition, senses))
    except DataError as error:
        return Look((), str(error))


@contextlib.contextmanager
def _told_by_name(clip: Clip) -> Iterator[None]:
    """Errors about a recording name its file without the folder: what is told is kept."""
    try:
        yield
    except DataError as error:
        if clip.media is None:
            raise
        told = str(error).replace(str(clip.media), clip.media.name)
        raise DataError(f"clip {clip.id}: {told}", hint=error.hint) from error


def parts(
    clip: Clip, condition: Condition, sampling: FrameSampling, senses: frozenset[str] = SENSES
) -> list[Part]:
    """Content parts of an OpenAI chat message that show the clip: frames, sound, transcript.

    Which of them are there is told by :func:`shown`; a clip without media has its transcript only.

    Raises:
        SpecError: For an unknown condition.
        DataError: See :func:`shown`, :func:`frames` and :func:`audio`.
    """
    content: list[Part] = []
    for name in shown(clip, condition, senses):
        if name == "text":
            content.append({"type": "text", "text": clip.text})
        elif clip.media is not None:
            content += _encoded(name, clip.media, clip, sampling)
    return content


def _encoded(name: str, path: Path, clip: Clip, sampling: FrameSampling) -> Sequence[Part]:
    """Frames or sound of a clip, decoded once for all questions about it."""
    with _told_by_name(clip):
        state = path.stat() if path.is_file() else None
        version = state and (state.st_mtime_ns, state.st_size)
        shown_as = sampling if name == "vision" else None
        return _KEPT.get(
            (name, path, version, clip.start, clip.stop, shown_as),
            lambda: tuple(_media_parts(name, path, sampling, clip.start, clip.stop)),
        )


def _media_parts(
    name: str, path: Path, sampling: FrameSampling, start: float | None, stop: float | None
) -> list[Part]:
    if name == "audio":
        sound = {"data": _base64(audio(path, start, stop)), "format": "wav"}
        return [{"type": "input_audio", "input_audio": sound}]
    return [
        {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{_base64(picture)}"}}
        for picture in frames(path, sampling, start, stop)
    ]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def media_digest(content: Sequence[Part]) -> str:
    """SHA-256 of the media among content parts, in order; text takes no part.

    Example:
        >>> words = {"type": "text", "text": "what a film"}
        >>> media_digest([words]) == media_digest([])
        True
    """
    return canonical.digest([part for part in content if part["type"] != "text"])
