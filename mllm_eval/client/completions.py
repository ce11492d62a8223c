"""From a server's response to an answer, or to whose fault it is that there is none."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import httpx

from harness._util.redaction import masked
from mllm_eval.client.journal import Answer, TokenChoices

__all__ = ["answer_of", "count", "encodable", "is_policy", "name_of", "seconds_asked"]

_POLICY_CODES = ("content_filter", "content_policy", "moderation", "inspection_failed")
_NO_PROBABILITY = -9999.0  # what vLLM writes for minus infinity, which JSON does not have
_LONGEST_NAME = 200  # characters
_GAVE_UP = frozenset({"abort", "error"})  # of the engine: it may answer when asked again


def answer_of(
    content: bytes, key: str, seconds: float, attempt: int, *, secret: str = ""
) -> Answer:
    """The answer in a chat completion.

    Args:
        content: The response's body.
        key: Of the request's identity.
        seconds: What the attempt took.
        attempt: Which one it was, from 1.
        secret: The key that the server was given, masked where it repeats it.

    Raises:
        ValueError, KeyError, TypeError, IndexError, AttributeError: When it is none.
    """
    completion = masked(json.loads(content), [secret])
    choice = completion["choices"][0]
    message, reason = choice["message"], str(choice.get("finish_reason") or "")
    if reason.lower() in _GAVE_UP:
        raise ValueError(f"finish_reason {reason}")
    refusal = message.get("refusal")
    refused = bool(refusal) or reason == "content_filter"
    usage = completion.get("usage") or {}
    return Answer(
        key=key,
        state="refused" if refused else "answered",
        text=encodable(refusal or _words(message.get("content"))),
        finish_reason=encodable(reason),
        logprobs=tuple(_choices(at) for at in (choice.get("logprobs") or {}).get("content") or ()),
        prompt_tokens=count(usage.get("prompt_tokens")),
        completion_tokens=count(usage.get("completion_tokens")),
        seconds=seconds,
        attempts=attempt,
        model=name_of(completion.get("model")),
        fingerprint=name_of(completion.get("system_fingerprint")),
    )


def name_of(value: object) -> str:
    """A name that a server gives, empty where it gives none, cut where it is too long."""
    return encodable(value)[:_LONGEST_NAME] if isinstance(value, str) else ""


def _words(content: object) -> str:
    """The text of a message: given as it is, in parts, or not at all."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise TypeError(f"content is a text or a list of parts, found {type(content).__name__}")
    return "".join(part["text"] for part in content if part.get("type") == "text")


def _choices(position: Mapping[str, Any]) -> TokenChoices:
    """The generated token, then the alternatives without it, as the server ordered them.

    A server that rounds the two differently lists the generated token with another value.
    """
    chosen = _token(position)
    others = [_token(other) for other in position.get("top_logprobs") or ()]
    if same := [other for other in others if other[0] == chosen[0]]:
        others.remove(min(same, key=lambda other: _distance(other[1], chosen[1])))
    return (chosen, *others)


def _distance(one: float | None, other: float | None) -> float:
    return math.inf if one is None or other is None else abs(one - other)


def _token(entry: Mapping[str, Any]) -> tuple[str, float | None]:
    """The token and its log-probability; None where none is told, or NaN or infinity is."""
    told = entry.get("logprob")
    value = math.nan if told is None else float(told)
    if value == -math.inf:
        value = _NO_PROBABILITY
    return encodable(entry["token"]), value if math.isfinite(value) else None


def count(value: object) -> int | None:
    """A number of tokens; None where the server told none."""
    return value if isinstance(value, int) else None


def encodable(text: str) -> str:
    """The text with halves of surrogate pairs, which UTF-8 does not have, as question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def is_policy(response: httpx.Response) -> bool:
    """Whether a content policy, not a fault, kept the request from the model."""
    if response.status_code not in (400, 403):
        return False
    try:
        error = response.json()["error"]
        names = f"{error.get('code')} {error.get('type')}".lower()
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    return any(code in names for code in _POLICY_CODES)


def seconds_asked(text: str) -> float:
    """A Retry-After in seconds; its other form, a date, counts as none."""
    return float(text) if text.isascii() and text.isdigit() else 0.0
