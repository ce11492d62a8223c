"""Instructions as data: what models are asked besides scores, one TOML file per purpose, hashed.

A file holds one table per question, each with the two texts ``system`` and ``user``. Scores have
files of their own (:mod:`mllm_eval.prompt.prompt`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Final, Literal

from harness._util import canonical
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
        try:
            table = tomllib.loads(file.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise SpecError(f"cannot read the instructions {file.name}: {error}") from error
        title = table.pop("title", None)
        if not isinstance(title, str) or not table:
            raise SpecError(f"instructions {name}: expected a title and a table per question")
        asked = {key: _question(key, value, name) for key, value in table.items()}
        return cls(name=name, title=title, questions=MappingProxyType(asked))

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


def _question(key: str, value: object, where: str) -> Instruction:
    match value:
        case {"system": str(system), "user": str(user), **other} if not other:
            return Instruction(system=system, user=user)
        case _:
            raise SpecError(f"instructions {where}: {key} has the texts system and user, only them")


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
