"""From the text of an answer to a value, or to the reason why there is none.

The strict readers take an answer whose whole text is the value asked for. A parser that looks for
a number inside prose reads "between -3 and 3: 1.4" as -3. Nothing is guessed, clipped or set to
zero, and no answer raises.

What stands around a whole answer and says nothing is taken off first, by stated rules that have a
version (``PARSER``): see ``unwrapped`` and ``_plain``.
"""

from __future__ import annotations

import json
import math
import re
from typing import Final

from harness._util.canonical import Json
from mllm_eval.prompt.outcomes import Outcome, Reading

__all__ = [
    "PARSER",
    "cut_off",
    "read_json",
    "read_number",
    "read_text_2025",
    "score_schema",
    "unread",
    "unwrapped",
]

PARSER: Final = 2
"""Version of the rules by which strict answers are read; 1 took nothing off but white space."""

_MINUS_SIGNS: Final = (
    "\N{MINUS SIGN}"
    "\N{HYPHEN}\N{NON-BREAKING HYPHEN}\N{FIGURE DASH}\N{EN DASH}"
    "\N{MODIFIER LETTER MINUS SIGN}\N{HEAVY MINUS SIGN}"
    "\N{SMALL HYPHEN-MINUS}\N{FULLWIDTH HYPHEN-MINUS}"
)
# Compatibility normalisation would go too far: it turns a superscript two into a digit of its own.
_PLAIN: Final = str.maketrans(
    {
        **{chr(ord("\N{FULLWIDTH DIGIT ZERO}") + digit): str(digit) for digit in range(10)},
        **dict.fromkeys(_MINUS_SIGNS, "-"),
        "\N{FULLWIDTH FULL STOP}": ".",
        "\N{FULLWIDTH PLUS SIGN}": "+",
    }
)
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)")
_INVISIBLE: Final = dict.fromkeys(map(ord, "\ufeff\u200b\u2060"))  # of no width, not joiners
_THOUGHT: Final = re.compile(r"<(think|thinking)>.*?</\1>", re.DOTALL | re.IGNORECASE)
_FENCE: Final = re.compile(r"```[A-Za-z]*[ \t]*\n(?P<inside>[^`]*)\n?```", re.DOTALL)
_AROUND: Final = (("**", "**"), ("`", "`"), ('"', '"'), ("“", "”"))
"""Emphasis, code and quotation marks around a whole number."""
_STOPS: Final = (".", "。")
_TEXT_2025: Final = re.compile(r"[+-]?\d+(?:\.\d+)?")
_REFUSAL: Final = re.compile(
    r"\bI(?:['’]m| am)?(?: \w+)? (?:cannot|can['’]t|can not|unable|not able|won['’]t|decline)\b"
    r"|^\W*(?:I['’]m |I am )?sorry\b"
    r"|^\W*(?:非常|很)?(?:抱歉|对不起)"
    r"|我(?:无法|不能|拒绝)|^\W*无法(?:判断|确定|评估|提供|回答)",
    re.IGNORECASE,
)


def unwrapped(answer: str) -> str:
    r"""An answer without what may stand around any: thoughts before it, a code fence around it.

    Characters without width and outer white space go; one block of thoughts at the beginning goes
    if it is closed; a fence goes if all the rest is in it.

    Example:
        >>> unwrapped("<think>Rather sad: -1?</think>\n```json\n{}\n```")
        '{}'
    """
    text = answer.translate(_INVISIBLE).strip()
    thought = _THOUGHT.match(text)
    text = text[thought.end() :].strip() if thought else text
    fenced = _FENCE.fullmatch(text)
    return fenced["inside"].strip() if fenced else text


def _plain(text: str) -> str:
    """A number without marks around it and without a full stop behind it, each taken off once."""
    for begin, end in _AROUND:
        inside = text.removeprefix(begin).removesuffix(end)
        if len(text) - len(inside) == len(begin) + len(end):
            text = inside.strip()
    stop = next((stop for stop in _STOPS if text.endswith(stop)), "")
    return text.removesuffix(stop).translate(_PLAIN)


def read_number(answer: str, low: float, high: float) -> Reading:
    """Read an answer that is one plain number on the scale and nothing else.

    White space, thoughts, a code fence, emphasis or quotation marks around it, a full stop behind
    it, full-width digits and the Unicode minus signs are understood. Fractions, exponents,
    percentages, thousands separators, decimal commas and any word are not.

    Args:
        answer: The whole answer.
        low: Lower end of the scale.
        high: Upper end of the scale.

    Example:
        >>> read_number("−0.8", -3, 3).value
        -0.8
        >>> read_number("1 out of 3", -3, 3).outcome.value
        'unparsed'
    """
    text = _plain(unwrapped(answer))
    if not _NUMBER.fullmatch(text):
        return unread(answer, "a plain number")
    return _on_scale(float(text), low, high)


def read_json(answer: str, low: float, high: float) -> Reading:
    """Read an answer that is the JSON object ``{"score": number}`` and nothing else.

    Thoughts before it and a code fence around it are understood.

    Args:
        answer: The whole answer.
        low: Lower end of the scale.
        high: Upper end of the scale.

    Example:
        >>> read_json('{"score": -0.4}', -1, 1).value
        -0.4
    """
    try:
        # Objects become tuples of pairs: a repeated key stays visible, and arrays are lists.
        found: object = json.loads(unwrapped(answer), object_pairs_hook=tuple, parse_int=float)
    except (ValueError, RecursionError):
        return unread(answer, "valid JSON")
    match found:
        case (("score", float(value)),) if isinstance(found, tuple) and not math.isnan(value):
            return _on_scale(value, low, high)
        case _:
            return unread(answer, 'an object with one number, "score"')


def score_schema(low: float, high: float) -> dict[str, Json]:
    """The JSON schema that makes a server answer as ``read_json`` reads."""
    return {
        "type": "object",
        "properties": {"score": {"type": "number", "minimum": low, "maximum": high}},
        "required": ["score"],
        "additionalProperties": False,
    }


def read_text_2025(answer: str, *, whole: bool = True) -> Reading:
    """Read the first number in an answer, as the MLLM rows of TEXT were read.

    The scale is not looked at, a Unicode minus is lost, ".5" is 5 and "1 out of 3" is 1. For
    re-computing those rows only.

    Deviation: a number too large for a float is unparsed; the release has infinity there. A number
    at the end of an answer that is not ``whole`` may go on, and is none. The zeros that the release
    writes for failed calls are no matter of parsing and are not reproduced.

    Source:
        Notebook of the MLLM rows in the release of TEXT (AAAI 2026).

    Example:
        >>> read_text_2025("between -3 and 3: 1.4").value
        -3.0
    """
    found = _TEXT_2025.search(answer)
    if found and not whole and not answer[found.end() :].strip("."):
        return cut_off(unread(answer, "a text with a number"))
    value = float(found.group()) if found else math.nan
    if not math.isfinite(value):
        return unread(answer, "a text with a number")
    return Reading(outcome=Outcome.ANSWERED, value=value)


def unread(answer: str, expected: str) -> Reading:
    """The reading of an answer without a value: a refusal by its wording, or unparsed.

    Telling the two apart only sorts the counts; both lack a value.

    Args:
        answer: The whole answer.
        expected: What the answer should have been, for the journal.
    """
    if _REFUSAL.search(unwrapped(answer)):
        return Reading(outcome=Outcome.REFUSED, detail="the wording of a refusal")
    found = "another text" if answer.strip() else "an empty text"
    return Reading(outcome=Outcome.UNPARSED, detail=f"expected {expected}, found {found}")


def cut_off(reading: Reading) -> Reading:
    """What is read from an answer that was cut off, so that a number may lack its last digits.

    A refusal is one however it would have gone on.

    Example:
        >>> cut_off(read_number("-1", -3, 3)).outcome.value
        'cut'
    """
    if reading.outcome is Outcome.REFUSED:
        return reading
    return Reading(outcome=Outcome.CUT, detail="the answer was cut off")


def _on_scale(value: float, low: float, high: float) -> Reading:
    if low <= value <= high:
        return Reading(outcome=Outcome.ANSWERED, value=value + 0.0)  # -0.0 becomes 0.0
    return Reading(
        outcome=Outcome.OUT_OF_RANGE, detail=f"expected {low:g} to {high:g}, found {value:g}"
    )
