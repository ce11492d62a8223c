"""Search spaces that the sources of systems printed: one TOML file per source.

A file has a ``source`` and, per system, ``choices`` of single parameters and lists of parameters
that are chosen ``together``. ``msa card SYSTEM`` says which parameters a system has.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Annotated

from harness._util.documents import read_toml
from harness._util.schema import SCALAR, ListOf, Scalar, parse

__all__ = ["PublishedSpace", "Together", "published_spaces"]

_Values = Annotated[tuple[Scalar, ...], ListOf(item=SCALAR, least=2, unique=True)]
_Rows = Annotated[
    tuple[tuple[Scalar, ...], ...], ListOf(item=ListOf(item=SCALAR, least=2), least=2, unique=True)
]


@dataclass(frozen=True, kw_only=True)
class Together:
    """Parameters whose values are chosen as one."""

    params: tuple[str, ...]
    """Their names."""
    values: _Rows
    """The choices, each with one value per name."""


@dataclass(frozen=True, kw_only=True)
class _Space:
    choices: Mapping[str, _Values] = field(default_factory=dict)
    together: tuple[Together, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _File:
    source: str
    systems: Mapping[str, _Space]


@dataclass(frozen=True, kw_only=True)
class PublishedSpace:
    """What the source of a system searches.

    Args:
        source: Where that was printed.
        choices: Parameter -> its values.
        together: Parameters chosen as one.
    """

    source: str
    choices: Mapping[str, tuple[Scalar, ...]]
    together: tuple[Together, ...]


@functools.cache
def published_spaces() -> Mapping[str, PublishedSpace]:
    """System -> what its source searches.

    Raises:
        SpecError: For a file that is not as it should be.
    """
    found: dict[str, PublishedSpace] = {}
    files = resources.files(__name__).iterdir()
    for path in sorted(files, key=lambda path: path.name):
        if path.name.endswith(".toml"):
            file = parse(_File, read_toml(path, "search spaces"), path.name)
            for system, space in file.systems.items():
                found[system] = PublishedSpace(
                    source=file.source, choices=space.choices, together=space.together
                )
    return found
