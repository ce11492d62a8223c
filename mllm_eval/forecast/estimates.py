"""What asking takes, as far as it can be told beforehand: tokens, bytes, hours, price.

Questions are counted exactly, and so are the recordings that can be shown. Bytes are measured on a
few clips. Tokens are estimates and said to be: words by the length of their text, frames by the
tiling on the card, sound not at all, for no card says what it takes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np

from harness._util.canonical import Json
from harness.errors import DataError
from harness.runs.store import RunStore
from mllm_eval.client import Prices
from mllm_eval.model.card import ModelCard
from mllm_eval.zero_shot.system import MLLM

__all__ = ["Forecast", "measured_rate", "media_bytes", "price_of", "tokens_of"]

_TRIED: Final = 3  # clips that are encoded to see how large they are
_IDEOGRAPH: Final = re.compile("[\u3400-\u9fff]")
_LETTERS_A_TOKEN: Final = 4.0
_AROUND: Final = 12  # tokens of a chat template around a question
_IN_FLIGHT: Final = 64  # requests at most, so that waiting is that many times shorter than its sum

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a row takes on a corpus.

    Args:
        corpus: Its name.
        row: The row's label.
        model: Who is asked.
        clips: That questions are about.
        not_shown: Those whose recording cannot be shown, which are not asked about.
        questions: First tries; an answer that cannot be read takes one more.
        prompt_tokens: Sent, estimated; without sound, and None where frames are shown whose tokens
            the card does not tell.
        completion_tokens: Received at most; none where states are read.
        media_bytes: Frames and sound as sent, estimated from a few clips.
        rate: Answers a second that hours are told for; None: nothing tells.
        rate_from: Whence it is known.
        price: In dollars, for as many tokens as above; None where the card names no price, or
            tokens are not known.
    """

    corpus: str
    row: str
    model: str
    clips: int
    not_shown: int
    questions: int
    prompt_tokens: int | None
    completion_tokens: int
    media_bytes: int
    rate: float | None
    rate_from: str
    price: float | None

    @property
    def hours(self) -> float | None:
        """Of asking, first tries."""
        return None if self.rate is None else self.questions / self.rate / 3600.0

    def record(self) -> dict[str, Json]:
        """As JSON values."""
        return {**vars(self), "hours": self.hours}


def tokens_of(text: str) -> int:
    """Tokens of a question, about: four letters each, an ideograph one, and a template around."""
    ideographs = len(_IDEOGRAPH.findall(text))
    return _AROUND + ideographs + math.ceil((len(text) - ideographs) / _LETTERS_A_TOKEN)


def media_bytes(clips: Sequence[T], parts: Callable[[T], Sequence[Mapping[str, Any]]]) -> int:
    """Media of one question about each of these clips, as sent; a few of them are encoded.

    Args:
        clips: Those whose media are shown.
        parts: Their content parts; whoever breaks off when decoded counts as the others.
    """
    if not clips:
        return 0
    places = np.linspace(0, len(clips) - 1, min(_TRIED, len(clips))).round().astype(int)
    sizes = []
    for place in places:
        try:
            shown = parts(clips[place])
        except DataError:
            continue  # breaks off when it is decoded: its own outcome when it is asked about
        sizes.append(sum(len(str(part)) for part in shown if part["type"] != "text"))
    return round(float(np.mean(sizes)) * len(clips)) if sizes else 0


def price_of(card: ModelCard | None, sent: int | None, received: int) -> float | None:
    """Dollars; None where the card names no price, or the tokens sent are not known."""
    if card is None or not card.price or sent is None:
        return None
    each = Prices(prompt=card.price["prompt"], completion=card.price["completion"])
    return each.of_tokens(sent, received)


def measured_rate(model: str, store: RunStore) -> tuple[float | None, str]:
    """Answers a second of stored runs that rated clips by this model; their median, and whence.

    A run that found its answers in the journal asked nobody: its time says nothing.
    """
    return _median(_rates(model, store))


def _rates(model: str, store: RunStore) -> Iterable[float]:
    for run in store:
        facts = run.manifest.result.zero_shot
        if run.spec.system != MLLM.name or run.spec.params.get("model") != model or facts is None:
            continue
        seconds = run.manifest.cost.fit_seconds
        counts = facts.splits.values()
        if seconds > 0 and sum(count.seconds for count in counts) <= _IN_FLIGHT * seconds:
            yield sum(count.requests for count in counts) / seconds


def _median(rates: Iterable[float]) -> tuple[float | None, str]:
    found = sorted(rates)
    if not found:
        return None, "never asked here"
    return float(np.median(found)), f"median of {len(found)} stored runs"
