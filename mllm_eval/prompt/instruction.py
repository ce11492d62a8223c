"""Instructions as data: what models are asked besides scores, one TOML file per purpose, hashed.

A file holds one table per question, each with the two texts ``system`` and ``user``. Scores have
files of their own (:mod:`mllm_eval.prompt.prompt`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Final, Literal

from harness._util import canonical
from harness._util.canonical import Json
from harness._util.documents import read_toml
from harness._util.schema import Place, json_schema, parse, table_of
from harness.errors import SpecError
from mllm_eval.prompt.prompt import Rendered

__all__ = ["Instruction", "Instructions", "Language", "instructions"]

Language = Literal["en", "zh"]

_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """One question, with ``{placeholders}`` in its user text; other braces are plain text."""

    system: str
    """Empty: no system message is sent."""
    user: str
    """What is asked."""

    @property
    def placeholders(self) -> frozenset[str]:
        """What the question wants to be told."""
        return frozenset(_PLACEHOLDER.findall(self.user))

    def render(self, **values: str) -> Rendered:
        """The two texts with every placeholder filled, in one pass.

        Raises:
            SpecError: When the values are not those of the placeholders.
        """
        if values.keys() != self.placeholders:
            wanted = ", ".join(sorted(self.placeholders)) or "nothing"
            raise SpecError(f"expected {wanted} to fill in, found {', '.join(values) or 'nothing'}")
        user = _PLACEHOLDER.sub(lambda found: values[found[1]], self.user)
        return Rendered(system=self.system, user=user)


@dataclass(frozen=True, kw_only=True)
class _Heading:
    """What a file holds besides its questions."""

    title: str
    """One line."""


@dataclass(frozen=True, kw_only=True)
class Instructions(Mapping[str, Instruction]):
    """The questions of one file, by name.

    Args:
        name: Purpose and language, such as ``explain-en``.
        title: One line.
        questions: By name.
    """

    name: str
    title: str
    questions: Mapping[str, Instruction]

    @classmethod
    def load(cls, file: Traversable) -> Instructions:
        """Read and validate a file.

        Raises:
            SpecError: Naming the file and what was expected.
        """
        name = file.name.removesuffix(".toml")
        table = read_toml(file, "the instructions")
        where = f"instructions {name}"
        title = parse(_Heading, {key: table.pop(key) for key in ("title",) if key in table}, where)
        if not table:
            raise SpecError(f"{where}: expected a table per question, found none")
        asked = {
            key: table_of(Instruction).read(value, Place(where).key(key))
            for key, value in table.items()
        }
        return cls(name=name, title=title.title, questions=MappingProxyType(asked))

    @classmethod
    def schema(cls) -> dict[str, Json]:
        """JSON Schema of a file."""
        heading = json_schema(_Heading, "Instructions for language models")
        return {**heading, "additionalProperties": table_of(Instruction).schema()}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all questions, 64 hexadecimal digits."""
        return canonical.digest(dict(self.questions))

    def __getitem__(self, name: str) -> Instruction:
        return self.questions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.questions)

    def __len__(self) -> int:
        return len(self.questions)


@cache
def instructions(purpose: str, language: Language) -> Instructions:
    """The instructions for a purpose (``explain``, ``probe``) in a language.

    Raises:
        SpecError: When there are none.

    Example:
        >>> instructions("explain", "en").name
        'explain-en'
    """
    return Instructions.load(
        files("mllm_eval.prompt") / "instructions" / f"{purpose}-{language}.toml"
    )
