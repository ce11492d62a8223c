"""What the probes ask: series of questions about the same clips, put all at once.

Shapes: N clips.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Final, cast

import numpy as np

from harness._util.canonical import Json, digest, plain
from harness._util.seeds import derive
from harness.data.corpus import Corpus
from harness.data.split_labels import SplitLabels
from harness.errors import DataError, RunFailed
from harness.metrics import Values
from mllm_eval.client import (
    Answer,
    Client,
    Journal,
    Request,
    TokenSampling,
    Unanswered,
    ask_settled,
)
from mllm_eval.explain.paraphrase import halves, reworded, units
from mllm_eval.media import sampling as media
from mllm_eval.media.clips import clips_of, donors
from mllm_eval.media.content import blanked, show
from mllm_eval.media.sampling import Clip, Condition
from mllm_eval.prompt.instruction import Instructions, Language, instructions
from mllm_eval.prompt.outcomes import Outcome, Reading, outcome_of
from mllm_eval.prompt.parse import cut_off, read_number
from mllm_eval.prompt.prompt import Prompt, Rendered
from mllm_eval.zero_shot.survey import Question, Reply, SurveySetting, may_be_read_again

__all__ = ["NEEDS", "SHOWS", "Prober", "Replies", "Subject", "choose"]

NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "completion": ("completion",),
    "recall": ("recall",),
    "wording": ("text", "reworded"),
    "swap": ("all", "swapped"),
    "blank": ("all", "no_vision", "no_audio"),
    "hearing": ("audio", "text", "all"),
}
"""Probe -> the series of questions that it takes."""
SHOWS: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(("completion", "recall", "wording"), frozenset[str]()),
    **dict.fromkeys(("swap", "blank"), media.SENSES),
    "hearing": frozenset({"audio"}),
}
"""Probe -> ``vision`` and ``audio`` that it shows; one of them will do, and none takes none."""

_OF_RECORDINGS: Final = frozenset({"all", "swapped", "no_vision", "no_audio", "audio"})
"""Series that leave out clips whose recordings cannot be shown."""
_SHORTEST: Final = 5  # units that a second half has at least, for a match to mean something
_LONGEST: Final = {"completion": 96, "score": 32}  # tokens
_TRIES: Final = 2
_SEED: Final = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Subject:
    """The clips that a model is probed with.

    Args:
        clips: N clips.
        truth: Their labels.
        constant: Median training label.
        senses: Which of ``vision`` and ``audio`` the model takes.
    """

    clips: Sequence[Clip]
    truth: SplitLabels
    constant: float
    senses: frozenset[str] = media.SENSES

    @cached_property
    def looks(self) -> list[media.Look]:
        """(N,) what the model can be shown of each clip, or why its recording cannot be."""
        return [media.look(clip, "all", self.senses) for clip in self.clips]

    @cached_property
    def held(self) -> list[frozenset[str]]:
        """(N,) ``text``, ``vision``, ``audio``, as far as the model can be shown them."""
        return [frozenset(look.shown or ("text",)) for look in self.looks]

    @cached_property
    def donors(self) -> list[int | None]:
        """(N,) whose words each clip with a recording gets; None for the others."""
        places = [i for i, held in enumerate(self.held) if held != {"text"}]
        found: list[int | None] = [None] * len(self.clips)
        if len(places) > 1:
            generator = np.random.default_rng(derive(_SEED, "swapped transcripts"))
            order = donors(self.truth.videos[places].tolist(), generator)
            for place, donor in zip(places, order, strict=True):
                found[place] = places[donor]
        return found


def choose(
    corpus: Corpus,
    split: str,
    folder: Path | None,
    most: int,
    senses: frozenset[str] = media.SENSES,
) -> Subject:
    """At most so many clips of a split: at random, those with recordings before the others.

    The choice is the same in every process; clips stay in the order of the split.

    Args:
        corpus: A stored corpus.
        split: Whose clips.
        folder: Of the recordings; None for transcripts only.
        most: Number of clips.
        senses: Which of ``vision`` and ``audio`` the model takes.

    Raises:
        DataError: For an unknown or empty split, or no training clips.
    """
    table, training = corpus.split(split).clips, corpus.split("train").labels
    if not len(table) or not len(training):
        raise DataError(f"{corpus.name} has no clips to probe with in {split}, or none to train on")
    clips = clips_of(table, folder)
    order = np.random.default_rng(derive(_SEED, "probed clips")).permutation(len(clips))
    ranked = sorted(order.tolist(), key=lambda place: clips[place].media is None)
    places = sorted(ranked[:most])
    return Subject(
        clips=[clips[place] for place in places],
        truth=SplitLabels.of_table(table.iloc[places], corpus.dataset, split),
        constant=float(np.median(training)),
        senses=senses,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Item:
    """A question of a series.

    Args:
        request: What is asked.
        read: What an answer says.
        again: The request that follows an answer which cannot be read; None where none follows.
    """

    request: Request
    read: Callable[[Answer], Reading]
    again: Callable[[Answer], Request | None] = lambda answer: None


@dataclass(frozen=True, eq=False, kw_only=True)
class Replies:
    """What a model said to all series.

    Args:
        subject: The clips.
        values: Series -> (N,) answers on the label scale, NaN where there is none.
        completions: (N,) second halves; None where none was asked for or given.
        outcomes: Series -> outcome -> count.
        answers: Of all requests.
    """

    subject: Subject
    values: Mapping[str, Values]
    completions: Sequence[str | None]
    outcomes: Mapping[str, Mapping[str, int]]
    answers: Sequence[Answer]


@dataclass(frozen=True, kw_only=True)
class Prober:
    """Who is probed, and how.

    Args:
        client: The model.
        prompt: Asks for a score. Of letters, which any model has, the probabilities are read.
        language: Of the transcripts.
        frames: How frames are sampled.
        sampling: How it answers; lengths are set here.
        extra: Further request fields.
        system: System line that goes before the prompts' own.
        rewordings: Clip id -> its transcript in other words, e.g. a back-translation; clips
            without one are reworded here.
        constrained: Whether the server holds numbers and JSON to their form.
    """

    client: Client
    prompt: Prompt
    language: Language
    frames: media.FrameSampling = field(default_factory=media.FrameSampling)
    sampling: TokenSampling = field(default_factory=TokenSampling)
    extra: Mapping[str, Json] = field(default_factory=dict)
    system: str = ""
    rewordings: Mapping[str, str] = field(default_factory=dict)
    constrained: bool = False

    @property
    def questions(self) -> Instructions:
        """What is asked besides scores."""
        return instructions("probe", self.language)

    def record(self) -> dict[str, Json]:
        """Everything that can change an answer, without the place of the server."""
        return {
            "model": self.client.model,
            "revision": self.client.revision,
            "engine": self.client.engine,
            **({"arguments": self.client.arguments} if self.client.arguments else {}),
            "prompt": {"name": self.prompt.name, "sha256": self.prompt.digest},
            "instructions": {"name": self.questions.name, "sha256": self.questions.digest},
            "language": self.language,
            "frames": plain(self.frames),
            "sampling": self.sampling.fields(),
            "extra": self.extra,
            **({"system": self.system} if self.system else {}),
            "rewordings": digest(self.rewordings) if self.rewordings else "ours",
            "tries": _TRIES,
            **({"constrained": True} if self.constrained else {}),
        }

    def ask(
        self,
        names: Sequence[str],
        subject: Subject,
        journal: Journal,
        on_answer: Callable[[Answer], None] | None = None,
        accept: float = 0.0,
    ) -> Replies:
        """Put every series that the probes of these names take.

        Each question once, and a score that cannot be read once more in the prompt's shorter words.

        Args:
            names: Keys of ``NEEDS``.
            subject: The clips.
            journal: What has been answered.
            on_answer: Called for each answer as it arrives.
            accept: Share of clips that may lack an answer after all attempts.

        Raises:
            RunFailed: When the server cannot be reached or refuses every request alike, or more
                questions than accepted have no answer after all attempts.
        """
        series = dict.fromkeys(name for probe in names for name in NEEDS[probe])
        asked = {name: self._series(name, subject) for name in series}
        flat = [(name, i, item) for name, row in asked.items() for i, item in row.items()]
        requests = [item.request for _, _, item in flat]
        open_ = Unanswered(accept, len(subject.clips)) if accept else None
        (answers,) = ask_settled(
            *([requests], self.client, journal), on_answer=on_answer, accept=open_
        )
        self._check_taken(answers)
        more = [item.again(answer) for (*_, item), answer in zip(flat, answers, strict=True)]
        (others,) = ask_settled(
            *([[request for request in more if request]], self.client, journal),
            beside=requests,
            on_answer=on_answer,
            accept=open_,
        )
        second = iter(others)
        last = [next(second) if again else one for again, one in zip(more, answers, strict=True)]
        values = {name: np.full(len(subject.clips), np.nan) for name in series}
        faulty = sum(bool(look.fault) for look in subject.looks)
        completions: list[str | None] = [None] * len(subject.clips)
        outcomes = {name: Counter[str]() for name in series}
        for name in outcomes.keys() & _OF_RECORDINGS:
            outcomes[name].update({Outcome.NO_MEDIA.value: faulty} if faulty else {})
        for (name, i, item), answer in zip(flat, last, strict=True):
            reading = _settled(answer) or item.read(answer)
            outcomes[name][reading.outcome.value] += 1
            if name == "completion" and reading.outcome is Outcome.ANSWERED:
                completions[i] = answer.text
            elif reading.value is not None:
                values[name][i] = reading.value
        return Replies(
            subject=subject,
            values=values,
            completions=completions,
            outcomes=outcomes,
            answers=[*answers, *others],
        )

    def _check_taken(self, answers: Sequence[Answer]) -> None:
        """Questions of which none reached the model find nothing out."""
        rejected = [a for a in answers if a.state in ("rejected", "timed_out", "failed")]
        if rejected and not any(answer.state in ("answered", "refused") for answer in answers):
            raise RunFailed(
                f"no question was answered by {self.client.model}: {rejected[0].text}",
                hint="read the server's log: is the model served with room for such requests?",
            )

    def _series(self, name: str, subject: Subject) -> dict[int, _Item]:
        """Place of a clip -> its request and how the answer is read; clips without one left out."""
        makers: Mapping[str, Callable[[Subject, int], _Item | None]] = {
            "completion": self._completion,
            "recall": self._recall,
            "reworded": self._reworded,
            "swapped": self._swapped,
            "no_vision": partial(self._blank, "vision"),
            "no_audio": partial(self._blank, "audio"),
        }
        maker = makers.get(name) or partial(self._score, name)  # a condition
        made = ((i, maker(subject, i)) for i in range(len(subject.clips)))
        return {i: item for i, item in made if item is not None}

    def _completion(self, subject: Subject, i: int) -> _Item | None:
        first, second = halves(subject.clips[i].text)
        if len(units(second)) < _SHORTEST:
            return None
        words = self.questions["complete"].render(
            dataset=subject.truth.dataset.title, beginning=first
        )
        request = self._show(words, "completion", subject.clips[i])
        told = Reading(outcome=Outcome.ANSWERED, value=0.0)
        return _Item(request=request, read=lambda answer: told)

    def _recall(self, subject: Subject, i: int) -> _Item:
        low, high = subject.truth.dataset.low, subject.truth.dataset.high
        words = self.questions["recall"].render(
            dataset=subject.truth.dataset.title,
            clip=subject.clips[i].id,
            low=f"{low:g}",
            high=f"{high:g}",
        )
        request = self._show(words, "score", subject.clips[i])
        return _Item(request=request, read=partial(_read_number, low=low, high=high))

    def _score(self, condition: str, subject: Subject, i: int) -> _Item | None:
        if condition == "text":
            return self._item(subject, subject.clips[i], condition)
        if subject.looks[i].fault or (condition != "all" and condition not in subject.held[i]):
            return None
        return self._item(subject, subject.clips[i], condition)

    def _reworded(self, subject: Subject, i: int) -> _Item:
        clip = subject.clips[i]
        text = self.rewordings.get(clip.id) or reworded(clip.text, self.language, clip.id)
        return self._item(subject, dataclasses.replace(clip, text=text), "text")

    def _swapped(self, subject: Subject, i: int) -> _Item | None:
        donor = subject.donors[i]
        if donor is None:
            return None
        words = subject.clips[donor].text
        return self._item(subject, dataclasses.replace(subject.clips[i], text=words), "all")

    def _blank(self, sense: str, subject: Subject, i: int) -> _Item | None:
        if sense not in subject.held[i]:
            return None
        item = self._item(subject, subject.clips[i], "all")

        def again(answer: Answer) -> Request | None:
            request = item.again(answer)
            return request and _without(request, sense)

        return _Item(request=_without(item.request, sense), read=item.read, again=again)

    def _show(self, words: Rendered, form: str, clip: Clip) -> Request:
        return show(
            words.after(self.system),
            sampling=self._up_to(form),
            extra=self.extra,
            about=clip.id,
        )

    def _up_to(self, form: str) -> TokenSampling:
        return dataclasses.replace(self.sampling, max_tokens=_LONGEST[form])

    def _item(self, subject: Subject, clip: Clip, condition: str) -> _Item:
        shown = media.shown(clip, cast("Condition", condition), subject.senses)
        question = Question(
            clip=clip,
            shown=shown,
            prompt=self.prompt,
            low=subject.truth.dataset.low,
            high=subject.truth.dataset.high,
        )
        setting = SurveySetting(
            condition=cast("Condition", condition),
            senses=subject.senses,
            frames=self.frames,
            sampling=self._up_to("score"),
            extra=self.extra,
            system=self.system,
            constrained=self.constrained,
        )

        def again(answer: Answer) -> Request | None:
            reply = Reply(question=question, answers=(answer,), reading=question.read(answer))
            return question.request(setting, answer.text) if may_be_read_again(reply) else None

        return _Item(request=question.request(setting), read=question.read, again=again)


def _without(request: Request, sense: str) -> Request:
    """The request with one sense blanked."""

    def messages() -> list[Mapping[str, Json]]:
        return [
            {**message, "content": blanked(content, frozenset({sense}))}
            if isinstance(content := message["content"], list)
            else message
            for message in request.messages()
        ]

    media = digest([request.media, "blank", sense])
    return dataclasses.replace(request, messages=messages, media=media)


def _read_number(answer: Answer, *, low: float, high: float) -> Reading:
    reading = read_number(answer.text, low, high)
    return reading if answer.whole else cut_off(reading)


def _settled(answer: Answer) -> Reading | None:
    """The reading of what is no answer."""
    if answer.state == "answered":
        return None
    return Reading(outcome=outcome_of(answer.state), detail=answer.text)
