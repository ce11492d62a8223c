"""Open connections to a server: one question at a time is asked until there is an outcome.

Only transport trouble is retried: an answer, whatever it says, is final.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from harness._util.redaction import masked, redacted
from harness.errors import DataError, RunFailed
from mllm_eval.client.completions import encodable, is_policy, seconds_asked
from mllm_eval.client.concurrency import Pace
from mllm_eval.client.journal import Answer, State
from mllm_eval.client.listed import arguments_of, entries
from mllm_eval.client.requests import Request

if TYPE_CHECKING:
    from mllm_eval.client.endpoint import Client

log = logging.getLogger(__name__)

__all__ = ["Connection", "Session", "state_of"]

_LOST: frozenset[State] = frozenset({"failed", "timed_out"})
_RETRIED = frozenset({408, 429, 500, 502, 503, 504, 529})
_OVERLOAD = frozenset({429, 503, 529})
_SET_UP = frozenset({401, 402})
"""Wrong for every request alike: key, payment."""
_NO_SUCH_MODEL = 404  # likewise, unless the model has answered before
_OWN = frozenset({400, 403, 404, 413, 415, 422, 451})
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


def state_of(status: int) -> State:
    """What a request comes to that the server answers with this status, and not its policy."""
    return "rejected" if status in _OWN else "failed"


class Connection:
    """Open connections to one server.

    Attributes:
        reached: Whether the model is known to have seen a request, in this session or before.
    """

    def __init__(self, client: Client, http: httpx.AsyncClient, key: str) -> None:
        self.pace = Pace(client.limits)
        self.reached = False
        self._open = 0
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
        self._check_arguments(response)

    def _check_arguments(self, response: httpx.Response) -> None:
        """Refuse a server that was started otherwise than the one that is to be asked."""
        try:
            known = entries(masked(response.json(), [self._key]))
            found = arguments_of(known, self._client.name)
        except (ValueError, RecursionError):
            return  # it tells nothing of its models
        if self._client.arguments and found != self._client.arguments:
            raise RunFailed(
                f"the server at {self._client.base_url} was started with other arguments than when"
                f" it was first asked (digest {found or 'none'}, then {self._client.arguments})",
                hint="repeat the same command: answers of the two are kept apart",
            )

    @property
    def load(self) -> float:
        """Requests in flight or waiting, in shares of what may be in flight now."""
        return self._open / self.pace.limit

    async def ask(self, request: Request) -> Answer:
        """Ask until there is an outcome.

        Raises:
            RunFailed: When the server has gone, or would refuse every request alike.
        """
        self._open += 1
        try:
            async with self.pace.turn():
                return await self._ask(request)
        finally:
            self._open -= 1

    async def _ask(self, request: Request) -> Answer:
        key = self._client.identity(request).key
        try:
            body = await asyncio.to_thread(
                request.body,
                *(self._client.name, self._client.audio_part, self._client.frame_part),
            )
        except DataError as error:  # a recording that breaks off when it is decoded
            return Answer(key, "no_media", self._safe(str(error)), "", (), 0, 0, 0.0, 0)
        return await self._persist(request, body, key)

    async def _persist(self, request: Request, body: bytes, key: str) -> Answer:
        attempt = 0
        while True:
            attempt += 1
            sent = time.monotonic()
            outcome = await self._attempt(request, body, key, attempt, sent)
            if isinstance(outcome, Answer):
                self.reached = True
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

    async def _attempt(
        self, request: Request, body: bytes, key: str, attempt: int, sent: float
    ) -> Answer | _Trouble:
        try:
            async with asyncio.timeout(self._client.limits.timeout):
                response = await self._http.post(
                    request.path,
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
            return request.answer(response.content, key, seconds, attempt, secret=self._key)
        except _NO_COMPLETION as error:
            text = self._safe(f"HTTP 200 without {request.noun}: {error!r}")
            return _Trouble(state="failed", text=text, again=True)

    def _trouble(self, response: httpx.Response) -> _Trouble:
        status, text = response.status_code, self._told(response)
        if is_policy(response):
            return _Trouble(state="blocked", text=text)
        set_up = status in _SET_UP or (status == _NO_SUCH_MODEL and not self.reached)
        if set_up or "insufficient_quota" in response.text:
            raise self.refuses(text)
        return _Trouble(
            state=state_of(status),
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


@contextlib.asynccontextmanager
async def _connected(client: Client) -> AsyncIterator[Connection]:
    key = client.key()
    async with httpx.AsyncClient(
        base_url=client.base_url,
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout=client.limits.timeout,
        limits=httpx.Limits(max_connections=client.limits.most),
    ) as http:
        connection = Connection(client, http, key)
        await connection.check()
        yield connection


class Session:
    """Open connections to the servers of a client; made by ``Client.session``.

    Args:
        opened: One per server, at least one.
    """

    def __init__(self, opened: Sequence[Connection]) -> None:
        self._at_work = list(opened)

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(cls, clients: Sequence[Client]) -> AsyncIterator[Session]:
        """Connections for clients of one server each, checked to be there.

        Raises:
            RunFailed: When a server cannot be reached, is not ready or refuses the key.
        """
        async with contextlib.AsyncExitStack() as stack:
            entered = [await stack.enter_async_context(_connected(one)) for one in clients]
            yield cls(entered)

    @property
    def reached(self) -> bool:
        """Whether the model is known to have seen a request, at any of them or before."""
        return any(one.reached for one in self._at_work)

    @reached.setter
    def reached(self, known: bool) -> None:
        for one in self._at_work:
            one.reached = known

    @property
    def in_flight(self) -> float:
        """Requests that may be in flight now, at all of them."""
        return sum(one.pace.limit for one in self._at_work)

    async def ask(self, request: Request) -> Answer:
        """Ask the server with the shortest queue until there is an outcome.

        A server that is gone is asked nothing more while another is there, and a question that was
        lost on its way to one is put to the next.

        Raises:
            RunFailed: When the last server has gone, or would refuse every request alike.
        """
        untried, answer = list(self._at_work), None
        while untried and (answer is None or answer.state in _LOST):
            idlest = min(untried, key=lambda one: one.load)
            untried.remove(idlest)
            try:
                answer = await idlest.ask(request)
            except RunFailed as error:
                if self._at_work == [idlest]:
                    raise
                if idlest in self._at_work:
                    self._at_work.remove(idlest)
                    log.warning("%s; the others go on", error)
        assert answer is not None  # the last one at work answers or raises
        return answer

    def refuses(self, told: str) -> RunFailed:
        """The error that nothing is answered here, for what a server ``told``."""
        return self._at_work[0].refuses(told)
