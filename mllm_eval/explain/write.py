"""Explanations of clips, written by any model behind a server: side information for TEXT.

Two stages. A model that hears and sees notes down what is heard and what is seen, one question per
sense, about nothing but that sense; a model that reads (the same or another) checks the notes
against the words and rewrites them as ``audio_clue``, ``visual_clue`` and ``summary``. A clip
without sound has no audio clue; whatever cannot stand stays empty and is counted.

Two controls are made the same way: ``transcript``, where both notes are imagined from the words
alone, and ``shuffled``, where each clip gets the explanations of another clip of its split.

Source:
    The two stages of TEXT (AAAI 2026), whose instructions are unpublished; these are ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Final, Literal

import numpy as np
import pandas as pd

from harness._util import canonical
from harness._util.canonical import Json
from harness._util.seeds import derive
from harness.data.corpus import EXPLANATIONS
from harness.data.readers.explanations import Kind
from harness.errors import DataError
from mllm_eval.client import Answer, Client, Journal, Request, TokenSampling, ask_all, counting
from mllm_eval.explain.validate import (
    CheckedText,
    ExplanationRules,
    TextStatus,
    read_fields,
    read_note,
    text_schema,
)
from mllm_eval.explain.wording import WORDING
from mllm_eval.media import sampling as media
from mllm_eval.media.clips import donors, media_identity
from mllm_eval.media.content import show
from mllm_eval.media.sampling import Clip
from mllm_eval.prompt.instruction import Instructions, Language, instructions
from mllm_eval.prompt.prompt import Rendered

__all__ = [
    "CLUES",
    "LONGEST_NOTE",
    "LONGEST_REWRITING",
    "Control",
    "Explained",
    "Explainer",
    "ExplanationStage",
    "Sense",
    "shuffled",
]

Control = Literal["none", "transcript", "shuffled"]

Sense = Literal["audio", "vision"]

CLUES: Final[Mapping[Sense, str]] = {"audio": "audio_clue", "vision": "visual_clue"}
"""Sense -> the field of what is noted of it."""
_QUESTION: Final[Mapping[Sense, str]] = {"audio": "heard", "vision": "seen"}
_SUMMARY: Final = "summary"

LONGEST_NOTE: Final = 192  # tokens
LONGEST_REWRITING: Final = 512  # tokens

OnAnswer = Callable[[Answer], None]


@dataclass(frozen=True, eq=False, kw_only=True)
class Explained:
    """What was written about N clips.

    Args:
        checked: Clip id -> field -> text or why there is none; every clip has every field.
        answers: Of all requests of both stages.
    """

    checked: Mapping[str, Mapping[str, CheckedText]]
    answers: Sequence[Answer]

    @cached_property
    def texts(self) -> pd.DataFrame:
        """Index clip id, one column per field; empty where nothing stands."""
        rows = [[fields[name].text for name in EXPLANATIONS] for fields in self.checked.values()]
        index = pd.Index(list(self.checked), name="id")
        return pd.DataFrame(rows, index=index, columns=list(EXPLANATIONS))

    @property
    def unsettled(self) -> int:
        """Clips with a field that failed in transport: asking again may bring it."""
        return sum(
            any(not checked.status.final for checked in fields.values())
            for fields in self.checked.values()
        )

    def statuses(self) -> dict[str, dict[str, int]]:
        """Field -> status -> number of clips, without zeros."""
        return {
            name: dict(Counter(fields[name].status.value for fields in self.checked.values()))
            for name in EXPLANATIONS
        }

    @property
    def share_unsettled(self) -> float:
        """The same as a share of all clips, 0 to 1."""
        return self.unsettled / len(self.checked) if self.checked else 0.0

    def cost(self) -> dict[str, Json]:
        """Requests and the tokens that servers counted."""
        return {
            "requests": len(self.answers),
            "prompt_tokens": sum(one.prompt_tokens or 0 for one in self.answers),
            "completion_tokens": sum(one.completion_tokens or 0 for one in self.answers),
        }


@dataclass(frozen=True, kw_only=True)
class ExplanationStage:
    """Who answers the questions of a stage, and how.

    Args:
        client: The model.
        sampling: How it answers.
        extra: Further request fields.
        senses: Which of ``vision`` and ``audio`` the model takes.
        system: System line that goes before the instructions' own.
    """

    client: Client
    sampling: TokenSampling
    extra: Mapping[str, Json] = field(default_factory=dict)
    senses: frozenset[str] = media.SENSES
    system: str = ""

    def record(self) -> dict[str, Json]:
        """As provenance, without the place of the server."""
        return {
            "model": self.client.model,
            "revision": self.client.revision,
            "engine": self.client.engine,
            **({"arguments": self.client.arguments} if self.client.arguments else {}),
            "sampling": self.sampling.fields(),
            "extra": self.extra,
            **({"system": self.system} if self.system else {}),
        }


@dataclass(frozen=True, kw_only=True)
class Explainer:
    """Who explains, and how.

    Args:
        notes: Stage 1: hears and sees; only reads where notes are imagined from words.
        rewriting: Stage 2: reads; may be the same model.
        language: Of instructions and explanations.
        from_words: Whether notes are imagined from the transcript, whatever media there are.
        frames: How frames are sampled.
        ratings: Whether a text may name a rating.
    """

    notes: ExplanationStage
    rewriting: ExplanationStage
    language: Language
    from_words: bool = False
    frames: media.FrameSampling = field(default_factory=media.FrameSampling)
    ratings: bool = False

    @property
    def questions(self) -> Instructions:
        """What is asked."""
        return instructions("explain", self.language)

    @property
    def rules(self) -> ExplanationRules:
        """What texts must be."""
        return ExplanationRules(language=self.language, ratings=self.ratings)

    @property
    def kind(self) -> Kind:
        """What a protocol calls these explanations."""
        if self.from_words:
            return "transcript_llm"
        names = {(s.client.model, s.client.revision) for s in (self.notes, self.rewriting)}
        return "video_mllm" if len(names) == 1 else "both"

    def senses(self, clip: Clip) -> tuple[Sense, ...]:
        """What is noted of a clip: what is there and the model takes, or imagined from its words.

        Nothing of a clip whose recording cannot be shown.
        """
        if self.from_words:
            return tuple(CLUES) if clip.text.strip() else ()
        held = media.look(clip, "all", self.notes.senses).shown
        return tuple(sense for sense in CLUES if sense in held)

    def _unavailable(self, clip: Clip) -> dict[str, CheckedText]:
        """Texts before anything is asked: which ones there cannot be, and why."""
        checked = dict.fromkeys(EXPLANATIONS, CheckedText(status=TextStatus.ABSENT))
        if self.from_words:
            return checked
        found = media.look(clip, "all")
        if found.fault:
            return dict.fromkeys(EXPLANATIONS, CheckedText(status=TextStatus.NO_MEDIA))
        held = (media.SENSES - self.notes.senses).intersection(found.shown)
        clues = [clue for sense, clue in CLUES.items() if sense in held]
        return checked | dict.fromkeys(clues, CheckedText(status=TextStatus.WITHHELD))

    def explain(
        self, clips: Sequence[Clip], journal: Journal, on_answer: OnAnswer | None = None
    ) -> Explained:
        """Ask both stages what the journal does not have.

        Args:
            clips: With distinct ids.
            journal: Answers of both models.
            on_answer: Called for each answer as it arrives.

        Raises:
            RunFailed: When a server cannot be reached or refuses every request alike.
        """
        wanted = [(clip, sense) for clip in clips for sense in self.senses(clip)]
        requests = [self._note_of(clip, sense) for clip, sense in wanted]
        with counting(requests, self.notes.client, journal):
            first = ask_all(requests, self.notes.client, journal, on_answer=on_answer)
        checked = {clip.id: self._unavailable(clip) for clip in clips}
        for (clip, sense), answer in zip(wanted, first, strict=True):
            checked[clip.id][CLUES[sense]] = read_note(answer, self.rules)
        noted = [(clip, notes) for clip in clips if (notes := _noted(checked[clip.id]))]
        requests = [self._rewriting_of(clip, notes) for clip, notes in noted]
        with counting(requests, self.rewriting.client, journal):
            second = ask_all(requests, self.rewriting.client, journal, on_answer=on_answer)
        for (clip, notes), answer in zip(noted, second, strict=True):
            checked[clip.id] |= read_fields(answer, [*notes, _SUMMARY], self.rules)
        return Explained(checked=checked, answers=[*first, *second])

    def note_words(self, clip: Clip, sense: Sense) -> Rendered:
        """What is said to have a note, beside the media shown."""
        name = _QUESTION[sense]
        if self.from_words:
            words = self.questions[f"{name}_from_words"].render(transcript=clip.text)
        else:
            words = self.questions[name].render()
        return words.after(self.notes.system)

    def rewriting_words(self, clip: Clip, notes: Mapping[str, str]) -> Rendered:
        """What is said to have notes rewritten.

        Args:
            clip: The clip.
            notes: Field -> note.
        """
        words = self.questions["rewrite"].render(
            transcript=clip.text,
            notes="\n\n".join(f"{field}: {text}" for field, text in notes.items()),
            fields=", ".join((*notes, _SUMMARY)),
        )
        return words.after(self.rewriting.system)

    def _note_of(self, clip: Clip, sense: Sense) -> Request:
        words = self.note_words(clip, sense)
        if self.from_words:
            return show(words, sampling=self.notes.sampling, extra=self.notes.extra, about=clip.id)
        return show(
            words,
            media=media_identity(clip, [sense], self.frames),
            content=partial(media.parts, clip, sense, self.frames),
            sampling=self.notes.sampling,
            extra=self.notes.extra,
            about=clip.id,
        )

    def _rewriting_of(self, clip: Clip, notes: Mapping[str, str]) -> Request:
        stage = self.rewriting
        return show(
            self.rewriting_words(clip, notes),
            sampling=stage.sampling,
            schema=text_schema([*notes, _SUMMARY]),
            extra=stage.extra,
            about=clip.id,
        )

    def provenance(
        self, explained: Explained, control: Control, accepted: float = 0.0
    ) -> dict[str, Json]:
        """What the corpus records about its explanations; nothing in it is a place.

        Args:
            explained: What was written.
            control: How.
            accepted: Share of clips that were allowed to lack an answer after all attempts.
        """
        return {
            **({"accepted": accepted, "unsettled": explained.unsettled} if accepted else {}),
            "control": control,
            "notes": self.notes.record(),
            "rewriting": self.rewriting.record(),
            "instructions": {"name": self.questions.name, "sha256": self.questions.digest},
            "wording": WORDING,
            "frames": None if self.from_words else canonical.plain(self.frames),
            "outcomes": explained.statuses(),
            "cost": explained.cost(),
            "texts": canonical.digest(explained.texts.reset_index().to_dict("list")),
        }


def shuffled(texts: pd.DataFrame, clips: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """The control in which each clip has the explanations of another clip of its split.

    Clips without any explanation keep having none. Donors come from other source videos as far as
    the split allows.

    Args:
        texts: From ``Explained.texts``.
        clips: ``Corpus.clips``: ``id``, ``video``, ``split``.
        seed: Of the exchange.

    Raises:
        DataError: When a split has a single explained clip.
    """
    explained = texts[(texts != "").any(axis=1)]
    mixed = texts.copy()
    places = clips.set_index("id").loc[explained.index, ["split", "video"]]
    for split, rows in places.groupby("split"):
        if len(rows) < 2:
            raise DataError(f"the {split} split has one explained clip: nothing to exchange")
        generator = np.random.default_rng(derive(seed, "shuffled explanations", str(split)))
        order = donors(rows["video"].tolist(), generator)
        mixed.loc[rows.index] = explained.loc[rows.index[order]].to_numpy()
    return mixed


def _noted(fields: Mapping[str, CheckedText]) -> dict[str, str]:
    return {
        name: checked.text for name, checked in fields.items() if checked.status is TextStatus.TOLD
    }
