"""What the canary shows: 32 sentences with made pictures and sounds, or a corpus's own clips."""

from __future__ import annotations

import base64
import io
import itertools
import math
import struct
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from harness.data.corpus import Split
from harness.data.media.decode import RATE
from harness.errors import DataError
from mllm_eval.media import sampling as media
from mllm_eval.media.clips import clips_of
from mllm_eval.media.content import blanked, silence
from mllm_eval.media.sampling import Clip

__all__ = ["ITEMS", "Item", "clips", "made"]

ITEMS: Final = 32

Part = dict[str, Any]
Senses = frozenset[str]

_SUBJECTS: Final = (
    *("The film", "The acting", "This book", "The music"),
    *("The ending", "My phone", "The service", "That story"),
)
_OPINIONS: Final = (
    "is the best thing I have seen in years, I loved every minute",
    "is quite good, I would recommend it to a friend",
    "is not what I hoped for, parts of it bored me",
    "is dreadful, I want my money back",
)
_SIDE: Final = 64  # pixels
_SECONDS: Final = 1.0
_PICTURES: Final = 2
_NOTHING: Senses = frozenset()


@dataclass(frozen=True, kw_only=True, eq=False)
class Item:
    """Something to show.

    Args:
        id: Its name, never shown.
        text: The transcript.
        senses: Which of ``vision`` and ``audio`` it has.
        content: Media parts, those of the senses given blanked.
    """

    id: str
    text: str
    senses: Senses = _NOTHING
    content: Callable[[Senses], Sequence[Part]] = lambda _: ()


def made(senses: Senses, count: int = ITEMS) -> list[Item]:
    """Items that need no recordings: sentences, striped pictures, tones.

    Args:
        senses: Which media they have.
        count: How many, 1 to 32.
    """
    texts = [f"{subject} {said}." for subject, said in itertools.product(_SUBJECTS, _OPINIONS)]
    return [
        Item(id=f"made-{i:02}", text=text, senses=senses, content=_maker(i, senses))
        for i, text in enumerate(texts[:count])
    ]


def _maker(seed: int, senses: Senses) -> Callable[[Senses], list[Part]]:
    def content(blank: Senses) -> list[Part]:
        parts: list[Part] = []
        if "vision" in senses:
            stripes = [0] * _PICTURES if "vision" in blank else [seed + 1, seed + 2]
            parts += [_picture(_png(width)) for width in stripes]
        if "audio" in senses:
            tone = _tone(220.0 * 2 ** (seed / 12))
            parts.append(_sound(silence(tone) if "audio" in blank else tone))
        return parts

    return content


def _png(stripe: int) -> bytes:
    """A grey square, or one with vertical stripes ``stripe`` pixels wide, as PNG."""
    from PIL import Image

    row = bytes(128 if not stripe else 255 * (x // stripe % 2) for x in range(_SIDE))
    file = io.BytesIO()
    Image.frombytes("L", (_SIDE, _SIDE), row * _SIDE).save(file, "PNG")
    return file.getvalue()


def _tone(pitch: float) -> bytes:
    steps = range(round(_SECONDS * RATE))
    samples = (round(8000 * math.sin(2 * math.pi * pitch * n / RATE)) for n in steps)
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return file.getvalue()


def _picture(data: bytes) -> Part:
    url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def _sound(data: bytes) -> Part:
    sound = {"data": base64.b64encode(data).decode(), "format": "wav"}
    return {"type": "input_audio", "input_audio": sound}


def clips(
    split: Split,
    recordings: Path | None,
    senses: Senses,
    frames: media.FrameSampling,
    count: int = ITEMS,
) -> list[Item]:
    """Clips of a corpus; those with recordings where media are to be shown.

    Args:
        split: Never the test split: a check must not look at it.
        recordings: Folder of the recordings, or None for transcripts alone.
        senses: Which media to show.
        frames: Which frames.
        count: How many at most.

    Raises:
        DataError: When no clip can be shown.
    """
    known = [clip for clip in clips_of(split.clips, recordings) if not clip.problem]
    looks = {clip.id: media.look(clip, "all", senses) for clip in known} if senses else {}
    shown = [c for c in known if c.media and not looks[c.id].fault] if senses else known
    if not shown:
        raise DataError(
            f"expected clips with recordings in {recordings}, found none of the"
            f" {split.name} split of {split.corpus.name}",
            hint="leave --corpus away: made pictures and sounds are shown then",
        )
    return [_of_clip(clip, senses, frames) for clip in shown[:count]]


def _of_clip(clip: Clip, senses: Senses, frames: media.FrameSampling) -> Item:
    held = senses.intersection(media.shown(clip, "all")) if senses else _NOTHING

    def content(blank: Senses) -> list[Part]:
        parts = media.parts(clip, "all", frames)
        wanted = {"image_url": "vision", "input_audio": "audio"}
        kept = [part for part in parts if wanted.get(part["type"]) in held]
        return [dict(part) for part in blanked(kept, blank)]

    return Item(id=clip.id, text=clip.text, senses=held, content=content)
