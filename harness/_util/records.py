"""Records that are stored as JSON: dataclasses whose fields are the keys, checked when read.

A field without a default is a key that every file has. One with a default is a key that older files
lack; where the default is None and so is the value, the key is not written. Keys that no field
names, as newer versions write them, are kept in ``more`` and written back.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from types import NoneType, UnionType
from typing import Any, ClassVar, Self, TypeVar, Union, get_args, get_origin, get_type_hints

from harness._util.canonical import Json
from harness.errors import HarnessError, StoreError

__all__ = ["Record", "stored"]

T = TypeVar("T")
R = TypeVar("R", bound="Record")

_KINDS: Mapping[object, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    str: ((str,), "text"),
}
_LONGEST = 60  # characters of a found value that a message shows


def stored(read: Callable[[Any], T], write: Callable[[T], Json]) -> T:
    """A field whose value is no record but is read from one and written as one.

    It is typed as its value, as ``dataclasses.field`` is.

    Args:
        read: From JSON; an ``AttributeError``, ``KeyError``, ``TypeError``, ``ValueError`` or
            ``HarnessError`` says that it is none.
        write: To JSON.
    """
    made: Any = field(metadata={"read": read, "write": write})
    return made  # type: ignore[no-any-return]  # a Field, to the dataclass alone


@dataclass(frozen=True, kw_only=True)
class Record:
    """Base of such dataclasses; fields are scalars, records, tuples and string mappings of these.

    What a mapping of scalars holds is kept as it is read, unchecked.

    Args:
        more: Keys of the file that no field names.
    """

    hint: ClassVar[str] = "msa verify names what is damaged"
    """What to do about a damaged one."""

    more: Mapping[str, Json] = field(default_factory=dict)

    @classmethod
    def of(cls, table: object, where: str) -> Self:
        """The record in a JSON object.

        Args:
            table: The object.
            where: Where it was found, for messages.

        Raises:
            StoreError: Naming ``where``, the key, what was expected and what was found.
        """
        try:
            return _record(cls, table)
        except _Unfit as unfit:
            raise StoreError(f"{where}: {unfit}", hint=cls.hint) from unfit

    def json(self) -> dict[str, Json]:
        """The record as ``of`` reads it, in the order of its keys."""
        written: dict[str, Json] = dict(self.more)
        for item, _ in _shape(type(self)):
            value = getattr(self, item.name)
            if value is not None or item.default is MISSING:
                written[item.name] = item.metadata.get("write", _plain)(value)
        return dict(sorted(written.items()))


class _Unfit(Exception):
    """A value that is not what its key should hold; the message names the key and both."""

    def __init__(self, expected: str, found: str, place: str = "") -> None:
        super().__init__(f"{place or 'the record'} should be {expected}, found {found}")
        self._about = expected, found, place

    def inside(self, part: str) -> _Unfit:
        """The same, seen from one level further out."""
        expected, found, place = self._about
        dot = "." if place and not place.startswith("[") else ""
        return _Unfit(expected, found, f"{part}{dot}{place}")


_Reader = Callable[[Any], Any]
"""From a value of JSON to what a field holds; raises ``_Unfit``."""


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _shape(kind: type[Any]) -> tuple[tuple[Field[Any], _Reader], ...]:
    """Each field but ``more``, with what reads it."""
    return _cached_shape(kind)  # type: ignore[arg-type]  # mypy: any class is hashable


@functools.cache
def _cached_shape(kind: type[Any]) -> tuple[tuple[Field[Any], _Reader], ...]:
    hints = get_type_hints(kind)
    return tuple(
        (
            item,
            _special(item.metadata["read"])
            if "read" in item.metadata
            else _typed(hints[item.name]),
        )
        for item in fields(kind)
        if item.name != "more"
    )


def _record(kind: type[R], table: object) -> R:
    if not isinstance(table, Mapping):
        raise _Unfit("a table", _shown(table))
    shape, values = _shape(kind), dict[str, Any]()
    for item, read in shape:
        try:
            if item.name in table:
                values[item.name] = read(table[item.name])
            elif item.default is MISSING:
                raise _Unfit("there", "no such key")
        except _Unfit as unfit:
            raise unfit.inside(item.name) from unfit
    if len(values) == len(table):
        return kind(**values)
    more = {name: value for name, value in table.items() if name not in values}
    return kind(**values, more=more)


def _special(make: _Reader) -> _Reader:
    def read(value: object) -> object:
        try:
            return make(value)
        except (AttributeError, KeyError, TypeError, ValueError, HarnessError) as error:
            raise _Unfit("what was once written", _shown(error)) from error

    return read


def _typed(hint: object) -> _Reader:
    """What reads values that are as the hint says."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        (some,) = (_typed(option) for option in get_args(hint) if option is not NoneType)
        return lambda value: None if value is None else some(value)
    if origin is tuple:
        return _sequence(_typed(get_args(hint)[0]))
    if origin is not None:
        return _mapping(get_args(hint)[-1])
    if isinstance(hint, type) and issubclass(hint, Record):
        return functools.partial(_record, hint)
    return _scalar(hint)


def _scalar(hint: object) -> _Reader:
    kinds, expected = _KINDS[hint]

    def read(value: object) -> object:
        if not isinstance(value, kinds) or (isinstance(value, bool) and hint is not bool):
            raise _Unfit(expected, _shown(value))
        return value

    return read


def _sequence(part: _Reader) -> _Reader:
    def read(value: object) -> object:
        if not isinstance(value, list | tuple):
            raise _Unfit("a list", _shown(value))
        return tuple(_inside(part, inner, f"[{i}]") for i, inner in enumerate(value))

    return read


def _mapping(kind: object) -> _Reader:
    is_record = isinstance(kind, type) and issubclass(kind, Record)
    part = _typed(kind) if is_record else None

    def read(value: object) -> object:
        if not isinstance(value, Mapping):
            raise _Unfit("a table", _shown(value))
        if part is None:
            return value
        return {name: _inside(part, inner, name) for name, inner in value.items()}

    return read


def _inside(part: _Reader, value: object, place: str) -> object:
    try:
        return part(value)
    except _Unfit as unfit:
        raise unfit.inside(place) from unfit


def _plain(value: Json | Record | tuple[Record, ...] | Mapping[str, Record]) -> Json:
    if isinstance(value, Record):
        return value.json()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return value  # a scalar, or as it was read
