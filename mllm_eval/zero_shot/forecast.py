"""What a survey takes, said before anything is asked and without a server.

Questions are counted exactly, and so are the recordings that can be shown. Bytes are measured on a
few clips. Tokens are estimates and said to be: words by the length of their text, frames by the
tiling on the card, sound not at all, for no card says what it takes.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from harness import data
from harness._util.canonical import Json
from harness.data.corpus import Corpus
from harness.errors import DataError, NotHere
from harness.home import Home
from harness.runs.plan import complete
from harness.runs.selection import Selection
from harness.runs.store import RunStore
from harness.spec import Suite
from mllm_eval.client import Prices
from mllm_eval.media import sampling as media
from mllm_eval.media.clips import clips_of
from mllm_eval.media.sampling import Clip
from mllm_eval.prompt.letters import Letters
from mllm_eval.prompt.prompt import Prompt
from mllm_eval.zero_shot.survey import SurveySetting
from mllm_eval.zero_shot.system import MLLM, MLLMParams

__all__ = ["Forecast", "forecast", "forecasts", "measured_rate"]

log = logging.getLogger(__name__)

_SPLITS: Final = ("valid", "test")
_TRIED: Final = 3  # clips that are encoded to see how large they are
_IDEOGRAPH: Final = re.compile("[\u3400-\u9fff]")
_LETTERS_A_TOKEN: Final = 4.0
_AROUND: Final = 12  # tokens of a chat template around a question
_IN_FLIGHT: Final = 64  # requests at most, so that waiting is that many times shorter than its sum


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a row takes on a corpus.

    Args:
        corpus: Its name.
        row: The row's label.
        model: Who is asked.
        clips: Of valid and test.
        not_shown: Those whose recording cannot be shown, which are not asked about.
        questions: First tries; an answer that cannot be read takes one more.
        prompt_tokens: Sent, estimated; without sound, and None where frames are shown whose tokens
            the card does not tell.
        completion_tokens: Received at most.
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


def forecasts(
    suite: Suite, home: Home, *, rate: float | None = None, only: Sequence[str] = ()
) -> Iterator[Forecast]:
    """What each row of a suite that asks a model takes, on each corpus that is here.

    Args:
        suite: The suite.
        home: Of corpora, and of runs that tell how fast a model answers.
        rate: Answers a second; None: as measured here.
        only: Patterns on rows and corpora; none means all.

    Raises:
        SpecError, DataError: See ``forecast``.
    """
    whole, store = complete(suite), RunStore(home.store)
    selection = Selection.of(only, whole.entries, whole.corpora)
    for name in whole.corpora:
        entries = [
            entry
            for entry in whole.entries
            if entry.system == MLLM.name
            and (entry.corpora is None or name in entry.corpora)
            and selection.holds(name, entry)
        ]
        try:
            corpus = data.load(name, home) if entries else None
        except NotHere as error:
            log.warning("%s", error)
            continue
        for entry in entries:
            assert corpus is not None
            params = MLLM.resolve(corpus.dataset.name, entry.params)
            assert isinstance(params, MLLMParams)
            speed = (rate, "stated") if rate else measured_rate(params.model, store)
            yield forecast(params, corpus, entry.label, speed)


def forecast(
    params: MLLMParams, corpus: Corpus, row: str, rate: tuple[float | None, str]
) -> Forecast:
    """Count what a row would ask.

    Args:
        params: Of the row.
        corpus: The corpus.
        row: The row's label.
        rate: Answers a second, and whence they are known.

    Raises:
        SpecError: When the model does not take what the row shows.
        DataError: For a folder of recordings that is none.
    """
    params.check_senses(corpus.dataset)
    setting, card = params.setting, params.card
    clips = [c for name in _SPLITS for c in clips_of(corpus.split(name).clips, setting.folder)]
    looks = [media.look(clip, setting.condition, setting.senses) for clip in clips]
    asked = [(clip, look) for clip, look in zip(clips, looks, strict=True) if not look.fault]
    forms = [
        prompt
        for prompt in params.asks(corpus.dataset)
        for _ in range(setting.turns if prompt.answer == "letters" else 1)
    ]
    seen = sum("vision" in look.shown for _, look in asked)
    frame = card.frame_tokens(setting.frames.size) if seen else 0
    said = _said([(clip, "text" in look.shown) for clip, look in asked], forms, corpus, setting)
    sent = None
    if frame is not None:
        sent = said + seen * setting.frames.frames * frame * len(forms)
    longest = setting.sampling.max_tokens + setting.sampling.thinking
    received = len(asked) * sum(1 if p.answer == "letters" else longest for p in forms)
    price = None
    if card.price and sent is not None:
        each = Prices(prompt=card.price["prompt"], completion=card.price["completion"])
        price = each.of_tokens(sent, received)
    return Forecast(
        corpus=corpus.name,
        row=row,
        model=params.model,
        clips=len(clips),
        not_shown=len(clips) - len(asked),
        questions=len(asked) * len(forms),
        prompt_tokens=sent,
        completion_tokens=received,
        media_bytes=_bytes([clip for clip, look in asked if look.shown != ("text",)], setting)
        * len(forms),
        rate=rate[0],
        rate_from=rate[1],
        price=price,
    )


def _said(
    clips: Sequence[tuple[Clip, bool]],
    forms: Sequence[Prompt],
    corpus: Corpus,
    setting: SurveySetting,
) -> int:
    """Tokens of all words, by the length of their text."""
    low, high = corpus.dataset.low, corpus.dataset.high
    total = 0
    for clip, told in clips:
        for prompt in forms:
            letters = None
            if prompt.answer == "letters":
                letters = Letters.permuted(*prompt.asked_scale(low, high), clip=clip.id)
            words = prompt.render(clip.text if told else None, low, high, letters)
            total += _tokens(f"{setting.system}{words.system}{words.user}")
    return total


def _tokens(text: str) -> int:
    ideographs = len(_IDEOGRAPH.findall(text))
    return _AROUND + ideographs + math.ceil((len(text) - ideographs) / _LETTERS_A_TOKEN)


def _bytes(clips: Sequence[Clip], setting: SurveySetting) -> int:
    """Media of one question about each of these clips, as sent."""
    if not clips:
        return 0
    places = np.linspace(0, len(clips) - 1, min(_TRIED, len(clips))).round().astype(int)
    sizes = []
    for clip in (clips[place] for place in places):
        try:
            parts = media.parts(clip, setting.condition, setting.frames, setting.senses)
        except DataError:
            continue  # breaks off when it is decoded: its own outcome when it is asked about
        sizes.append(sum(len(str(part)) for part in parts if part["type"] != "text"))
    return round(float(np.mean(sizes)) * len(clips)) if sizes else 0


def measured_rate(model: str, store: RunStore) -> tuple[float | None, str]:
    """Answers a second of stored runs that asked this model; their median, and whence it is.

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
