"""Asking a model about the clips of a split, and reading what it says.

Every prompt is put to every clip; letters once per turn, in rotated order. An answer that cannot be
read is asked for once more with the prompt's shorter instruction. What the journal has is not asked
again, so a survey that was stopped goes on where it stood. A clip whose recording cannot be shown
is not asked about, and counted. A survey with a question that has no outcome is none, unless a
share of such clips was accepted.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import filelock

from harness._util.canonical import Json, digest
from harness.data.corpus import Split
from harness.errors import DataError
from mllm_eval.client import (
    Answer,
    Client,
    Journal,
    Request,
    TokenSampling,
    Unanswered,
    ask_settled,
)
from mllm_eval.media import sampling as media
from mllm_eval.media.clips import clips_of, media_identity
from mllm_eval.media.sampling import Clip, Condition
from mllm_eval.prompt.letters import Letters
from mllm_eval.prompt.outcomes import Outcome, Reading, outcome_of
from mllm_eval.prompt.parse import score_schema, unread
from mllm_eval.prompt.prompt import Prompt

__all__ = ["Question", "Reply", "Survey", "SurveySetting", "check_shown", "may_be_read_again"]

log = logging.getLogger(__name__)

_ASKED_AGAIN = (Outcome.UNPARSED, Outcome.CUT, Outcome.OUT_OF_RANGE, Outcome.REFUSED)
_ALTERNATIVES = 20  # log-probabilities a token, the most that servers give by default
_NAMED = 3  # clips that a warning names
_NUMBER = r"-?[0-9]\.[0-9]"
"""What a number is held to: one digit, one decimal. Its range is checked when it is read."""


@dataclass(frozen=True, kw_only=True)
class SurveySetting:
    """How clips are shown and answers are asked for.

    Args:
        condition: What is shown of a clip.
        senses: Which of ``vision`` and ``audio`` the model takes.
        frames: Which frames, where frames are shown.
        folder: Of the recordings; None: there are transcripts only.
        turns: Rotations of the letters.
        readout: How a value is had of the model.
        constrained: Whether the server holds numbers and JSON to their form; for expected values,
            letters too.
        system: System line that goes before the prompts' own.
        sampling: How to answer.
        extra: Further request fields.
    """

    condition: Condition = "text"
    senses: frozenset[str] = media.SENSES
    frames: media.FrameSampling = field(default_factory=media.FrameSampling)
    folder: Path | None = None
    turns: int = 1
    readout: str = "generated"
    constrained: bool = False
    system: str = ""
    sampling: TokenSampling = field(default_factory=TokenSampling)
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Question:
    """One prompt about one clip.

    Args:
        clip: The clip.
        shown: What is shown of it: ``vision``, ``audio``, ``text``.
        prompt: The prompt.
        low: Lowest label.
        high: Highest label.
        turn: Which rotation of the letters, from 0.
        fault: Why the clip cannot be shown, so that it is not asked about; empty otherwise.
    """

    clip: Clip
    shown: tuple[str, ...]
    prompt: Prompt
    low: float
    high: float
    turn: int = 0
    fault: str = ""

    @property
    def unasked(self) -> Answer:
        """What stands for the answer where the clip cannot be shown."""
        return Answer("", "no_media", self.fault, "", (), 0, 0, 0.0, 0)

    @cached_property
    def letters(self) -> Letters | None:
        """The letters of the question, if it asks for one."""
        if self.prompt.answer != "letters":
            return None
        start, end = self.prompt.asked_scale(self.low, self.high)
        return Letters.permuted(start, end, clip=self.clip.id, turn=self.turn)

    def request(self, setting: SurveySetting, before: str | None = None) -> Request:
        """The request that puts the question, or, after the unusable answer ``before``, again."""
        transcript = self.clip.text if "text" in self.shown else None
        words = self.prompt.render(transcript, self.low, self.high, self.letters)
        again: tuple[dict[str, Json], ...] = ()
        if before is not None:
            shorter = self.prompt.render_retry(self.low, self.high, self.letters)
            again = (
                {"role": "assistant", "content": before},
                {"role": "user", "content": shorter},
            )
        system = "\n\n".join(filter(None, (setting.system, words.system)))
        start = [{"role": "system", "content": system}] if system else []

        def messages() -> list[dict[str, Any]]:
            asked = {"role": "user", "content": self._content(words.user, setting)}
            return [*start, asked, *again]

        return Request(
            messages=messages,
            prompt=digest([system, words.user, again]),
            media=media_identity(self.clip, self.shown, setting.frames),
            sampling=self._sampling(setting),
            schema=self._schema(setting),
            extra={**setting.extra, **self._form(setting)},
            about=self.clip.id,
        )

    def _content(self, words: str, setting: SurveySetting) -> str | list[media.Part]:
        """Media first, then the words; the words alone where no media are shown."""
        if self.shown == ("text",):
            return words
        shown = media.parts(self.clip, setting.condition, setting.frames, setting.senses)
        seen_and_heard = [part for part in shown if part["type"] != "text"]
        return [*seen_and_heard, {"type": "text", "text": words}]

    def _sampling(self, setting: SurveySetting) -> TokenSampling:
        if self.letters is None:
            return setting.sampling
        return dataclasses.replace(setting.sampling, max_tokens=1, top_logprobs=_ALTERNATIVES)

    def _schema(self, setting: SurveySetting) -> Mapping[str, Json] | None:
        if not setting.constrained or self.prompt.answer != "json":
            return None
        return score_schema(*self.prompt.asked_scale(self.low, self.high))

    def _form(self, setting: SurveySetting) -> Mapping[str, Json]:
        """Request fields that hold an answer to a number, or to one of the letters.

        Held to them, vLLM reports log-probabilities of all letters, and among them alone: none is
        missing, and the mass that they cover is always 1. Where it is asked how much they cover,
        they stay free; of letters that are all listed the expected value is the same either way.
        """
        if not setting.constrained:
            return {}
        if self.prompt.answer == "number":
            return {"structured_outputs": {"regex": _NUMBER}}
        if self.letters is not None and setting.readout == "expected":
            return {"structured_outputs": {"choice": list(self.letters.letters)}}
        return {}

    def read(self, answer: Answer) -> Reading:
        """What a settled answer says, on the label scale; letters by their probabilities.

        Where the server tells no probabilities, the letter alone is no value: beside expected
        values of other clips it would be one of another kind.
        """
        if answer.state != "answered":
            return Reading(outcome=outcome_of(answer.state), detail=answer.text)
        if self.letters is None:
            return self.prompt.read(answer.text, self.low, self.high, whole=answer.whole)
        if not answer.logprobs:
            return unread(answer.text, "log-probabilities of letters")
        found = self.letters.expected(answer.logprobs[0])
        return self.prompt.to_labels(found, self.low, self.high)


@dataclass(frozen=True, kw_only=True, eq=False)
class Reply:
    """What became of a question: the answers in order, one or two, and the reading of the last."""

    question: Question
    answers: tuple[Answer, ...]
    reading: Reading

    def record(self) -> dict[str, Any]:
        """The reply as a row of a run's answers."""
        question, last = self.question, self.answers[-1]
        return {
            "id": question.clip.id,
            "prompt": question.prompt.name,
            "turn": question.turn,
            "shown": "+".join(question.shown) or "nothing",
            "outcome": str(self.reading.outcome),
            "value": self.reading.value,
            "mass": self.reading.mass,
            "text": last.text,
            "first_text": self.answers[0].text if len(self.answers) > 1 else "",
            "tries": len(self.answers),
            "detail": self.reading.detail,
            "prompt_tokens": _sum([answer.prompt_tokens for answer in self.answers]),
            "completion_tokens": _sum([answer.completion_tokens for answer in self.answers]),
            "seconds": sum(answer.seconds for answer in self.answers),
            "requests": sum(answer.attempts for answer in self.answers),
            "answered_by": last.model,
            "fingerprint": last.fingerprint,
        }


class Survey:
    """Questions about clips, put when they are first needed.

    Args:
        client: Whom to ask.
        prompts: What to ask.
        setting: How.
        journal: File in which answers are kept; surveys that share it wait for each other.
        accept: Share of the clips of one asking that may lack an answer after all attempts.
    """

    def __init__(
        self,
        client: Client,
        prompts: Sequence[Prompt],
        setting: SurveySetting,
        journal: Path,
        accept: float = 0.0,
    ) -> None:
        self._accept = accept
        self._client = client
        self._prompts = tuple(prompts)
        self._setting = setting
        self._journal = journal
        self._known: dict[str, tuple[Reply, ...]] = {}

    def ask(self, splits: Sequence[Split]) -> None:
        """Ask about all clips of several splits.

        Raises:
            RunFailed: When the server has gone, or refuses every request alike, or more questions
                than accepted have no answer after all attempts; what was answered is kept.
            DataError: When no clip has anything that could be shown.
        """
        batches = self._batches(splits)
        check_shown([one.fault for batch in batches for one in batch])
        for reply in self._ask(batches):
            name = reply.question.clip.id
            self._known[name] = (*self._known.get(name, ()), reply)

    def replies(self, split: Split) -> Mapping[str, tuple[Reply, ...]]:
        """Clip id -> its replies, in the order of prompts and turns, for every clip of the split.

        Raises:
            RunFailed, DataError: See ``ask``.
        """
        if not split.clips["id"].isin(self._known).all():
            self.ask([split])
        return {name: self._known[name] for name in split.ids}

    def pending(self, splits: Sequence[Split]) -> list[Request]:
        """What ``ask`` would send now: questions without an answer, and second tries.

        A second try is known once the first answer is; so what is pending changes with the journal.

        Raises:
            DataError: When no clip has anything that could be shown.
        """
        questions = list(chain.from_iterable(self._batches(splits)))
        check_shown([one.fault for one in questions])
        with Journal(self._journal) as journal:
            found = [self._next(one, journal) for one in questions if not one.fault]
        by_key = {self._client.identity(one).key: one for one in found if one is not None}
        return list(by_key.values())

    def _next(self, question: Question, journal: Journal) -> Request | None:
        """The request about a question that the journal has no answer to; None where it is done."""
        request = question.request(self._setting)
        answer = journal.answers.get(self._client.identity(request).key)
        if answer is None:
            return request
        first = Reply(question=question, answers=(answer,), reading=question.read(answer))
        if not may_be_read_again(first):
            return None
        again = question.request(self._setting, answer.text)
        return None if self._client.identity(again).key in journal.answers else again

    def _batches(self, splits: Sequence[Split]) -> list[list[Question]]:
        """The questions about each split, no clip twice."""
        batches: list[list[Question]] = []
        for split in splits:
            before = {one.clip.id for batch in batches for one in batch}.union(self._known)
            batches.append(self._about(split, before))
        return batches

    def _warn(self, clips: Sequence[Clip], faults: Mapping[str, str]) -> None:
        """Say what cannot be shown, and what is less than the condition ``all`` promises."""
        if faults:
            named = ", ".join(list(faults)[:_NAMED]) + (", …" if len(faults) > _NAMED else "")
            log.warning(
                "%s: %d of %d clips cannot be shown and are not asked about: %s (%s)",
                *(self._client.model, len(faults), len(clips), named, next(iter(faults.values()))),
            )
        if self._setting.condition != "all":
            return
        model, recorded = self._client.model, [clip for clip in clips if clip.media is not None]
        if silent := sum(clip.media is None and clip.id not in faults for clip in clips):
            log.warning(
                "%s: no recordings of %d of %d clips: their transcripts alone are shown",
                *(model, silent, len(clips)),
            )
        withheld = sorted(media.SENSES - self._setting.senses)
        if withheld and recorded:
            log.warning(
                "%s: its card takes no %s: nothing of it is shown of %d clips with recordings",
                *(model, " and no ".join(withheld), len(recorded)),
            )

    def _about(self, split: Split, before: Set[str]) -> list[Question]:
        """The questions about the clips of a split, without those asked about ``before``."""
        table, dataset = split.clips[~split.clips["id"].isin(before)], split.corpus.dataset
        clips = clips_of(table, self._setting.folder)
        condition, senses = self._setting.condition, self._setting.senses
        looks = {clip.id: media.look(clip, condition, senses) for clip in clips}
        self._warn(clips, {name: found.fault for name, found in looks.items() if found.fault})
        scale = {"low": dataset.low, "high": dataset.high}
        return [
            Question(
                clip=clip,
                shown=looks[clip.id].shown,
                fault=looks[clip.id].fault,
                prompt=prompt,
                turn=turn,
                **scale,
            )
            for clip in clips
            for prompt in self._prompts
            for turn in range(self._setting.turns if prompt.answer == "letters" else 1)
        ]

    def _ask(self, batches: Sequence[Sequence[Question]]) -> list[Reply]:
        """Every question once, then those whose answer cannot be read once more."""
        with (
            filelock.FileLock(self._journal.with_suffix(".lock")),
            Journal(self._journal) as journal,
        ):
            requests = [
                [one.request(self._setting) for one in batch if not one.fault] for batch in batches
            ]
            questions = list(chain.from_iterable(batches))
            clips = len({question.clip.id for question in questions})
            accept = Unanswered(self._accept, clips) if self._accept else None
            found = chain.from_iterable(ask_settled(requests, self._client, journal, accept=accept))
            answers_ = [one.unasked if one.fault else next(found) for one in questions]
            replies = [
                Reply(question=question, answers=(answer,), reading=question.read(answer))
                for question, answer in zip(questions, answers_, strict=True)
            ]
            places = [place for place, reply in enumerate(replies) if may_be_read_again(reply)]
            again = [
                replies[place].question.request(self._setting, replies[place].answers[0].text)
                for place in places
            ]
            (answers,) = ask_settled(
                *([again], self._client, journal),
                beside=list(chain.from_iterable(requests)),
                accept=accept,
            )
        for place, answer in zip(places, answers, strict=True):
            first = replies[place]
            replies[place] = Reply(
                question=first.question,
                answers=(*first.answers, answer),
                reading=first.question.read(answer),
            )
        return replies


def check_shown(faults: Sequence[str]) -> None:
    """Clips of which none can be shown are no survey.

    Args:
        faults: Of each clip or question; empty ones of those that can be shown.

    Raises:
        DataError: When all have one.
    """
    if faults and all(faults):
        raise DataError(
            f"none of the clips can be shown: {faults[0]}",
            hint="check --media; the conditions text and all show the transcript of such clips",
        )


def may_be_read_again(reply: Reply) -> bool:
    """Whether the model answered, but not in the form asked for, and may do so in another form."""
    answered = reply.answers[-1].state == "answered"
    unusable = reply.reading.outcome in _ASKED_AGAIN
    return answered and unusable and bool(reply.question.prompt.retry)


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
