"""What is asked: messages, every sampling field, and what tokens cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from harness._util.canonical import Json, digest, dumps, plain
from mllm_eval.client.completions import answer_of
from mllm_eval.client.journal import Answer

__all__ = ["AudioPart", "FramePart", "Messages", "Prices", "Request", "TokenSampling"]

Messages = Sequence[Mapping[str, Json]]
AudioPart = Literal["input_audio", "audio_url"]
"""Kinds of part in which servers take sound; some choose by it what they load."""
FramePart = Literal["image_url", "video_url"]
"""Kinds of part in which servers take frames: as pictures, or all together as one video, which some
models give fewer tokens a frame."""

_JPEG = "data:image/jpeg;base64,"
_FILM = "data:video/jpeg;base64,"  # frames joined by commas, as vLLM takes them


@dataclass(frozen=True, kw_only=True)
class TokenSampling:
    """Every sampling field; all are sent, so that no server's default takes part.

    Args:
        temperature: 0 is greedy.
        top_p: In (0, 1].
        max_tokens: Longest answer.
        seed: Of the server's generator.
        top_logprobs: Alternatives reported per token, 0 to 20; 0 asks for no log-probabilities.
        top_k: -1 is all; None is not sent, for servers that know no such field.
        repetition_penalty: 1 is none; None is not sent.
        refused: Fields that the server refuses; they are not sent.
        length_field: What it calls ``max_tokens``.
        thinking: Tokens that the model may spend before its answer, beside ``max_tokens``.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 32
    seed: int = 0
    top_logprobs: int = 0
    top_k: int | None = -1
    repetition_penalty: float | None = 1.0
    refused: frozenset[str] = frozenset()
    length_field: str = "max_tokens"
    thinking: int = 0

    def fields(self) -> dict[str, Json]:
        """The request fields."""
        named = {
            self.length_field if name == "max_tokens" else name: value
            for name, value in self._known().items()
        }
        return {name: value for name, value in named.items() if name not in self.refused}

    def _known(self) -> dict[str, Json]:
        """Every field, by the name that most servers know."""
        fields: dict[str, Json] = {
            "n": 1,
            "temperature": float(self.temperature),
            "top_p": float(self.top_p),
            "max_tokens": self.max_tokens + self.thinking,
            "seed": self.seed,
            "logprobs": self.top_logprobs > 0,
        }
        if self.top_logprobs > 0:
            fields["top_logprobs"] = self.top_logprobs
        if self.top_k is not None:
            fields["top_k"] = self.top_k
        if self.repetition_penalty is not None:
            fields["repetition_penalty"] = float(self.repetition_penalty)
        return fields


@dataclass(frozen=True, eq=False, kw_only=True)
class Request:
    """One question.

    Args:
        messages: Makes the chat messages; called in a thread when the request's turn comes, so
            media are in memory only while they are in flight.
        prompt: Digest of all words shown, transcript included.
        media: Digest of all media shown and of how they are sampled; empty without media.
        sampling: How to answer.
        schema: JSON schema the answer is held to.
        extra: Further fields, e.g. ``chat_template_kwargs``; they cannot replace one set here.
        about: Whom it is about, a clip's id for counts; never sent, and no part of the identity.
    """

    path: ClassVar[str] = "chat/completions"
    """Where it goes, below the base URL."""
    noun: ClassVar[str] = "a chat completion"
    """What comes back, for messages."""

    messages: Callable[[], Messages]
    prompt: str
    media: str = ""
    sampling: TokenSampling = TokenSampling()
    schema: Mapping[str, Json] | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)
    about: str = ""

    @classmethod
    def of(cls, messages: Messages, **fields: Any) -> Request:  # noqa: ANN401  the other fields
        """A request of messages at hand, identified by exactly what is sent."""
        return cls(messages=lambda: messages, prompt=digest(messages), **fields)

    def answer(
        self, content: bytes, key: str, seconds: float, attempt: int, *, secret: str = ""
    ) -> Answer:
        """What a server's response says; see ``answer_of``."""
        return answer_of(content, key, seconds, attempt, secret=secret)

    def body(
        self,
        model: str,
        audio_part: AudioPart = "input_audio",
        frame_part: FramePart = "image_url",
    ) -> bytes:
        """The request as sent.

        Args:
            model: Name to ask for.
            audio_part: In which kind of part the server takes sound.
            frame_part: In which kind of part it takes frames.
        """
        body: dict[str, Json] = {**self.extra, **self.sampling.fields()}
        messages = self.told(audio_part, frame_part)
        body |= {"model": model, "stream": False, "messages": messages}
        if self.schema is not None:
            named: Json = {"name": "answer", "strict": True, "schema": self.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        return dumps(body).encode()

    def told(self, audio_part: AudioPart, frame_part: FramePart) -> Json:
        """The messages as sent."""
        return plain(
            [
                _with_frames_as(frame_part, _with_audio_as(audio_part, message))
                for message in self.messages()
            ]
        )


def _with_audio_as(audio_part: AudioPart, message: Mapping[str, Json]) -> Mapping[str, Json]:
    """The message with its sound, made as ``input_audio``, in the kind of part asked for."""
    content = message.get("content")
    if audio_part == "input_audio" or not isinstance(content, list):
        return message
    return {**message, "content": [_as_audio_url(part) for part in content]}


def _with_frames_as(frame_part: FramePart, message: Mapping[str, Json]) -> Mapping[str, Json]:
    """The message with its frames, made as ``image_url``, in the kind of part asked for."""
    content = message.get("content")
    if frame_part == "image_url" or not isinstance(content, list):
        return message
    frames = [part for part in content if part.get("type") == "image_url"]
    if not frames:
        return message
    pictures = (str(frame["image_url"]["url"]).removeprefix(_JPEG) for frame in frames)
    film = {"type": "video_url", "video_url": {"url": f"{_FILM}{','.join(pictures)}"}}
    place = content.index(frames[0])
    others = [part for part in content[place:] if part.get("type") != "image_url"]
    return {**message, "content": [*content[:place], film, *others]}


def _as_audio_url(part: Any) -> Any:  # noqa: ANN401 - JSON
    if part.get("type") != "input_audio":
        return part
    sound = part["input_audio"]
    url = f"data:audio/{sound['format']};base64,{sound['data']}"
    return {"type": "audio_url", "audio_url": {"url": url}}


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Price of a million tokens, in one currency."""

    prompt: float
    completion: float

    def cost(self, answers: Iterable[Answer]) -> float | None:
        """What the answers cost; None when the server did not count the tokens of some answer.

        Requests without an answer count nothing where the server says nothing.
        """
        total = 0.0
        for answer in answers:
            counts = (answer.prompt_tokens, answer.completion_tokens)
            if None in counts and answer.state in ("answered", "refused"):
                return None
            total += self.of_tokens(counts[0] or 0, counts[1] or 0)
        return total

    def of_tokens(self, prompt: int, completion: int) -> float:
        """What so many tokens cost.

        Example:
            >>> Prices(prompt=2.5, completion=10.0).of_tokens(400_000, 10_000)
            1.1
        """
        return (self.prompt * prompt + self.completion * completion) / 1e6
