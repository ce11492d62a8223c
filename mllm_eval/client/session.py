"""Open connections to a server: one question at a time is asked until there is an outcome.

Only transport trouble is retried: an answer, whatever it says, is final.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from harness._util.redaction import masked, redacted
from harness.errors import RunFailed
from mllm_eval.client.completions import answer_of, encodable, is_policy, seconds_asked
from mllm_eval.client.concurrency import Pace
from mllm_eval.client.journal import Answer, State
from mllm_eval.client.requests import Request

if TYPE_CHECKING:
    from mllm_eval.client.endpoint import Client

__all__ = ["Session"]

_RETRIED = frozenset({408, 429, 500, 502, 503, 504, 529})
_OVERLOAD = frozenset({429, 503, 529})
_SET_UP = frozenset({401, 402, 404})
"""Wrong for every request alike: key, payment, model name."""
_OWN = frozenset({400, 403, 413, 415, 422, 451})
"""May be wrong with one request alone: too long, a medium that cannot be taken, moderated."""
_NO_COMPLETION = (
    *(ValueError, KeyError, TypeError, IndexError, AttributeError),
    RecursionError,  # brackets without end
)
_LONGEST_ERROR = 500  # characters kept of a server's error message
_LONGEST_WAIT = 60.0  # seconds between attempts


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
            raise self.refuses(self._told(response))
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
            text = self._safe(f"{'cannot connect' if gone else 'connection lost'}: {error!r}")
            return _Trouble(state="failed", text=text, again=True, unreachable=gone)
        if response.status_code != 200:
            return self._trouble(response)
        try:
            seconds = time.monotonic() - sent
            return answer_of(response.content, key, seconds, attempt, secret=self._key)
        except _NO_COMPLETION as error:
            text = self._safe(f"HTTP 200 without a chat completion: {error!r}")
            return _Trouble(state="failed", text=text, again=True)

    def _trouble(self, response: httpx.Response) -> _Trouble:
        status, text = response.status_code, self._told(response)
        if is_policy(response):
            return _Trouble(state="blocked", text=text)
        if status in _SET_UP or "insufficient_quota" in response.text:
            raise self.refuses(text)
        return _Trouble(
            state="rejected" if status in _OWN else "failed",
            text=text,
            again=status in _RETRIED,
            overload=status in _OVERLOAD,
            wait=seconds_asked(response.headers.get("Retry-After", "")),
        )

    def _safe(self, text: str) -> str:
        """A server's error message, short and without the key it may repeat."""
        return redacted(masked(encodable(text), [self._key]))[:_LONGEST_ERROR]

    def _told(self, response: httpx.Response) -> str:
        return f"HTTP {response.status_code}: {self._safe(response.text)}"

    def refuses(self, told: str) -> RunFailed:
        """The error that nothing is answered here, for what the server ``told``."""
        variable = self._client.key_variable
        return RunFailed(
            f"{self._client.base_url} refuses every request for model {self._client.model!r}: "
            f"{told}",
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
