"""Whether a text can stand as an explanation: in the language, of a length, without a rating.

Nothing is repaired but a last sentence that was cut off. What fails is left out and counted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from harness._util.canonical import Json
from mllm_eval.client import Answer
from mllm_eval.explain.paraphrase import units
from mllm_eval.explain.wording import declines, rates
from mllm_eval.prompt.instruction import Language
from mllm_eval.prompt.parse import unwrapped

__all__ = [
    "CheckedText",
    "ExplanationRules",
    "TextStatus",
    "read_fields",
    "read_note",
    "text_schema",
]

_SENTENCE: Final = re.compile(r".*[.!?。！？](?=[\"'”’)）]*(?:\s|$)|(?<=[。！？]))", re.DOTALL)
_IDEOGRAPH: Final = re.compile("[\u3400-\u9fff]")


class TextStatus(StrEnum):
    """What became of one explanation."""

    TOLD = "told"
    ABSENT = "absent"
    WITHHELD = "withheld"
    REFUSED = "refused"
    BLOCKED = "blocked"
    REJECTED = "rejected"
    NO_MEDIA = "no_media"
    TIMED_OUT = "timed_out"
    FAILED = "failed"
    CUT = "cut"
    UNPARSED = "unparsed"
    EMPTY = "empty"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    LANGUAGE = "language"
    RATING = "rating"

    @property
    def meaning(self) -> str:
        """One line for a legend."""
        return _MEANINGS[self]

    @property
    def final(self) -> bool:
        """Whether asking again would bring the same."""
        return self not in (TextStatus.TIMED_OUT, TextStatus.FAILED)


_MEANINGS: Final = {
    TextStatus.TOLD: "a text that can stand",
    TextStatus.ABSENT: "nothing to tell it from: no such track, or no usable note",
    TextStatus.WITHHELD: "not asked: the model's card has no such input",
    TextStatus.REFUSED: "the model declined",
    TextStatus.BLOCKED: "stopped by the provider's content filter",
    TextStatus.REJECTED: "a request that the server cannot take, such as one that is too long",
    TextStatus.NO_MEDIA: "not asked: the recording is broken, or its times have no length",
    TextStatus.TIMED_OUT: "no answer in time",
    TextStatus.FAILED: "the transport or the server failed",
    TextStatus.CUT: "cut off before the model ended it",
    TextStatus.UNPARSED: "not the JSON object asked for",
    TextStatus.EMPTY: "an empty text",
    TextStatus.TOO_SHORT: "a text of fewer words than say anything",
    TextStatus.TOO_LONG: "a text longer than an explanation may be",
    TextStatus.LANGUAGE: "a text in another language or in none",
    TextStatus.RATING: "a text that names a rating, which would leak a score",
}


@dataclass(frozen=True, kw_only=True)
class CheckedText:
    """One explanation, or why there is none.

    Args:
        status: What became of it.
        text: Empty unless ``told``.
    """

    status: TextStatus
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class ExplanationRules:
    """What a text must be.

    Args:
        language: Of nearly all its letters (``en``), or of most characters and words (``zh``:
            names stay Latin).
        shortest: Words, or Chinese characters.
        longest: Characters.
        ratings: Whether it may name a rating.
    """

    language: Language
    shortest: int = 3
    longest: int = 800
    ratings: bool = False

    def validate(self, text: str) -> CheckedText:
        """The text without outer white space if it can stand, else why not.

        Example:
            >>> ExplanationRules(language="en").validate(" A calm, slow voice. ").text
            'A calm, slow voice.'
            >>> ExplanationRules(language="en").validate("Sentiment score: 2.4").status.value
            'rating'
        """
        kept = text.strip()
        status = self._fault(kept)
        return CheckedText(status=status, text=kept if status is TextStatus.TOLD else "")

    def _fault(self, text: str) -> TextStatus:
        if not text:
            return TextStatus.EMPTY
        if declines(text):
            return TextStatus.REFUSED
        if len(text) > self.longest:
            return TextStatus.TOO_LONG
        if not self._speaks(text):
            return TextStatus.LANGUAGE
        if len(units(text)) < self.shortest:
            return TextStatus.TOO_SHORT
        if not self.ratings and rates(text):
            return TextStatus.RATING
        return TextStatus.TOLD

    def _speaks(self, text: str) -> bool:
        if self.language == "zh":
            said = units(text)
            return 2 * sum(bool(_IDEOGRAPH.match(unit)) for unit in said) > len(said)
        letters = [character for character in text if character.isalpha()]
        return sum(letter.isascii() for letter in letters) > 0.9 * len(letters)


def read_note(answer: Answer, rules: ExplanationRules) -> CheckedText:
    """The note in an answer, without thoughts; of one that was cut off, its whole sentences."""
    if answer.state != "answered":
        return CheckedText(status=TextStatus(answer.state))
    text = unwrapped(answer.text)
    if not answer.whole:
        whole = _SENTENCE.match(text)
        if whole is None:
            return CheckedText(status=TextStatus.CUT)
        text = whole[0]
    return rules.validate(text)


def read_fields(
    answer: Answer, fields: Sequence[str], rules: ExplanationRules
) -> dict[str, CheckedText]:
    """One text per field from an answer that is a JSON object of exactly these texts."""
    if answer.state != "answered":
        return dict.fromkeys(fields, CheckedText(status=TextStatus(answer.state)))
    try:
        found: object = json.loads(unwrapped(answer.text))
    except (ValueError, RecursionError):
        found = None
    if (
        not isinstance(found, Mapping)
        or found.keys() != set(fields)
        or not all(isinstance(text, str) for text in found.values())
    ):
        return dict.fromkeys(
            fields, CheckedText(status=TextStatus.UNPARSED if answer.whole else TextStatus.CUT)
        )
    return {field: rules.validate(found[field]) for field in fields}


def text_schema(fields: Sequence[str]) -> dict[str, Json]:
    """The JSON schema that makes a server answer as ``read_fields`` reads."""
    return {
        "type": "object",
        "properties": {field: {"type": "string"} for field in fields},
        "required": list(fields),
        "additionalProperties": False,
    }
