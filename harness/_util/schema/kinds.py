"""Kinds of value in the files that people write.

A kind reads a value as TOML and JSON hold it, or refuses it, and describes itself as JSON Schema.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from typing import Protocol, TypeVar

from harness._util.canonical import Json, plain
from harness._util.schema.place import Place
from harness._util.shown import unseen

__all__ = [
    "JSON",
    "SCALAR",
    "BooleanKind",
    "Choice",
    "Integer",
    "Kind",
    "Number",
    "Scalar",
    "TextKind",
    "stated",
]

Scalar = str | int | float | bool
T_co = TypeVar("T_co", covariant=True)


class Kind(Protocol[T_co]):
    """What a value of a file may be."""

    @property
    def expected(self) -> str:
        """In words that go on after "should be"."""

    def read(self, value: object, place: Place) -> T_co:
        """The value as the code holds it.

        Raises:
            HarnessError: The place's error, when it is of another kind.
        """

    def schema(self) -> dict[str, Json]:
        """JSON Schema of the value."""


@dataclass(frozen=True, kw_only=True)
class TextKind:
    """Text.

    Args:
        longest: Characters at most; such text is one line of what can be seen, in the composed
            form of Unicode (NFC), blanks around it taken off.
        folded: Whether several lines become one.
        blank: Whether it may be empty or blanks alone.
        pattern: Regular expression of the whole.
        expected: What the pattern asks for, in words.
        hint: What to do about text that does not match.
    """

    longest: int | None = None
    folded: bool = False
    blank: bool = True
    pattern: str | None = None
    expected: str = "text"
    hint: str | None = None

    def read(self, value: object, place: Place) -> str:
        """The text."""
        if not isinstance(value, str) or not (self.blank or value.strip()):
            raise place.wrong(self.expected, value)
        text = _BREAKS.sub(" ", value) if self.folded else value
        text = text if self.longest is None else _line(text, self.longest, place)
        if self.pattern is not None and not re.fullmatch(self.pattern, text):
            raise place.wrong(self.expected, value, hint=self.hint)
        return text

    def schema(self) -> dict[str, Json]:
        """A string."""
        pattern = f"^{self.pattern}$" if self.pattern else None if self.blank else r"\S"
        return stated(type="string", maxLength=self.longest, pattern=pattern)


_BREAKS = re.compile(r"\s*[\t-\r\x85\u2028\u2029]\s*")


def _line(value: str, longest: int, place: Place) -> str:
    plain = unicodedata.normalize("NFC", value.strip())
    if len(plain) > longest:
        raise place.refused(f"has {len(plain)} characters, at most {longest} are shown")
    if not plain.isprintable():
        raise place.wrong("one line without control characters", value)
    if found := unseen(plain):
        raise place.refused(f"holds the character {found}, which nobody sees")
    return plain


@dataclass(frozen=True, kw_only=True)
class Integer:
    """A whole number within inclusive bounds; ``named`` says it in other words."""

    low: int | None = None
    high: int | None = None
    named: str | None = None

    @property
    def expected(self) -> str:
        """The bounds in words."""
        if self.named is not None:
            return self.named
        if self.high is not None:
            return f"an integer from {self.low} to {self.high}"
        return "an integer" if self.low is None else f"an integer of at least {self.low}"

    def read(self, value: object, place: Place) -> int:
        """The number; a boolean is none."""
        if isinstance(value, int) and not isinstance(value, bool):
            above = self.low is None or value >= self.low
            if above and (self.high is None or value <= self.high):
                return value
        raise place.wrong(self.expected, value)

    def schema(self) -> dict[str, Json]:
        """An integer with its bounds."""
        return stated(type="integer", minimum=self.low, maximum=self.high)


@dataclass(frozen=True, kw_only=True)
class Number:
    """A finite number, which may be written as an integer."""

    expected: str = "a finite number"

    def read(self, value: object, place: Place) -> float:
        """The number as a float."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
            raise place.wrong(self.expected, value)
        return float(value)

    def schema(self) -> dict[str, Json]:
        """A number."""
        return {"type": "number"}


def _finite(value: float) -> bool:
    """Whether a float can hold it; an integer of four hundred digits it cannot."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


@dataclass(frozen=True)
class BooleanKind:
    """True or false."""

    expected: str = "true or false"

    def read(self, value: object, place: Place) -> bool:
        """The flag."""
        if not isinstance(value, bool):
            raise place.wrong(self.expected, value)
        return value

    def schema(self) -> dict[str, Json]:
        """A boolean."""
        return {"type": "boolean"}


@dataclass(frozen=True)
class Choice:
    """One of some texts."""

    choices: tuple[str, ...]

    @property
    def expected(self) -> str:
        """All of them."""
        return f"one of {', '.join(map(repr, self.choices))}"

    def read(self, value: object, place: Place) -> str:
        """The choice."""
        if not isinstance(value, str) or value not in self.choices:
            raise place.wrong(self.expected, value)
        return value

    def schema(self) -> dict[str, Json]:
        """An enumeration."""
        return {"enum": list(self.choices)}


@dataclass(frozen=True)
class _AnyScalar:
    expected: str = "text, a finite number or a boolean"

    def read(self, value: object, place: Place) -> Scalar:
        if not isinstance(value, Scalar) or (isinstance(value, float) and not math.isfinite(value)):
            raise place.wrong(self.expected, value)
        return value

    def schema(self) -> dict[str, Json]:
        return {"type": ["string", "number", "boolean"]}


SCALAR: Kind[Scalar] = _AnyScalar()
"""What a hyper-parameter may be."""


@dataclass(frozen=True)
class _AnyJson:
    expected: str = "a value that JSON can hold"

    def read(self, value: object, place: Place) -> Json:
        try:
            return plain(value)
        except (TypeError, ValueError):  # a date; NaN
            raise place.wrong(self.expected, value) from None

    def schema(self) -> dict[str, Json]:
        return {}


JSON: Kind[Json] = _AnyJson()
"""Anything that can be sent on as JSON."""


def stated(**keywords: Json | None) -> dict[str, Json]:
    """The keywords of a JSON Schema that have a value."""
    return {name: value for name, value in keywords.items() if value is not None}
