"""A request that shows media, then says what is wanted of them."""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from harness._util import canonical
from harness._util.canonical import Json
from harness.errors import DataError
from mllm_eval.client import Request, TokenSampling
from mllm_eval.prompt.prompt import Rendered

__all__ = ["blanked", "grey", "show", "silence"]

Part = Mapping[str, Any]

_JPEG: Final = "data:image/jpeg;base64,"


def show(
    words: Rendered,
    *,
    sampling: TokenSampling,
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
    """A JPEG of even middle grey, 1 to 65,500 pixels each way."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("L", (width, height), 128).save(file, "JPEG")
    return file.getvalue()


def _size(picture: bytes) -> tuple[int, int]:
    """Width and height of a JPEG."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(picture), formats=["JPEG"]) as image:
            return image.size
    except UnidentifiedImageError:
        raise DataError("expected a JPEG picture, found none") from None
