"""What a run keeps of a zero-shot language model: which one, the questions, when, and outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from harness._util.records import Record

__all__ = ["AnswerCounts", "CalibrationLine", "ZeroShotFacts"]

_OPEN: Final = ("timed_out", "failed", "unanswered")
"""Outcomes of questions that the transport left open, the first two of earlier code."""


@dataclass(frozen=True, kw_only=True)
class AnswerCounts(Record):
    """The questions about one split, counted.

    Args:
        clips: Clips of the split.
        clips_answered: Those with an answer to one prompt at least.
        clips_open: Those with a question that transport trouble left open; None of runs of before.
        questions: Asked about them, over prompts and turns.
        outcomes: Outcome -> questions that had it.
        asked_again: Questions that took a second try.
        low_mass: Questions whose letters cover little of the probability.
        shown: What was shown, joined by + -> clips it was shown of.
        prompt_tokens: Sent; None when the server did not count some.
        completion_tokens: Received, likewise.
        seconds: Waited, summed over questions.
        requests: Sent over HTTP, repeated ones included.
    """

    clips: int
    clips_answered: int
    questions: int
    outcomes: Mapping[str, int]
    asked_again: int
    low_mass: int
    shown: Mapping[str, int]
    prompt_tokens: int | None
    completion_tokens: int | None
    seconds: float
    requests: int
    clips_open: int | None = None


@dataclass(frozen=True, kw_only=True)
class CalibrationLine(Record):
    """The line from answers to labels that calibrated predictions lie on.

    Args:
        slope: Label units per unit of an answer.
        intercept: Label of an answer of 0.
        clips: Validation clips it was fitted on.
    """

    slope: float
    intercept: float
    clips: int


@dataclass(frozen=True, kw_only=True)
class ZeroShotFacts(Record):
    """Which model, which prompts, and when: what a reader needs to judge the row by.

    Args:
        model: Its title.
        revision: Of its weights.
        engine: Inference engine and version.
        hosted: Whether somebody else runs it.
        licence: Of its weights.
        trained_on: What is known of its training data.
        billions: Parameters, in 10^9; None where unknown.
        inputs: What it takes, in alphabetical order; none for a model without a card.
        condition: What it was shown: ``text``, ``audio``, ``vision`` or ``all``.
        frames: How many frames, chosen how, how large; ``none`` where it saw none.
        prompts: Names, in alphabetical order.
        languages: Of the prompts.
        transcripts: Language of the transcripts.
        constrained: Whether the server enforced the form of answers.
        turns: Orders of the letters that each question was asked in.
        asked_on: ISO date, UTC.
        calibration: None where no validation clip was answered.
        splits: Split -> its questions.
        accepted: Share of clips that were allowed to lack an answer after all attempts; None of
            runs of before, which allowed any.
        parser: Version of the rules by which answers were read; None of runs of before, the first.
        arguments: Digest of what the server was started with; None where it does not tell.
        answered_by: Models that answered, as the server said.
        fingerprints: Of the server's configurations, likewise.
        readout: How a value was had of the model: ``generated``, in the form that a prompt asks
            for, or ``expected``, of letters by their probabilities; None of runs of before, the
            first.
    """

    model: str
    revision: str
    engine: str
    hosted: bool
    licence: str
    trained_on: str
    billions: float | None
    inputs: tuple[str, ...]
    condition: str
    frames: str
    prompts: tuple[str, ...]
    languages: tuple[str, ...]
    transcripts: str
    constrained: bool
    turns: int
    asked_on: str
    calibration: CalibrationLine | None
    splits: Mapping[str, AnswerCounts]
    accepted: float | None = None
    parser: int | None = None
    arguments: str | None = None
    answered_by: tuple[str, ...] | None = None
    fingerprints: tuple[str, ...] | None = None
    readout: str | None = None

    @property
    def unsettled(self) -> str:
        """What transport trouble left open and nobody accepted, in words; empty for a whole run.

        Code of before counted such questions among the outcomes of a finished run.
        """
        if self.accepted:
            return ""
        told = [
            f"{counts.outcomes[name]} of {counts.questions} questions about {split} {name}"
            for split, counts in self.splits.items()
            for name in _OPEN
            if counts.outcomes.get(name)
        ]
        return f"it is incomplete: {', '.join(told)}" if told else ""
