"""A request that shows media, then says what is wanted of them."""

from __future__ import annotations

import base64
import io
import struct
import wave
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from harness import canonical
from harness.canonical import Json
from harness.errors import DataError
from mllm_eval.client import Request, Sampling
from mllm_eval.prompt import Rendered

__all__ = ["blanked", "grey", "show", "silence"]

Part = Mapping[str, Any]

_JPEG: Final = "data:image/jpeg;base64,"
_FRAME_HEADERS: Final = {0xC0, 0xC1, 0xC2}  # baseline, extended, progressive


def show(
    words: Rendered,
    *,
    sampling: Sampling,
    media: str = "",
    content: Callable[[], Sequence[Part]] = tuple,
    schema: Mapping[str, Json] | None = None,
    extra: Mapping[str, Json] = MappingProxyType({}),
    about: str = "",
) -> Request:
    """A request of content parts, then the words.

    Args:
        words: System and user text.
        sampling: How to answer.
        media: Digest of the parts.
        content: Makes the parts when the request's turn comes.
        schema: JSON schema the answer is held to.
        extra: Further request fields.
        about: Whom it is about, for counts.
    """

    def messages() -> list[Mapping[str, Json]]:
        system = [{"role": "system", "content": words.system}] if words.system else []
        user = [*content(), {"type": "text", "text": words.user}]
        return [*system, {"role": "user", "content": user}]

    return Request(
        messages=messages,
        prompt=canonical.digest(words),
        media=media,
        sampling=sampling,
        schema=schema,
        extra=extra,
        about=about,
    )


def blanked(parts: Sequence[Part], senses: frozenset[str]) -> list[Part]:
    """The parts with ``vision`` as even grey of the same size, ``audio`` as silence as long.

    What is kept: how many parts there are and of which kind, so that only content differs.
    """
    return [_blank(part, senses) for part in parts]


def _blank(part: Part, senses: frozenset[str]) -> Part:
    if part["type"] == "image_url" and "vision" in senses:
        picture = base64.b64decode(part["image_url"]["url"].removeprefix(_JPEG))
        return {"type": "image_url", "image_url": {"url": _JPEG + _text(grey(*_size(picture)))}}
    if part["type"] == "input_audio" and "audio" in senses:
        sound = silence(base64.b64decode(part["input_audio"]["data"]))
        return {"type": "input_audio", "input_audio": {"data": _text(sound), "format": "wav"}}
    return part


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def silence(sound: bytes) -> bytes:
    """A WAV file of zeros, as long and in the format of ``sound``."""
    file = io.BytesIO()
    with wave.open(io.BytesIO(sound)) as reader, wave.open(file, "wb") as writer:
        writer.setparams(reader.getparams())
        writer.writeframes(bytes(len(reader.readframes(reader.getnframes()))))
    return file.getvalue()


def grey(width: int, height: int) -> bytes:
    """A JPEG of even middle grey, 1 to 65,535 pixels each way.

    Every 8 by 8 block differs from the one before in nothing, which two zero bits say under Huffman
    tables with one code each.
    """
    blocks = -(-width // 8) * -(-height // 8)
    bits = bytearray(-(-2 * blocks // 8))
    if spare := -2 * blocks % 8:
        bits[-1] = (1 << spare) - 1
    one_code = bytes([1, *[0] * 15, 0])  # one code of one bit, for the symbol 0
    segments = (
        (0xDB, bytes([0, *[1] * 64])),
        (0xC0, struct.pack(">BHHB3B", 8, height, width, 1, 1, 0x11, 0)),
        (0xC4, b"\x00" + one_code),
        (0xC4, b"\x10" + one_code),
        (0xDA, bytes([1, 1, 0, 0, 63, 0])),
    )
    head = b"".join(struct.pack(">BBH", 0xFF, mark, len(s) + 2) + s for mark, s in segments)
    return b"\xff\xd8" + head + bytes(bits) + b"\xff\xd9"


def _size(picture: bytes) -> tuple[int, int]:
    """Width and height of a JPEG."""
    at = 2
    while at + 9 <= len(picture) and picture[at] == 0xFF:
        mark, length = struct.unpack_from(">BH", picture, at + 1)
        if mark in _FRAME_HEADERS:
            height, width = struct.unpack_from(">HH", picture, at + 5)
            return int(width), int(height)
        at += 2 + length
    raise DataError("expected a JPEG picture, found none")
