"""Asking many questions at once, and none that the journal has an answer to."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Iterator, Sequence

from harness._util.pulse import Pulse
from harness.errors import RunFailed
from mllm_eval.client.answering import is_asked
from mllm_eval.client.endpoint import Client
from mllm_eval.client.journal import KEPT, SETTLED, Answer, Identity, Journal, State
from mllm_eval.client.requests import Request
from mllm_eval.client.session import Session

__all__ = ["ask_all", "check_answering"]

log = logging.getLogger(__name__)

_REACHED: frozenset[State] = frozenset({"answered", "refused"})
"""States of requests that the model has seen."""
_ROUNDS = 2  # of failures in a row, each as many as are ever in flight, and no more is asked
_REJECTIONS = 100  # before the first answer, and no more is asked


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
    call tries them again, nor are rejections until an answered question, put once more, shows that
    they are the requests' own. Without anything to ask, no server is needed.

    Args:
        requests: The questions.
        client: Whom to ask.
        journal: What has been answered; appended to.
        on_answer: Called for each outcome as it arrives, for progress.

    Raises:
        RunFailed: When the server cannot be reached or refuses every request alike.
        StoreError: When the journal cannot be written.
    """
    asking = _Asking(requests, client, journal, on_answer)
    if asking.todo:
        asyncio.run(asking.ask())
    return [asking.outcomes[key] for key in asking.keys]


class _Asking:
    """The questions of one call, and what has become of them."""

    def __init__(
        self,
        requests: Sequence[Request],
        client: Client,
        journal: Journal,
        on_answer: Callable[[Answer], None] | None,
    ) -> None:
        identities = [client.identity(request) for request in requests]
        self.keys = [identity.key for identity in identities]
        self.outcomes: dict[str, Answer] = dict(journal.answers)
        self._requests = dict(zip(self.keys, requests, strict=True))
        self._identities = dict(zip(self.keys, identities, strict=True))
        self.todo = [key for key in self._requests if key not in self.outcomes]
        self._client = client
        self._journal = journal
        self._on_answer = on_answer
        self._most = client.limits.most * len(client.addresses)
        self._pulse = Pulse(len(self.todo))
        self._failures = 0  # since the last time that the server said something
        self._rejections = 0
        self._end: RunFailed | None = None  # why no further question is put

    async def ask(self) -> None:
        """Put the questions that the journal has no answer to."""
        queue = iter(self.todo)
        async with self._client.session() as session:
            session.reached = self._known() is not None
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(self._most):
                        group.create_task(self._work(session, queue))
            except BaseExceptionGroup as errors:
                raise errors.exceptions[0] from None  # the others are the same or followed from it
            if self._end is not None:
                raise self._end
            await self._settle_rejected(session)
            log.debug("%s: %.1f requests in flight", self._client.model, session.in_flight)
        for key in queue:
            text = f"not asked: {self._failures} questions before failed in a row"
            self.outcomes[key] = Answer(key, "failed", text, "", (), None, None, 0.0, 0)

    async def _work(self, session: Session, queue: Iterator[str]) -> None:
        """Put one question after another; all workers share the queue.

        When one is told that nothing more will be answered, the others keep what is on its way.
        """
        while self._end is None and self._failures < _ROUNDS * self._most:
            key = next(queue, None)
            if key is None:
                return
            try:
                answer = await session.ask(self._requests[key])
                self._keep(answer)
                self._rejections += answer.state == "rejected"
                if self._rejections >= _REJECTIONS and not session.reached:
                    raise session.refuses(answer.text)
            except RunFailed as error:
                self._end = self._end or error

    def _keep(self, answer: Answer) -> None:
        check_answering(answer, self._identities[answer.key], self._client, self._journal)
        self.outcomes[answer.key] = answer
        self._failures = 0 if answer.state in SETTLED else self._failures + 1
        if answer.state in KEPT:
            self._journal.append(answer, self._identities[answer.key])
        if self._on_answer is not None:
            self._on_answer(answer)
        if told := self._pulse.beat():
            log.warning("%s: answers %s", self._client.model, told)

    async def _settle_rejected(self, session: Session) -> None:
        """Tell what the server rejects of these requests from what it rejects of all.

        Where it has answered none of them, they stay unsettled and are returned as rejected.
        """
        rejected = [key for key in self.todo if self._state(key) == "rejected"]
        known = self._known()
        if not rejected or known is None:
            return
        again = await session.ask(self._requests[known])
        if again.state == "rejected":
            raise session.refuses(f"{again.text}, where it had answered before")
        for key in rejected:
            if again.state in _REACHED:
                self._journal.append(self.outcomes[key], self._identities[key])
            else:
                self.outcomes[key] = dataclasses.replace(self.outcomes[key], state="failed")

    def _known(self) -> str | None:
        """A question that the model is known to have seen; None where there is none yet."""
        return next((key for key in self._requests if self._state(key) in _REACHED), None)

    def _state(self, key: str) -> State | None:
        answer = self.outcomes.get(key)
        return None if answer is None else answer.state


def check_answering(answer: Answer, identity: Identity, client: Client, journal: Journal) -> None:
    """Refuse an answer of another model, and of another one than has answered before.

    Raises:
        RunFailed: When it is one.
    """
    before = journal.answering(identity)
    if not is_asked(client.name, client.revision, answer.model):
        raise RunFailed(
            f"{client.base_url} was asked for {client.name} and answered by {answer.model}:"
            " the answer is not kept",
            hint="name the model that answers; is the one asked for retired, or an alias?"
            f' then revision = "{answer.model}" says that it is meant',
        )
    if answer.model and before and answer.model != before:
        raise RunFailed(
            f"{client.model} at {client.base_url} was answered by {before} before and by"
            f" {answer.model} now: the answer is not kept",
            hint=f'ask for one snapshot: model = "{answer.model}"',
        )
