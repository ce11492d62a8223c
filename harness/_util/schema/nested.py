"""Kinds of value that hold others: lists, and tables whose keys are the writer's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from harness._util.canonical import Json
from harness._util.schema.kinds import Kind, TextKind, stated
from harness._util.schema.place import Place, check_keys

__all__ = ["Either", "ListOf", "TableOf"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ListOf(Generic[T]):
    """A list of ``least`` to ``most`` items of one kind; ``unique``: no item twice."""

    item: Kind[T]
    least: int = 0
    most: int | None = None
    unique: bool = False
    named: str | None = None

    @property
    def expected(self) -> str:
        """The length in words."""
        if self.named is not None:
            return self.named
        if self.most is not None:
            return f"a list of {self.least} to {self.most} items"
        return "a non-empty list" if self.least else "a list"

    def read(self, value: object, place: Place) -> tuple[T, ...]:
        """The items."""
        if not isinstance(value, list) or len(value) < self.least:
            raise place.wrong(self.expected, value)
        if self.most is not None and len(value) > self.most:
            raise place.wrong(self.expected, value)
        items = tuple(self.item.read(each, place.item(i)) for i, each in enumerate(value))
        if self.unique and len(set(items)) < len(items):
            raise place.refused("names one item twice")
        return items

    def schema(self) -> dict[str, Json]:
        """An array."""
        least, most = self.least or None, self.most
        unique = self.unique or None
        items = self.item.schema()
        return stated(type="array", items=items, minItems=least, maxItems=most, uniqueItems=unique)


@dataclass(frozen=True, kw_only=True)
class TableOf(Generic[T]):
    """A table whose keys are names of the writer's, or some of ``keys``, and values of one kind."""

    item: Kind[T]
    key: Kind[str] = field(default_factory=TextKind)
    keys: tuple[str, ...] | None = None
    expected: str = "a table"

    def read(self, value: object, place: Place) -> Mapping[str, T]:
        """The entries, in the order of the file."""
        if not isinstance(value, Mapping):
            raise place.wrong(self.expected, value)
        if self.keys is not None:
            check_keys(value, self.keys, place.where, place.error)
        return {
            self.key.read(name, place): self.item.read(each, place.entry(name))
            for name, each in value.items()
        }

    def schema(self) -> dict[str, Json]:
        """An object."""
        item = self.item.schema()
        if self.keys is None:
            return {"type": "object", "additionalProperties": item}
        known = dict.fromkeys(self.keys, item)
        return {"type": "object", "properties": known, "additionalProperties": False}


@dataclass(frozen=True, kw_only=True)
class Either(Generic[T]):
    """A value of one kind, or a list; ``one`` says what is expected of a value that is no list."""

    one: Kind[T]
    many: ListOf[T]

    @property
    def expected(self) -> str:
        """What the single value is."""
        return self.one.expected

    def read(self, value: object, place: Place) -> T | tuple[T, ...]:
        """The value or the items."""
        return (self.many if isinstance(value, list) else self.one).read(value, place)

    def schema(self) -> dict[str, Json]:
        """Either of the two."""
        return {"anyOf": [self.one.schema(), self.many.schema()]}
