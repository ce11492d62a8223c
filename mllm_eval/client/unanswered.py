"""What transport trouble has left without an answer: of how many clips, and by which trouble.

Such a question has no outcome. It is asked again by the same command, and until it is answered
nothing that needs it may be stored or told as a result, unless a share of such clips was accepted
beforehand; what accepted it says so wherever the result is shown.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import chain, islice

from harness.errors import RunFailed
from mllm_eval.client.ask import ask_all
from mllm_eval.client.endpoint import Client
from mllm_eval.client.journal import SETTLED, Answer, Journal
from mllm_eval.client.requests import Request

__all__ = ["Unanswered", "ask_settled", "counting", "open_clips"]

_AGAIN = "repeat the same command: what was answered is kept, and only the rest is asked"


def ask_settled(
    batches: Sequence[Sequence[Request]],
    client: Client,
    journal: Journal,
    *,
    beside: Sequence[Request] = (),
    on_answer: Callable[[Answer], None] | None = None,
    hint: str = _AGAIN,
    accept: Unanswered | None = None,
) -> list[list[Answer]]:
    """The last word on every request of several batches, asked one after the other.

    A batch with open questions does not keep the next one from being asked. Rejections by a server
    that answered nothing else of their batch are asked for once more, together with all others.

    Args:
        batches: The questions.
        client: Whom to ask.
        journal: What has been answered; appended to.
        beside: Questions that were settled before.
        on_answer: Called for each outcome as it arrives, for progress.
        hint: The next thing to do where an answer is lacking.
        accept: How many clips may lack one; None: none may.

    Returns:
        One list of answers per batch, in the order of its requests.

    Raises:
        RunFailed: When more questions have no answer than is accepted, naming the number of clips
            and each kind of trouble with its number of questions; see also ``ask_all``.
    """
    requests = list(chain.from_iterable(batches))
    with counting(requests, client, journal):
        found = [ask_all(batch, client, journal, on_answer=on_answer) for batch in batches]
        if any(_is_unconfirmed(answer, journal) for answer in chain.from_iterable(found)):
            known = ask_all([*beside, *requests], client, journal, on_answer=on_answer)
            rest = iter(known[len(beside) :])
            found = [list(islice(rest, len(batch))) for batch in batches]
    answers = list(chain.from_iterable(found))
    if kinds := Counter(_kind(answer) for answer in answers if answer.state not in SETTLED):
        told = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        lacking = _lacking(requests, answers)
        if accept is None or not accept.takes(open_clips(requests, answers)):
            over = "" if accept is None else f"; {accept.words}"
            raise RunFailed(f"{client.model}: {lacking} (questions: {told}){over}", hint=hint)
    return found


class Unanswered:
    """How many clips may lack an answer after all attempts, and which do.

    Args:
        share: Of all clips, 0 to 1.
        clips: How many clips there are.
    """

    def __init__(self, share: float, clips: int) -> None:
        self.open: frozenset[str] = frozenset()
        self._share = share
        self._clips = clips

    def takes(self, names: Collection[str]) -> bool:
        """Count these clips in, if all together are no more than are accepted."""
        together = self.open.union(names)
        if not len(together) <= self._share * self._clips:
            return False
        self.open = together
        return True

    @property
    def words(self) -> str:
        """What is accepted, for messages."""
        return f"{self._share:.3g} of {self._clips} clips may lack one"


def _is_unconfirmed(answer: Answer, journal: Journal) -> bool:
    """Whether it may be rejected like every other request."""
    return answer.state == "rejected" and answer.key not in journal.answers


@contextlib.contextmanager
def counting(requests: Sequence[Request], client: Client, journal: Journal) -> Iterator[None]:
    """Add to an error that ends the asking how many clips lack an answer."""
    try:
        yield
    except RunFailed as error:
        found = [journal.answers.get(client.identity(request).key) for request in requests]
        raise RunFailed(f"{error}; {_lacking(requests, found)}", hint=error.hint) from None


def _lacking(requests: Sequence[Request], answers: Sequence[Answer | None]) -> str:
    """How many clips, or questions where none is named, lack an answer."""
    count = len(open_clips(requests, answers))
    return f"{count} of {len(set(_names(requests)))} clips lack an answer"


def open_clips(requests: Sequence[Request], answers: Sequence[Answer | None]) -> frozenset[str]:
    """The clips that a request of has no last word; places of requests that name none."""
    pairs = zip(_names(requests), answers, strict=True)
    return frozenset(n for n, found in pairs if found is None or found.state not in SETTLED)


def _names(requests: Sequence[Request]) -> list[str]:
    return [request.about or str(place) for place, request in enumerate(requests)]


def _kind(answer: Answer) -> str:
    """What comes before the details of a trouble's message."""
    return answer.text.partition(":")[0]
