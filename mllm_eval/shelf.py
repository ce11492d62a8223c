"""A folder of TOML files as a mapping: one file is one thing, called by the file's name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib.resources.abc import Traversable
from typing import Generic, TypeVar

from harness.errors import SpecError

__all__ = ["Shelf"]

T = TypeVar("T")


class Shelf(Mapping[str, T], Generic[T]):
    """Everything of a folder by name, in alphabetical order; read when it is first asked for.

    Args:
        folder: Holds one TOML file per thing.
        noun: Singular, for messages ("prompt").
        load: File -> thing.
        hint: The command that lists them.

    Raises:
        SpecError: On access to a name that is not there, with the nearest names, or to a folder
            with a file that ``load`` refuses.
    """

    def __init__(
        self, folder: Traversable, *, noun: str, load: Callable[[Traversable], T], hint: str
    ) -> None:
        self._folder, self._noun, self._load, self._hint = folder, noun, load, hint

    def __getitem__(self, name: str) -> T:
        try:
            return self._all[name]
        except KeyError:
            close = difflib.get_close_matches(name, self._all, n=3)
            guess = f"; did you mean {' or '.join(close)}?" if close else ""
            raise SpecError(f"unknown {self._noun} {name!r}{guess}", hint=self._hint) from None

    def __contains__(self, name: object) -> bool:
        return name in self._all

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    @cached_property
    def _all(self) -> dict[str, T]:
        own = sorted(self._folder.iterdir(), key=lambda file: file.name)
        return {
            file.name.removesuffix(".toml"): self._load(file)
            for file in own
            if file.name.endswith(".toml")
        }
