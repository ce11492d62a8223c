"""Prompts as data: one TOML file each, hashed, registered before any test clip is seen."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Final, Literal

from harness._util import canonical
from harness._util.canonical import Json
from harness._util.documents import read_toml
from harness._util.registry import TomlRegistry
from harness._util.schema import Place, parse
from harness.errors import SpecError
from harness.home import Home
from mllm_eval.prompt.letters import Letters
from mllm_eval.prompt.outcomes import Outcome, Reading
from mllm_eval.prompt.parse import cut_off, read_json, read_number, read_text_2025

__all__ = ["Answer", "Prompt", "Prompts", "Rendered", "prompts"]

Answer = Literal["number", "json", "letters"]
"""The form of answer that is asked for."""
Parser = Literal["strict", "text-2025"]
Language = Literal["en", "zh"]

_DISPLAY: Final = ("name", "title")
_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")
_KNOWN: Final = ("transcript", "low", "high", "example", "options")


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """The two texts of one request."""

    system: str
    """Empty: no system message is sent."""
    user: str

    def after(self, system: str) -> Rendered:
        """The same behind a model's own system line, as every command sends it."""
        together = "\n\n".join(filter(None, (system, self.system)))
        return dataclasses.replace(self, system=together)


@dataclass(frozen=True)
class _Scale:
    """The labels' own scale, or the ends of another."""

    expected: str = '"labels" or [low, high]'

    def read(self, value: object, place: Place) -> tuple[float, float] | None:
        match value:
            case "labels":
                return None
            case [int() | float() as low, int() | float() as high]:
                return float(low), float(high)
            case _:
                raise place.wrong(self.expected, value)

    def schema(self) -> dict[str, Json]:
        ends: Json = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
        return {"anyOf": [{"const": "labels"}, ends]}


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """How a model is asked for a score.

    The texts may hold ``{transcript}``, ``{low}``, ``{high}``, ``{options}`` (the letters and what
    they stand for) and ``{example}`` (the upper end less 0.8). Other braces are plain text.

    Raises:
        SpecError: For a value or a placeholder that a prompt cannot have.
    """

    name: str
    title: str
    language: Language
    preregistered: bool
    """Whether it is one of the three of its language whose mean is the board's score."""
    scale: Annotated[tuple[float, float] | None, _Scale()] = None
    """The scale shown to the model, mapped to the labels' linearly; None shows the labels' own."""
    answer: Answer
    parser: Parser = "strict"
    system: str
    user: str
    absent: str
    """Stands in place of the transcript where none is given."""
    retry: str
    """The shorter instruction of the one retry after an unusable answer; empty: no retry."""

    def __post_init__(self) -> None:
        low, high = self.scale or (0.0, 1.0)
        if not (-math.inf < low < high < math.inf):
            raise SpecError(f"scale goes from low to high, found {self.scale}")
        if self.parser != "strict" and self.answer != "number":
            raise SpecError(f"parser {self.parser!r} reads numbers only")
        used = set(_PLACEHOLDER.findall("\n".join((self.system, self.user, self.retry))))
        if unknown := sorted(used.difference(_KNOWN)):
            raise SpecError(f"unknown placeholder {unknown[0]!r} (known: {', '.join(_KNOWN)})")
        if "{transcript}" not in self.user:
            raise SpecError("user has no {transcript}")
        if ("options" in used) != (self.answer == "letters"):
            raise SpecError("{options} goes with letters and only with them")

    @classmethod
    def load(cls, file: Traversable) -> Prompt:
        """Read and validate a prompt file; its name is the prompt's.

        Raises:
            SpecError: Naming the file, the key and what was expected.
        """
        table = read_toml(file, "prompt")
        return cls.parse(table, name=file.name.removesuffix(".toml"))

    @classmethod
    def parse(cls, table: Mapping[str, object], *, name: str) -> Prompt:
        """Validate a prompt given as a table.

        Raises:
            SpecError: Naming the prompt, the key and what was expected.
        """
        return parse(cls, table, f"prompt {name}", name=name)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything but name and title, 64 hexadecimal digits."""
        fields = dataclasses.fields(self)
        return canonical.digest(
            {f.name: getattr(self, f.name) for f in fields if f.name not in _DISPLAY}
        )

    def asked_scale(self, low: float, high: float) -> tuple[float, float]:
        """The scale the model is told of, for labels from ``low`` to ``high``."""
        return self.scale or (low, high)

    def render(
        self, transcript: str | None, low: float, high: float, letters: Letters | None = None
    ) -> Rendered:
        """The request for one clip.

        Args:
            transcript: None where the condition withholds it.
            low: Lowest label.
            high: Highest label.
            letters: On the asked scale; given if and only if letters are asked for.

        Raises:
            SpecError: When letters are missing or not asked for.
        """
        said = self.absent if transcript is None else transcript
        values = self._values(said, low, high, letters)
        return Rendered(system=_filled(self.system, values), user=_filled(self.user, values))

    def render_retry(self, low: float, high: float, letters: Letters | None = None) -> str:
        """The user message that follows an unusable answer, empty when there is none.

        Raises:
            SpecError: When letters are missing or not asked for.
        """
        return _filled(self.retry, self._values(self.absent, low, high, letters))

    def read(
        self,
        answer: str,
        low: float,
        high: float,
        letters: Letters | None = None,
        *,
        whole: bool = True,
    ) -> Reading:
        """Read an answer's text; the value is on the scale of the labels.

        Args:
            answer: The text.
            low: Lowest label.
            high: Highest label.
            letters: Those of the request.
            whole: Whether the model ended it. What was cut off has no value; a letter, the only
                token asked for, is whole in any case.

        Raises:
            SpecError: When letters are missing or not asked for.
        """
        self._check_letters(letters)
        asked = self.asked_scale(low, high)
        if letters is not None:
            reading = letters.read(answer)
        elif self.parser == "text-2025":
            reading = read_text_2025(answer, whole=whole)
        else:
            reading = (read_json if self.answer == "json" else read_number)(answer, *asked)
            reading = reading if whole else cut_off(reading)
        return self.to_labels(reading, low, high)

    def to_labels(self, reading: Reading, low: float, high: float) -> Reading:
        """The reading with its value moved from the asked scale to that of the labels."""
        if self.scale is None or reading.outcome is not Outcome.ANSWERED or reading.value is None:
            return reading
        start, end = self.scale
        share = (reading.value - start) / (end - start)
        return dataclasses.replace(reading, value=low * (1.0 - share) + high * share)

    def _values(
        self, transcript: str, low: float, high: float, letters: Letters | None
    ) -> dict[str, str]:
        self._check_letters(letters)
        start, end = self.asked_scale(low, high)
        return {
            "transcript": transcript,
            "low": f"{start:g}",
            "high": f"{end:g}",
            "example": repr(end - 0.8),  # on ±1 as published, with its rounding error
            "options": letters.listed() if letters else "",
        }

    def _check_letters(self, letters: Letters | None) -> None:
        if (letters is not None) != (self.answer == "letters"):
            raise SpecError(f"prompt {self.name} asks for {self.answer}; letters go with letters")


class Prompts(TomlRegistry[Prompt]):
    """Every prompt of a folder by name, in alphabetical order.

    Args:
        folder: Holds one TOML file per prompt.
        own: Says where the user keeps further ones, none of them preregistered.
    """

    def __init__(self, folder: Traversable, own: Callable[[], Path] | None = None) -> None:
        super().__init__(folder, noun="prompt", load=Prompt.load, hint="msa list prompts", own=own)

    def preregistered(self, language: Language) -> tuple[Prompt, ...]:
        """The prompts of a language whose mean is the board's score.

        Raises:
            SpecError: When one of them is the user's own.
        """
        found = tuple(p for p in self.values() if p.preregistered and p.language == language)
        if foreign := [p.name for p in found if not (self._folder / f"{p.name}.toml").is_file()]:
            raise SpecError(
                f"prompt {foreign[0]} is not one of the preregistered, which come with the code",
                hint="preregistered = false",
            )
        return found


prompts = Prompts(files("mllm_eval.prompt") / "prompts", own=lambda: Home.default().prompts)
"""Those that come with the code, and the user's own."""


def _filled(template: str, values: Mapping[str, str]) -> str:
    """One pass, so that braces inside a transcript stay what they are."""
    return _PLACEHOLDER.sub(lambda found: values[found[1]], template)
