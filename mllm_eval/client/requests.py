"""What is asked: messages, every sampling field, and what tokens cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness._util.canonical import Json, digest, dumps, plain
from mllm_eval.client.journal import Answer

__all__ = ["Messages", "Prices", "Request", "TokenSampling"]

Messages = Sequence[Mapping[str, Json]]


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
    """

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 32
    seed: int = 0
    top_logprobs: int = 0
    top_k: int | None = -1
    repetition_penalty: float | None = 1.0

    def fields(self) -> dict[str, Json]:
        """The request fields."""
        fields: dict[str, Json] = {
            "n": 1,
            "temperature": float(self.temperature),
            "top_p": float(self.top_p),
            "max_tokens": self.max_tokens,
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

    def body(self, model: str) -> bytes:
        """The request as sent."""
        body: dict[str, Json] = {**self.extra, **self.sampling.fields()}
        body |= {"model": model, "stream": False, "messages": plain(self.messages())}
        if self.schema is not None:
            named: Json = {"name": "answer", "strict": True, "schema": self.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        return dumps(body).encode()


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
            total += self.prompt * (counts[0] or 0) + self.completion * (counts[1] or 0)
        return total / 1e6
