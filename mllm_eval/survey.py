"""Asking a model about the clips of a split, and reading what it says.

Every prompt is put to every clip; letters once per turn, in rotated order. An answer that cannot be
read is asked for once more with the prompt's shorter instruction. What the journal has is not asked
again, so a survey that was stopped goes on where it stood.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import filelock

from harness.canonical import Json, digest
from harness.data.corpus import Split
from mllm_eval import media
from mllm_eval.client import Client, Request, Sampling, ask_all
from mllm_eval.clips import clips_of, media_identity
from mllm_eval.journal import Answer, Journal
from mllm_eval.media import Clip, Condition
from mllm_eval.outcomes import Outcome, Reading
from mllm_eval.parse import score_schema
from mllm_eval.prompt import Prompt
from mllm_eval.scoring import Letters

__all__ = ["Question", "Reply", "Setting", "Survey"]

log = logging.getLogger(__name__)

_ASKED_AGAIN = (Outcome.UNPARSED, Outcome.OUT_OF_RANGE, Outcome.REFUSED)
_ALTERNATIVES = 20  # log-probabilities a token, the most that servers give by default
_NUMBER = r"-?[0-9]\.[0-9]"
"""What a number is held to: one digit, one decimal. Its range is checked when it is read."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How clips are shown and answers are asked for.

    Args:
        condition: What is shown of a clip.
        frames: Which frames, where frames are shown.
        folder: Of the recordings; None: there are transcripts only.
        turns: Rotations of the letters.
        constrained: Whether the server holds numbers and JSON to their form.
        system: System line that goes before the prompts' own.
        sampling: How to answer.
        extra: Further request fields.
    """

    condition: Condition = "text"
    frames: media.Sampling = field(default_factory=media.Sampling)
    folder: Path | None = None
    turns: int = 1
    constrained: bool = False
    system: str = ""
    sampling: Sampling = field(default_factory=Sampling)
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
    """

    clip: Clip
    shown: tuple[str, ...]
    prompt: Prompt
    low: float
    high: float
    turn: int = 0

    @cached_property
    def letters(self) -> Letters | None:
        """The letters of the question, if it asks for one."""
        if self.prompt.answer != "letters":
            return None
        start, end = self.prompt.asked_scale(self.low, self.high)
        return Letters.permuted(start, end, clip=self.clip.id, turn=self.turn)

    def request(self, setting: Setting, before: str | None = None) -> Request:
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
        )

    def _content(self, words: str, setting: Setting) -> str | list[media.Part]:
        """Media first, then the words; the words alone where no media are shown."""
        if self.shown == ("text",):
            return words
        shown = media.parts(self.clip, setting.condition, setting.frames)
        seen_and_heard = [part for part in shown if part["type"] != "text"]
        return [*seen_and_heard, {"type": "text", "text": words}]

    def _sampling(self, setting: Setting) -> Sampling:
        if self.letters is None:
            return setting.sampling
        return dataclasses.replace(setting.sampling, max_tokens=1, top_logprobs=_ALTERNATIVES)

    def _schema(self, setting: Setting) -> Mapping[str, Json] | None:
        if not setting.constrained or self.prompt.answer != "json":
            return None
        return score_schema(*self.prompt.asked_scale(self.low, self.high))

    def _form(self, setting: Setting) -> Mapping[str, Json]:
        """Request fields that hold an answer to a number.

        Letters stay free: held to them, vLLM reports log-probabilities among them alone, and the
        mass that they cover would always be 1. Their expected value is the same either way.
        """
        if not setting.constrained or self.prompt.answer != "number":
            return {}
        return {"structured_outputs": {"regex": _NUMBER}}

    def read(self, answer: Answer) -> Reading:
        """What an answer says, on the label scale; letters by their probabilities where given."""
        if answer.state != "answered":
            return Reading(outcome=Outcome(answer.state), detail=answer.text)
        if self.letters is not None and answer.logprobs:
            found = self.letters.expected(answer.logprobs[0])
            return self.prompt.to_labels(found, self.low, self.high)
        return self.prompt.read(answer.text, self.low, self.high, self.letters)


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
            "shown": "+".join(question.shown),
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
        }


class Survey:
    """Questions about clips, put when they are first needed.

    Args:
        client: Whom to ask.
        prompts: What to ask.
        setting: How.
        journal: File in which answers are kept; surveys that share it wait for each other.
    """

    def __init__(
        self, client: Client, prompts: Sequence[Prompt], setting: Setting, journal: Path
    ) -> None:
        self._client = client
        self._prompts = tuple(prompts)
        self._setting = setting
        self._journal = journal
        self._known: dict[str, tuple[Reply, ...]] = {}

    def replies(self, split: Split) -> Mapping[str, tuple[Reply, ...]]:
        """Clip id -> its replies, in the order of prompts and turns, for every clip of the split.

        Raises:
            RunFailed: When the server has gone, or refuses every request alike.
            DataError: When recordings are damaged, or a clip has nothing that could be shown.
        """
        table = split.clips[~split.clips["id"].isin(self._known)]
        if len(table):
            clips = clips_of(table, self._setting.folder)
            self._warn(clips)
            dataset = split.corpus.dataset
            for reply in self._ask(self._questions(clips, dataset.low, dataset.high)):
                name = reply.question.clip.id
                self._known[name] = (*self._known.get(name, ()), reply)
        return {name: self._known[name] for name in split.ids}

    def _warn(self, clips: Sequence[Clip]) -> None:
        silent = sum(clip.media is None for clip in clips)
        if silent and self._setting.condition == "all":
            log.warning(
                "%s: no recordings of %d of %d clips: their transcripts alone are shown",
                self._client.model,
                silent,
                len(clips),
            )

    def _questions(self, clips: Sequence[Clip], low: float, high: float) -> list[Question]:
        return [
            Question(clip=clip, shown=shown, prompt=prompt, low=low, high=high, turn=turn)
            for clip in clips
            for shown in (media.shown(clip, self._setting.condition),)
            for prompt in self._prompts
            for turn in range(self._setting.turns if prompt.answer == "letters" else 1)
        ]

    def _ask(self, questions: Sequence[Question]) -> list[Reply]:
        """Every question once, then those whose answer cannot be read once more."""
        with (
            filelock.FileLock(self._journal.with_suffix(".lock")),
            Journal(self._journal) as journal,
        ):
            requests = [question.request(self._setting) for question in questions]
            replies = [
                Reply(question=question, answers=(answer,), reading=question.read(answer))
                for question, answer in zip(
                    questions, ask_all(requests, self._client, journal), strict=True
                )
            ]
            places = [place for place, reply in enumerate(replies) if _is_asked_again(reply)]
            requests = [
                questions[place].request(self._setting, replies[place].answers[0].text)
                for place in places
            ]
            answers = ask_all(requests, self._client, journal)
        for place, answer in zip(places, answers, strict=True):
            first = replies[place]
            replies[place] = Reply(
                question=first.question,
                answers=(*first.answers, answer),
                reading=first.question.read(answer),
            )
        return replies


def _is_asked_again(reply: Reply) -> bool:
    """Whether the model answered, but not in the form asked for, and may do so in another form."""
    answered = reply.answers[-1].state == "answered"
    unusable = reply.reading.outcome in _ASKED_AGAIN
    return answered and unusable and bool(reply.question.prompt.retry)


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
