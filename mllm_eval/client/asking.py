"""Asking many questions at once, and none that the journal has an answer to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

from mllm_eval.client.endpoint import Client
from mllm_eval.client.requests import Request
from mllm_eval.client.session import Session
from mllm_eval.journal import SETTLED, Answer, Identity, Journal

__all__ = ["ask_all"]

log = logging.getLogger(__name__)


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
