"""Asking any OpenAI-compatible server, as fast as it can bear, and never twice.

``ask_all`` sends what the journal does not have and returns one ``Answer`` per request, in order.
Only transport trouble is retried: an answer, whatever it says, is final. The API key is read from
an environment variable when it is needed and appears in no message, log or journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from harness.canonical import Json, digest, dumps, plain
from harness.errors import RunFailed, SpecError
from mllm_eval.journal import SETTLED, Answer, Identity, Journal, State, TokenChoices

__all__ = ["Client", "Limits", "Pace", "Prices", "Request", "Sampling", "Session", "ask_all"]

log = logging.getLogger(__name__)

Messages = Sequence[Mapping[str, Json]]

_RETRIED = frozenset({408, 429, 500, 502, 503, 504, 529})
_OVERLOAD = frozenset({429, 503, 529})
_SET_UP = frozenset({401, 402, 403, 404})
"""Wrong for every request alike: key, payment, rights, model name."""
_POLICY_CODES = ("content_filter", "content_policy", "moderation", "inspection_failed")
_NO_PROBABILITY = -9999.0  # what vLLM writes for minus infinity, which JSON does not have
_LONGEST_ERROR = 500  # characters kept of a server's error message
_LONGEST_WAIT = 60.0  # seconds between attempts


@dataclass(frozen=True, kw_only=True)
class Sampling:
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
    """

    messages: Callable[[], Messages]
    prompt: str
    media: str = ""
    sampling: Sampling = Sampling()
    schema: Mapping[str, Json] | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)

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
class Limits:
    """How hard to try.

    Args:
        timeout: Longest attempt, seconds.
        attempts: Requests sent at most for one question.
        backoff: Mean wait before the second attempt, seconds; doubles with each further one.
        start: Requests in flight at first.
        most: Requests in flight at most.
    """

    timeout: float = 120.0
    attempts: int = 5
    backoff: float = 0.5
    start: int = 8
    most: int = 64

    def __post_init__(self) -> None:
        if not (self.timeout > 0 and self.attempts >= 1 and 1 <= self.start <= self.most):
            raise SpecError(
                f"expected timeout > 0, attempts >= 1 and 1 <= start <= most, found {self}"
            )


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


@dataclass(frozen=True, kw_only=True)
class Client:
    """A model behind an OpenAI-compatible base URL.

    Args:
        base_url: Up to and including ``/v1``.
        model: Name the server knows.
        revision: Of the weights, or the snapshot of a closed model.
        engine: Inference engine and version.
        key_variable: Environment variable that holds the API key; None: no key is sent.
        limits: How hard to try.
    """

    base_url: str
    model: str
    revision: str
    engine: str
    key_variable: str | None = None
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        try:
            url = httpx.URL(self.base_url)
        except httpx.InvalidURL as error:
            raise SpecError(f"expected a base URL, found {self.base_url!r}: {error}") from None
        if url.scheme not in ("http", "https") or url.userinfo or url.query:
            raise SpecError(
                "expected a base URL such as http://127.0.0.1:8000/v1, without user, password or "
                f"query, found {url.copy_with(userinfo=b'', query=None)}",
                hint="put the API key into an environment variable and name it: key_variable",
            )

    def identity(self, request: Request) -> Identity:
        """What the request's answer is keyed by."""
        return Identity(
            model=self.model,
            revision=self.revision,
            engine=self.engine,
            prompt=request.prompt,
            media=request.media,
            sampling=request.sampling.fields(),
            schema=request.schema,
            extra=request.extra,
        )

    def key(self) -> str:
        """The API key, empty when none is sent.

        Raises:
            RunFailed: When the variable is not set.
        """
        if self.key_variable is None:
            return ""
        key = os.environ.get(self.key_variable, "").strip()
        if not key:
            raise RunFailed(
                f"{self.base_url} needs an API key in {self.key_variable}, which is not set",
                hint=f"export {self.key_variable}=...",
            )
        return key

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """Connections to the server, checked to be there.

        Raises:
            RunFailed: When the server cannot be reached, is not ready or refuses the key.
        """
        key = self.key()
        async with httpx.AsyncClient(
            base_url=self.base_url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=self.limits.timeout,
            limits=httpx.Limits(max_connections=self.limits.most),
        ) as http:
            session = Session(self, http, key)
            await session.check()
            yield session


class Pace:
    """How many requests may be in flight: one more per round while all is fine, half on overload.

    Fine is an answer within a quarter of the time-out: halving then comes long before it.

    Args:
        limits: Where to start, where to end, and the time-out.
    """

    def __init__(self, limits: Limits) -> None:
        self.limit = float(limits.start)
        self._most = limits.most
        self._fine = limits.timeout / 4
        self._in_flight = 0
        self._last_cut = -math.inf
        self._freed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a place and keep it."""
        async with self._freed:
            await self._freed.wait_for(lambda: self._in_flight < int(self.limit))
            self._in_flight += 1
        try:
            yield
        finally:
            async with self._freed:
                self._in_flight -= 1
                self._freed.notify_all()

    def answered(self, seconds: float) -> None:
        """An answer came after ``seconds``."""
        if seconds <= self._fine:
            self.limit = min(float(self._most), self.limit + 1 / self.limit)

    def overloaded(self, sent: float) -> None:
        """A request sent at ``sent`` (monotonic) met overload; one burst halves only once."""
        if sent > self._last_cut:
            self._last_cut = time.monotonic()
            self.limit = max(1.0, self.limit / 2)


@dataclass(frozen=True, kw_only=True)
class _Trouble:
    """An attempt that brought no answer."""

    state: State
    text: str
    again: bool = False
    overload: bool = False
    wait: float = 0.0  # seconds the server asked for
    unreachable: bool = False


class Session:
    """Open connections of a client; made by ``Client.session``."""

    def __init__(self, client: Client, http: httpx.AsyncClient, key: str) -> None:
        self.pace = Pace(client.limits)
        self._client = client
        self._http = http
        self._key = key
        self._jitter = random.Random()  # no result depends on it

    async def check(self) -> None:
        """Ask the server for its models.

        Raises:
            RunFailed: When it cannot be reached, is not ready or refuses the key.
        """
        timeout = min(10.0, self._client.limits.timeout)
        try:
            response = await self._http.get("models", timeout=timeout)
        except httpx.RequestError as error:
            raise self._gone(error) from None
        if response.status_code in (401, 403):
            raise self._wrong_set_up(response)
        if response.status_code >= 500:
            raise RunFailed(
                f"the server at {self._client.base_url} is not ready: HTTP {response.status_code}",
                hint="wait until its /health answers, then repeat the same command",
            )

    async def ask(self, request: Request) -> Answer:
        """Ask until there is an outcome.

        Raises:
            RunFailed: When the server has gone, or would refuse every request alike.
        """
        key = self._client.identity(request).key
        async with self.pace.turn():
            body = await asyncio.to_thread(request.body, self._client.model)
            return await self._persist(body, key)

    async def _persist(self, body: bytes, key: str) -> Answer:
        attempt = 0
        while True:
            attempt += 1
            sent = time.monotonic()
            outcome = await self._attempt(body, key, attempt, sent)
            if isinstance(outcome, Answer):
                self.pace.answered(outcome.seconds)
                return outcome
            if outcome.overload:
                self.pace.overloaded(sent)
            if not outcome.again or attempt == self._client.limits.attempts:
                break
            await asyncio.sleep(self._pause(attempt, outcome.wait))
        if outcome.unreachable:
            raise self._gone(outcome.text)
        seconds = time.monotonic() - sent
        return Answer(key, outcome.state, outcome.text, "", (), None, None, seconds, attempt)

    def _pause(self, attempt: int, asked: float) -> float:
        """Seconds before the next attempt; the place is kept, so that a sick server has rest."""
        mean = self._client.limits.backoff * 2.0 ** (attempt - 1)
        return min(_LONGEST_WAIT, max(asked, mean * self._jitter.uniform(0.5, 1.5)))

    async def _attempt(self, body: bytes, key: str, attempt: int, sent: float) -> Answer | _Trouble:
        try:
            async with asyncio.timeout(self._client.limits.timeout):
                response = await self._http.post(
                    "chat/completions",
                    content=body,
                    headers={"Content-Type": "application/json"},
                )
        except (TimeoutError, httpx.TimeoutException):
            text = f"no answer within {self._client.limits.timeout:g} s"
            return _Trouble(state="timed_out", text=text, again=True, overload=True)
        except httpx.RequestError as error:
            gone = isinstance(error, httpx.ConnectError)
            text = self._safe(repr(error))
            return _Trouble(state="failed", text=text, again=True, unreachable=gone)
        if response.status_code != 200:
            return self._trouble(response)
        try:
            return _answer_of(response.content, key, time.monotonic() - sent, attempt)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            text = self._safe(f"HTTP 200 without a chat completion: {error!r}")
            return _Trouble(state="failed", text=text, again=True)

    def _trouble(self, response: httpx.Response) -> _Trouble:
        status = response.status_code
        text = f"HTTP {status}: {self._safe(response.text)}"
        if _is_policy(response):
            return _Trouble(state="blocked", text=text)
        if status in _SET_UP or "insufficient_quota" in response.text:
            raise self._wrong_set_up(response)
        return _Trouble(
            state="failed",
            text=text,
            again=status in _RETRIED,
            overload=status in _OVERLOAD,
            wait=_seconds(response.headers.get("Retry-After", "")),
        )

    def _safe(self, text: str) -> str:
        """A server's error message, short and without the key it may repeat."""
        text = _encodable(text)
        return (text.replace(self._key, "***") if self._key else text)[:_LONGEST_ERROR]

    def _wrong_set_up(self, response: httpx.Response) -> RunFailed:
        variable = self._client.key_variable
        return RunFailed(
            f"{self._client.base_url} refuses every request for model {self._client.model!r}: "
            f"HTTP {response.status_code}: {self._safe(response.text)}",
            hint="check the model's name (GET /models), "
            + (f"the key in {variable} and its quota" if variable else "and key_variable"),
        )

    def _gone(self, why: object) -> RunFailed:
        reason = self._safe(why if isinstance(why, str) else f"{type(why).__name__}: {why}")
        return RunFailed(
            f"no server answers at {self._client.base_url} ({reason})",
            hint=f"msa mllm serve {self._client.model}, then repeat the same command: "
            "what was answered is kept",
        )


def ask_all(
    requests: Sequence[Request],
    client: Client,
    journal: Journal,
    *,
    on_answer: Callable[[Answer], None] | None = None,
) -> list[Answer]:
    """One outcome per request, in the order of the requests.

    What the journal has is not asked; equal requests are asked once. Answers, refusals and
    blocked requests are journalled as they arrive; time-outs and failures are not, so the next
    call tries them again. Without anything to ask, no server is needed.

    Args:
        requests: The questions.
        client: Whom to ask.
        journal: What has been answered; appended to.
        on_answer: Called for each outcome as it arrives, for progress.

    Raises:
        RunFailed: When the server cannot be reached or refuses every request alike.
        StoreError: When the journal cannot be written.
    """
    identities = [client.identity(request) for request in requests]
    keys = [identity.key for identity in identities]
    outcomes = dict(journal.answers)
    todo = {
        key: (request, identity)
        for key, request, identity in zip(keys, requests, identities, strict=True)
        if key not in outcomes
    }

    def keep(answer: Answer, identity: Identity) -> None:
        outcomes[answer.key] = answer
        if answer.state in SETTLED:
            journal.append(answer, identity)
        if on_answer is not None:
            on_answer(answer)

    if todo:
        asyncio.run(_ask_each(todo.values(), client, keep))
    return [outcomes[key] for key in keys]


async def _ask_each(
    todo: Iterable[tuple[Request, Identity]],
    client: Client,
    keep: Callable[[Answer, Identity], None],
) -> None:
    queue = iter(list(todo))

    async def work(session: Session, queue: Iterator[tuple[Request, Identity]]) -> None:
        for request, identity in queue:  # shared: each worker takes the next one
            keep(await session.ask(request), identity)

    async with client.session() as session:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(client.limits.most):
                    group.create_task(work(session, queue))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the others are the same or followed from it
        log.debug("%s: %.1f requests in flight at the end", client.model, session.pace.limit)


def _answer_of(content: bytes, key: str, seconds: float, attempt: int) -> Answer:
    """The answer in a chat completion.

    Raises:
        ValueError, KeyError, TypeError, IndexError, AttributeError: When it is none.
    """
    completion = json.loads(content)
    choice = completion["choices"][0]
    message, reason = choice["message"], str(choice.get("finish_reason") or "")
    refusal = message.get("refusal")
    refused = bool(refusal) or reason == "content_filter"
    usage = completion.get("usage") or {}
    return Answer(
        key=key,
        state="refused" if refused else "answered",
        text=_encodable(refusal or message.get("content") or ""),
        finish_reason=_encodable(reason),
        logprobs=tuple(_choices(at) for at in (choice.get("logprobs") or {}).get("content") or ()),
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        seconds=seconds,
        attempts=attempt,
    )


def _choices(position: Mapping[str, Any]) -> TokenChoices:
    """The generated token, then the alternatives without it, as the server ordered them."""
    chosen = _token(position)
    others = [_token(other) for other in position.get("top_logprobs") or ()]
    if chosen in others:
        others.remove(chosen)
    return (chosen, *others)


def _token(entry: Mapping[str, Any]) -> tuple[str, float]:
    value = float(entry["logprob"])
    return _encodable(entry["token"]), value if math.isfinite(value) else _NO_PROBABILITY


def _count(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _encodable(text: str) -> str:
    """The text with halves of surrogate pairs, which UTF-8 does not have, as question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _is_policy(response: httpx.Response) -> bool:
    """Whether a content policy, not a fault, kept the request from the model."""
    if response.status_code not in (400, 403):
        return False
    try:
        error = response.json()["error"]
        names = f"{error.get('code')} {error.get('type')}".lower()
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    return any(code in names for code in _POLICY_CODES)


def _seconds(text: str) -> float:
    """A Retry-After in seconds; its other form, a date, counts as none."""
    return float(text) if text.isascii() and text.isdigit() else 0.0
