"""What a model holds of a conversation before it answers: its last hidden state, from a server.

Servers call it an embedding. It is asked for as it is, not scaled to unit length, and after the
words with which the model's own answer would begin. What comes is kept as any answer is.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from harness._util.canonical import Json, dumps
from harness._util.redaction import masked
from mllm_eval.client.completions import count, name_of
from mllm_eval.client.journal import Answer
from mllm_eval.client.requests import AudioPart, FramePart, Request, TokenSampling

__all__ = ["PooledRequest", "vector_of"]

_FLOAT = np.dtype("<f4")


class _Unsampled(TokenSampling):
    """Nothing is generated: there is nothing to send."""

    def fields(self) -> dict[str, Json]:
        """None."""
        return {}


_FORM: dict[str, Json] = {
    "add_generation_prompt": True,
    "use_activation": False,  # else vLLM scales to unit length
    "encoding_format": "base64",
    "embed_dtype": "float32",
    "endianness": "little",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class PooledRequest(Request):
    """A conversation whose last hidden state is asked for."""

    path: ClassVar[str] = "embeddings"
    noun: ClassVar[str] = "an embedding"

    @classmethod
    def about_to_answer(cls, request: Request) -> PooledRequest:
        """The same conversation as a question's, read before its answer."""
        template = {k: v for k, v in request.extra.items() if k == "chat_template_kwargs"}
        return cls(
            messages=request.messages,
            prompt=request.prompt,
            media=request.media,
            sampling=_Unsampled(),
            extra={**template, **_FORM},
            about=request.about,
        )

    def body(
        self,
        model: str,
        audio_part: AudioPart = "input_audio",
        frame_part: FramePart = "image_url",
    ) -> bytes:
        """The request as sent."""
        messages = self.told(audio_part, frame_part)
        return dumps({**self.extra, "model": model, "messages": messages}).encode()

    def answer(
        self, content: bytes, key: str, seconds: float, attempt: int, *, secret: str = ""
    ) -> Answer:
        """The state in a response, its numbers as base64 of little-endian float32 for a text.

        Raises:
            ValueError, KeyError, TypeError, IndexError, AttributeError: When it is none.
        """
        told = masked(json.loads(content), [secret])
        found = told["data"][0]["embedding"]
        vector = _decoded(found) if isinstance(found, str) else np.asarray(found, dtype=_FLOAT)
        if vector.ndim != 1 or not vector.size or not np.isfinite(vector).all():
            raise ValueError("an embedding is a list of finite numbers")
        return Answer(
            key=key,
            state="answered",
            text=base64.b64encode(vector.tobytes()).decode(),
            finish_reason="",
            logprobs=(),
            prompt_tokens=count((told.get("usage") or {}).get("prompt_tokens")),
            completion_tokens=0,
            seconds=seconds,
            attempts=attempt,
            model=name_of(told.get("model")),
        )


def vector_of(answer: Answer) -> NDArray[np.float32] | None:
    """(H,) the state that a server gave; None where there is none.

    Example:
        >>> text = base64.b64encode(np.array([1.0, -0.5], dtype="<f4").tobytes()).decode()
        >>> vector_of(Answer("k", "answered", text, "", (), 3, 0, 0.1, 1)).tolist()
        [1.0, -0.5]
    """
    return _decoded(answer.text).astype(np.float32) if answer.state == "answered" else None


def _decoded(text: str) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(text, validate=True), dtype=_FLOAT)
