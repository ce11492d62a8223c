"""Asking many questions at once, and none that the journal has an answer to."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Iterator, Sequence

from mllm_eval.client.endpoint import Client
from mllm_eval.client.journal import SETTLED, Answer, Journal, State
from mllm_eval.client.requests import Request
from mllm_eval.client.session import Session

__all__ = ["ask_all"]

log = logging.getLogger(__name__)

_REACHED: frozenset[State] = frozenset({"answered", "refused"})
"""States of requests that the model has seen."""
_ROUNDS = 2  # of failures in a row, each as many as are ever in flight, and no more is asked


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
        self._failures = 0  # since the last time that the server said something

    async def ask(self) -> None:
        """Put the questions that the journal has no answer to."""
        queue = iter(self.todo)
        async with self._client.session() as session:
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(self._client.limits.most):
                        group.create_task(self._work(session, queue))
            except BaseExceptionGroup as errors:
                raise errors.exceptions[0] from None  # the others are the same or followed from it
            await self._settle_rejected(session)
            log.debug("%s: %.1f requests in flight", self._client.model, session.pace.limit)
        for key in queue:
            text = f"not asked: {self._failures} questions before failed in a row"
            self.outcomes[key] = Answer(key, "failed", text, "", (), None, None, 0.0, 0)

    async def _work(self, session: Session, queue: Iterator[str]) -> None:
        """Put one question after another; all workers share the queue."""
        while self._failures < _ROUNDS * self._client.limits.most:
            key = next(queue, None)
            if key is None:
                return
            self._keep(await session.ask(self._requests[key]))

    def _keep(self, answer: Answer) -> None:
        self.outcomes[answer.key] = answer
        self._failures = 0 if answer.state in SETTLED else self._failures + 1
        if answer.state in SETTLED and answer.state != "rejected":
            self._journal.append(answer, self._identities[answer.key])
        if self._on_answer is not None:
            self._on_answer(answer)

    async def _settle_rejected(self, session: Session) -> None:
        """Tell what the server rejects of these requests from what it rejects of all.

        Where it has answered none of them, they stay unsettled and are returned as rejected.
        """
        rejected = [key for key in self.todo if self._state(key) == "rejected"]
        known = next((key for key in self._requests if self._state(key) in _REACHED), None)
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

    def _state(self, key: str) -> State | None:
        answer = self.outcomes.get(key)
        return None if answer is None else answer.state
