"""A frozen dataclass as the reader of a table with known keys, and as its JSON Schema."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
import types
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from itertools import pairwise
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from harness._util.canonical import Json, plain
from harness._util.schema.kinds import (
    SCALAR,
    BooleanKind,
    Choice,
    Integer,
    Kind,
    Number,
    Scalar,
    TextKind,
)
from harness._util.schema.nested import ListOf, TableOf
from harness._util.schema.place import Place, check_keys, located
from harness.errors import HarnessError, SpecError

__all__ = ["field_schemas", "json_schema", "kinds_of", "parse", "table_of"]

_DRAFT = "http://json-schema.org/draft-07/schema#"
"""What editors of TOML files know (Taplo)."""

D = TypeVar("D")


def parse(
    cls: type[D],
    table: Mapping[str, object],
    where: str,
    *,
    error: type[HarnessError] = SpecError,
    **given: object,
) -> D:
    """Read a table as a dataclass.

    Errors that the class itself raises are prefixed with the place.

    Args:
        cls: A frozen dataclass, whose fields are the keys.
        table: As TOML and JSON hold it.
        where: What messages call it: the file.
        error: Class of the errors.
        given: Fields that are no keys: they come from elsewhere, such as the name of the file.

    Raises:
        HarnessError: An ``error`` naming the place, what was expected and what was found, or the
            nearest key that is known.
    """
    return _Table(cls, given).read(table, Place(where, error))


def json_schema(
    cls: type, title: str, *, given: Collection[str] = (), optional: Collection[str] = ()
) -> dict[str, Json]:
    """JSON Schema (draft 7) of the tables that ``parse`` reads, cross-field rules aside.

    Args:
        cls: The dataclass.
        title: What such a file is.
        given: Fields that are no keys.
        optional: Fields without a default that a file may leave out all the same.
    """
    table = _Table(cls, dict.fromkeys(given), frozenset(optional)).schema()
    return {"$schema": _DRAFT, "title": title, **table}


def table_of(cls: type[D]) -> Kind[D]:
    """The kind of a table that a dataclass describes."""
    return _Table(cls)


def field_schemas(cls: type) -> dict[str, dict[str, Json]]:
    """Field -> JSON Schema of its value, with its docstring and its default."""
    kinds, described = kinds_of(cls), _docstrings(cls)
    return {
        item.name: {
            **kinds[item.name].schema(),
            **({"description": described[item.name]} if item.name in described else {}),
            **({"default": plain(item.default)} if _has_default(item) else {}),
        }
        for item in _fields(cls)
    }


def _has_default(item: dataclasses.Field[Any]) -> bool:
    return item.default is not dataclasses.MISSING and item.default is not None


def _fields(cls: type) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(cls)


@cache
def kinds_of(cls: type) -> Mapping[str, Kind[Any]]:
    """Field -> its kind.

    Raises:
        TypeError: For a field whose type has no kind.
    """
    hints = get_type_hints(cls, include_extras=True)
    return {item.name: _kind(hints[item.name]) for item in _fields(cls)}


@dataclass(frozen=True)
class _Table(Generic[D]):
    """A table with known keys: the fields of a dataclass."""

    cls: type[D]
    given: Mapping[str, object] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    expected: str = "a table"

    def read(self, value: object, place: Place) -> D:
        if not isinstance(value, Mapping):
            raise place.wrong(self.expected, value)
        kinds = self._kinds()
        check_keys(value, kinds, place.where, place.error)
        for name in self._required():
            if name not in value:
                expected = kinds[name].expected
                raise place.key(name).refused(f"is missing; it should be {expected}")
        read = {key: kinds[key].read(each, place.key(key)) for key, each in value.items()}
        with located(place.where):
            return self.cls(**self.given, **read)

    def schema(self) -> dict[str, Json]:
        required = self._required()
        known = field_schemas(self.cls)
        table: dict[str, Json] = {
            "type": "object",
            "properties": {name: known[name] for name in self._kinds()},
            "additionalProperties": False,
        }
        return {**table, "required": list(required)} if required else table

    def _kinds(self) -> dict[str, Kind[Any]]:
        cls: type = self.cls
        return {name: kind for name, kind in kinds_of(cls).items() if name not in self.given}

    def _required(self) -> tuple[str, ...]:
        kinds, absent = self._kinds(), dataclasses.MISSING
        return tuple(
            item.name
            for item in _fields(self.cls)
            if item.name in kinds and item.name not in self.optional
            if item.default is item.default_factory is absent
        )


@dataclass(frozen=True)
class _Member:
    """A member of an enumeration of texts."""

    cls: type[StrEnum]

    @property
    def expected(self) -> str:
        return self._choice.expected

    @property
    def _choice(self) -> Choice:
        return Choice(tuple(map(str, self.cls)))

    def read(self, value: object, place: Place) -> StrEnum:
        return self.cls(self._choice.read(value, place))

    def schema(self) -> dict[str, Json]:
        return {"enum": [str(each) for each in self.cls]}


_PLAIN: Mapping[type, Kind[Any]] = {
    str: TextKind(),
    int: Integer(),
    float: Number(),
    bool: BooleanKind(),
}


def _kind(hint: Any) -> Kind[Any]:  # noqa: ANN401  a type, or a form of typing
    """The kind of a type; None in a union is a key left out."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return next(each for each in args[1:] if hasattr(each, "schema"))
    if origin in (Union, types.UnionType):
        return _union_kind(hint)
    if origin is Literal:
        return Choice(args)
    if origin is tuple and args[1:] == (Ellipsis,):
        named = "a list of texts" if args[0] is str else None
        return ListOf(item=_kind(args[0]), named=named)
    if origin is Mapping:
        return TableOf(item=_kind(args[1]))
    if hint in _PLAIN:
        return _PLAIN[hint]
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _Table(hint)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _Member(hint)
    raise TypeError(f"no kind of value is known for the type {hint!r}")


def _union_kind(hint: Any) -> Kind[Any]:  # noqa: ANN401  as above
    if hint == Scalar:
        return SCALAR
    options = [each for each in get_args(hint) if each is not types.NoneType]
    if len(options) > 1:
        raise TypeError(f"no kind of value is known for the type {hint!r}")
    return _kind(options[0])


@cache
def _docstrings(cls: type) -> Mapping[str, str]:
    """Field -> the docstring below it, on one line."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    return {
        item.target.id: " ".join(text.value.value.replace("``", "`").split())
        for item, text in pairwise(body)
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
        if isinstance(text.value.value, str)
    }
