"""Is the served model the model? Thirty-two items through another engine, and through itself again.

=========  ==================================  ================================================
reference  the same requests in transformers   answers that differ
order      the same requests in other orders   answers that change; spread of the mean score
vision     grey pictures in place of frames    scores move more than between orders
audio      silence in place of sound           scores move more than between orders
text       another item's transcript           scores move more than between orders
=========  ==================================  ================================================

Servers promise no repeatable answers: what shares a batch with a request changes last bits, and
with them near ties. A wrong chat template, lost media or a broken quantisation change far more.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness._util.canonical import digest
from harness._util.seeds import derive
from harness.errors import RunFailed
from mllm_eval.canary.items import ITEMS, Item, Senses, clips, made
from mllm_eval.client import Answer, Client, Journal, Request, ask_settled
from mllm_eval.media.content import show
from mllm_eval.media.sampling import Clip
from mllm_eval.model.card import ModelCard
from mllm_eval.prompt.prompt import Prompt
from mllm_eval.zero_shot.survey import Question

__all__ = ["ITEMS", "Canary", "CanaryFinding", "Item", "clips", "made", "senses_of"]

DIFFERENT: Final = 0.10
"""Largest share of answers in which two engines may differ."""
SPREAD: Final = 0.002
"""Largest standard deviation of the mean score between orders, as a share of the scale; above it,
results take the mean of three runs in different orders."""
_REACTS: Final = 2.0  # times the movement between orders
_LEAST: Final = 1e-6  # share of the scale; smaller movements are rounding
_LOW, _HIGH = -3.0, 3.0
_ORDERS: Final = ("as listed", "reversed", "shuffled")
_AGAIN: Final = "read the server's log, then repeat the same command: a check takes every answer"

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class CanaryFinding:
    """What one check found.

    Args:
        check: Its name.
        measure: What the value is.
        value: NaN where nothing could be compared.
        limit: What the value is held against.
        items: Items compared.
        passed: Whether all is well.
        verdict: In words.
    """

    check: str
    measure: str
    value: float
    limit: float
    items: int
    passed: bool
    verdict: str


@dataclass(frozen=True, kw_only=True, eq=False)
class _Pass:
    """All items once: (n,) answers as texts, None without one, and (n,) scores, NaN without one."""

    texts: tuple[str | None, ...]
    scores: Values


def senses_of(card: ModelCard) -> Senses:
    """The media that the canary can show a model."""
    return card.senses


class Canary:
    """The checks of one served model.

    Args:
        client: Whom to ask.
        card: The model.
        prompt: How scores are asked for; letters give continuous ones.
        items: What is shown; two or more.
    """

    def __init__(
        self, client: Client, card: ModelCard, prompt: Prompt, items: Sequence[Item]
    ) -> None:
        self._client = client
        self._card = card
        self._prompt = prompt
        self._items = tuple(items)

    def findings(self, answer: Callable[[Request], Answer] | None) -> list[CanaryFinding]:
        """All checks.

        Args:
            answer: The reference; None leaves it out.

        Raises:
            RunFailed: When the server or the reference cannot answer.
        """
        orders = self._orders()
        runs = [self._served(order=order) for order in orders]
        if all(text is None for text in runs[0].texts):
            raise RunFailed(
                f"{self._card.name} answered none of {len(self._items)} items",
                hint="read the server's log; a prompt that is too long or media that it cannot"
                " take are refused",
            )
        found = [] if answer is None else [self._against(answer, runs[0])]
        found += self._repeated(runs)
        noise = max(_movement(runs[0], run) for run in runs[1:])
        for sense, changed in self._changes().items():
            found.append(_reaction(sense, runs[0], changed, noise))
        return found

    def _orders(self) -> list[list[int]]:
        count = len(self._items)
        shuffled = np.random.default_rng(derive(0, "canary")).permutation(count)
        return [list(range(count)), list(range(count))[::-1], shuffled.tolist()]

    def _changes(self) -> dict[str, _Pass]:
        """Sense -> the answers without it; words of another item for ``text``."""
        held = frozenset().union(*(item.senses for item in self._items))
        blanks = [sense for sense in ("vision", "audio") if sense in held]
        changes: dict[str, _Pass] = {
            sense: self._served(blank=frozenset({sense})) for sense in blanks
        }
        changes["text"] = self._served(swapped=True)
        return changes

    def _requests(self, blank: Senses = frozenset(), swapped: bool = False) -> list[Request]:
        partner = len(self._items) // 2 + 1  # away from its own subject and opinion
        return [
            self._request(
                item,
                (self._items[(i + partner) % len(self._items)] if swapped else item).text,
                blank,
            )
            for i, item in enumerate(self._items)
        ]

    def _question(self, item: Item) -> Question:
        clip = Clip(id=item.id, text=item.text)
        return Question(clip=clip, shown=("text",), prompt=self._prompt, low=_LOW, high=_HIGH)

    def _request(self, item: Item, text: str, blank: Senses) -> Request:
        letters = self._question(item).letters
        words = self._prompt.render(text, _LOW, _HIGH, letters)
        form = {"max_tokens": 1, "top_logprobs": 20} if letters else {"max_tokens": 16}
        return show(
            words.after(self._card.system.strip()),
            sampling=self._card.sampling(**form),
            media=digest([item.id, sorted(item.senses), sorted(blank)]),
            content=lambda: item.content(blank),
            extra=self._card.extra,
            about=item.id,
        )

    def _served(
        self, *, order: Sequence[int] = (), blank: Senses = frozenset(), swapped: bool = False
    ) -> _Pass:
        """One pass over the items; nothing is remembered, so that everything is asked."""
        requests = self._requests(blank, swapped)
        places = list(order) or list(range(len(requests)))
        asked = [requests[place] for place in places]
        with (
            tempfile.TemporaryDirectory() as folder,
            Journal(Path(folder) / "answers.jsonl") as journal,
        ):
            (answers,) = ask_settled([asked], self._client, journal, hint=_AGAIN)
        return self._pass([answer for _, answer in sorted(zip(places, answers, strict=True))])

    def _pass(self, answers: Sequence[Answer]) -> _Pass:
        pairs = list(zip(self._items, answers, strict=True))
        readings = [self._question(item).read(answer) for item, answer in pairs]
        return _Pass(
            texts=tuple(a.text.strip() if a.state == "answered" else None for a in answers),
            scores=np.array([np.nan if r.value is None else r.value for r in readings]),
        )

    def _against(self, answer: Callable[[Request], Answer], served: _Pass) -> CanaryFinding:
        other = self._pass([answer(request) for request in self._requests()])
        share, items = _differing(served, other)
        moved = _movement(served, other) * (_HIGH - _LOW)
        passed = share <= DIFFERENT
        told = "the same model" if passed else "another model, template or preprocessing"
        return CanaryFinding(
            check="reference",
            measure="answers that differ from transformers",
            value=share,
            limit=DIFFERENT,
            items=items,
            passed=passed,
            verdict=f"{told}; scores differ by {moved:.3f} on average",
        )

    def _repeated(self, runs: Sequence[_Pass]) -> list[CanaryFinding]:
        texts = list(zip(*(run.texts for run in runs), strict=True))
        changing = float(np.mean([len(set(own)) > 1 for own in texts]))
        means = [_mean(run.scores) for run in runs]
        spread = float(np.std(means, ddof=1)) / (_HIGH - _LOW)
        steady = not spread > SPREAD
        once = "one run is enough" if steady else "take the mean of three orders"
        return [
            CanaryFinding(
                check="order",
                measure=f"answers that change between {len(_ORDERS)} orders",
                value=changing,
                limit=DIFFERENT,
                items=len(texts),
                passed=changing <= DIFFERENT,
                verdict="repeatable" if not changing else "depends on what shares a batch",
            ),
            CanaryFinding(
                check="order",
                measure="SD of the mean score between orders, share of the scale",
                value=spread,
                limit=SPREAD,
                items=len(texts),
                passed=steady,
                verdict=once,
            ),
        ]


def _differing(one: _Pass, other: _Pass) -> tuple[float, int]:
    """Share of the items answered by both whose answers differ, and the number of those items."""
    pairs = [(a, b) for a, b in zip(one.texts, other.texts, strict=True) if None not in (a, b)]
    if not pairs:
        return 1.0, 0
    return sum(a != b for a, b in pairs) / len(pairs), len(pairs)


def _movement(one: _Pass, other: _Pass) -> float:
    """Mean absolute difference of the scores, as a share of the scale; NaN without any."""
    return _mean(np.abs(one.scores - other.scores)) / (_HIGH - _LOW)


def _mean(values: Values) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def _reaction(sense: str, usual: _Pass, changed: _Pass, noise: float) -> CanaryFinding:
    moved = _movement(usual, changed)
    items = int(np.isfinite(usual.scores - changed.scores).sum())
    limit = max(_REACTS * noise, _LEAST) if items else _LEAST
    passed = moved > limit
    names = {"vision": "grey pictures", "audio": "silence", "text": "another transcript"}
    does = {"vision": "sees", "audio": "hears", "text": "reads"}[sense]
    verdict = f"{does} what is shown" if passed else f"does not react to {sense}: is it lost?"
    return CanaryFinding(
        check=sense,
        measure=f"mean movement of scores under {names[sense]}, share of the scale",
        value=moved,
        limit=limit,
        items=items,
        passed=passed,
        verdict=verdict if items else "cannot be told: no answer could be read",
    )
