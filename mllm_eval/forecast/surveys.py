"""What the rows of a suite that ask a model take, before anything is asked and without a server."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from harness import data
from harness.data.corpus import Corpus
from harness.data.datasets import SPLITS
from harness.errors import NotHere
from harness.home import Home
from harness.runs.plan import complete, expand_queries, with_known_systems
from harness.runs.selection import Selection
from harness.runs.store import RunStore
from harness.spec import Suite
from harness.system import systems
from mllm_eval.forecast.estimates import (
    Forecast,
    measured_rate,
    media_bytes,
    price_of,
    tokens_of,
)
from mllm_eval.hidden import MLLM_HIDDEN
from mllm_eval.media import sampling as media
from mllm_eval.media.clips import clips_of
from mllm_eval.media.sampling import Clip
from mllm_eval.prompt.letters import Letters
from mllm_eval.prompt.prompt import Prompt
from mllm_eval.zero_shot.survey import SurveySetting
from mllm_eval.zero_shot.system import MLLM, AskedParams

__all__ = ["forecast", "forecasts"]

log = logging.getLogger(__name__)

_SCORED: Final = ("valid", "test")
_UNTIMED: Final = "states are not timed"


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
    known, absent = with_known_systems(expand_queries(suite))
    whole, store = complete(known, absent=absent), RunStore(home.store)
    selection = Selection.of(only, whole.entries, whole.corpora)
    for name in whole.corpora:
        entries = [
            entry
            for entry in whole.entries
            if entry.system in (MLLM.name, MLLM_HIDDEN.name)
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
            system = systems[entry.system]
            params = system.resolve(corpus.dataset.name, entry.params)
            assert isinstance(params, AskedParams)
            states = system is MLLM_HIDDEN
            speed: tuple[float | None, str] = (rate, "stated")
            if rate is None:
                speed = (None, _UNTIMED) if states else measured_rate(params.model, store)
            yield forecast(params, corpus, entry.label, speed, states=states)


def forecast(
    params: AskedParams,
    corpus: Corpus,
    row: str,
    rate: tuple[float | None, str],
    *,
    states: bool = False,
) -> Forecast:
    """Count what a row would ask.

    Args:
        params: Of the row.
        corpus: The corpus.
        row: The row's label.
        rate: Answers a second, and whence they are known.
        states: Whether hidden states are read, of the clips of all splits, and nothing is answered.

    Raises:
        SpecError: When the model does not take what the row shows.
        DataError: For a folder of recordings that is none.
    """
    params.check_senses(corpus.dataset)
    setting, card = params.setting, params.card
    splits = SPLITS if states else _SCORED
    clips = [c for name in splits for c in clips_of(corpus.split(name).clips, setting.folder)]
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
    if states:
        received = 0
    pictured = [clip for clip, look in asked if look.shown != ("text",)]
    encoded = partial(
        media.parts, condition=setting.condition, sampling=setting.frames, senses=setting.senses
    )
    return Forecast(
        corpus=corpus.name,
        row=row,
        model=params.model,
        clips=len(clips),
        not_shown=len(clips) - len(asked),
        questions=len(asked) * len(forms),
        prompt_tokens=sent,
        completion_tokens=received,
        media_bytes=media_bytes(pictured, encoded) * len(forms),
        rate=rate[0],
        rate_from=rate[1],
        price=price_of(card, sent, received),
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
            total += tokens_of(f"{setting.system}{words.system}{words.user}")
    return total
