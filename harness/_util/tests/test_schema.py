"""A frozen dataclass as the reader of a table: what it takes, what it says of anything else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest

from harness._util.schema import (
    JSON,
    Either,
    Integer,
    ListOf,
    Scalar,
    TableOf,
    TextKind,
    json_schema,
    kinds_of,
    parse,
)
from harness.errors import HarnessError, SpecError, StoreError


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, kw_only=True)
class Wheel:
    size: Annotated[int, Integer(low=1, high=30)]
    """Inches,
    as ``printed`` on it."""
    colour: Colour = Colour.RED


@dataclass(frozen=True, kw_only=True)
class Bicycle:
    name: str
    gears: Annotated[
        int | tuple[int, ...] | None, Either(one=Integer(), many=ListOf(item=Integer()))
    ]
    """How many, or which ones."""
    wheels: tuple[Wheel, ...] = ()
    bell: bool = False
    weight: float = 10.0
    kind: Literal["road", "city"] = "city"
    tags: tuple[str, ...] = ()
    extras: Mapping[str, Scalar] = field(default_factory=dict)
    notes: Annotated[Mapping[str, Any], TableOf(item=JSON, keys=("a", "b"))] = field(
        default_factory=dict
    )
    owner: Annotated[str | None, TextKind(longest=5, blank=False)] = None

    def __post_init__(self) -> None:
        if self.bell and self.kind == "road":
            raise SpecError("a road bicycle has no bell", hint="bell = false")


FULL = {
    "gears": [1, 2],
    "wheels": [{"size": 28, "colour": "blue"}, {"size": 26}],
    "bell": True,
    "weight": 9,
    "kind": "city",
    "tags": ["old"],
    "extras": {"lights": 2, "lock": "none"},
    "notes": {"a": [None, {"x": 1.5}]},
    "owner": " Ann ",
}


def read(**changes: object) -> Bicycle:
    table = {"gears": 3} | changes
    return parse(Bicycle, {k: v for k, v in table.items() if v is not None}, "b.toml", name="mine")


def test_every_type_is_read_as_the_code_holds_it() -> None:
    bicycle = read(**FULL)
    assert (bicycle.name, bicycle.gears, bicycle.weight, bicycle.owner) == (
        "mine",
        (1, 2),
        9.0,
        "Ann",
    )
    assert bicycle.wheels == (Wheel(size=28, colour=Colour.BLUE), Wheel(size=26))
    assert isinstance(bicycle.weight, float)
    assert read().gears == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gears": None}, "b.toml: gears is missing; it should be an integer"),
        ({"name": "x"}, "b.toml: unknown key 'name' (known: "),
        ({"bel": True}, "b.toml: unknown key 'bel'; did you mean 'bell'? (known: bell, "),
        ({"gears": True}, "b.toml: gears should be an integer, found True"),
        ({"gears": [1, "2"]}, "b.toml: gears[1] should be an integer, found '2'"),
        ({"wheels": {}}, "b.toml: wheels should be a list, found {}"),
        ({"wheels": [3]}, "b.toml: wheels[0] should be a table, found 3"),
        ({"wheels": [{}]}, "wheels[0]: size is missing; it should be an integer from 1 to 30"),
        ({"wheels": [{"size": 31}]}, "wheels[0]: size should be an integer from 1 to 30, found 31"),
        (
            {"wheels": [{"size": 3, "colour": "green"}]},
            "wheels[0]: colour should be one of 'red', 'blue'; found 'green'",
        ),
        ({"bell": 1}, "bell should be true or false, found 1"),
        ({"weight": "9"}, "weight should be a finite number, found '9'"),
        ({"weight": 10**400}, "weight should be a finite number, found 1000"),
        ({"weight": float("nan")}, "weight should be a finite number, found nan"),
        ({"kind": ["city"]}, "kind should be one of 'road', 'city'; found ['city']"),
        ({"tags": "old"}, "tags should be a list of texts, found 'old'"),
        ({"extras": {"x": []}}, "extras.x should be text, a finite number or a boolean; found []"),
        ({"notes": {"c": 1}}, "b.toml: notes: unknown key 'c'"),
        ({"notes": {"a": float("inf")}}, "notes.a should be a value that JSON can hold, found inf"),
        ({"owner": "Ann-Sophie"}, "owner has 10 characters, at most 5 are shown"),
        ({"owner": "a\nb"}, "owner should be one line without control characters"),
        ({"owner": "x" * 3 + "\u202e"}, "owner should be one line without control characters"),
        ({"kind": "road", "bell": True}, "b.toml: a road bicycle has no bell"),
    ],
)
def test_whatever_is_wrong_is_named_with_its_place(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(**changes)
    assert message in str(caught.value)
    assert str(caught.value).startswith("b.toml: ")


def test_a_long_value_is_shown_by_its_beginning() -> None:
    with pytest.raises(SpecError, match=r"found 'x{56}\.\.\.$"):
        read(gears="x" * 1000)


def test_the_reader_chooses_the_error_and_the_class_the_hint() -> None:
    with pytest.raises(StoreError):
        parse(Wheel, {}, "w.toml", error=StoreError)
    with pytest.raises(HarnessError) as caught:
        read(kind="road", bell=True)
    assert caught.value.hint == "bell = false"


def test_the_schema_says_what_is_read() -> None:
    schema = json_schema(Bicycle, "Bicycle", given={"name"})
    assert schema["required"] == ["gears"]
    assert schema["additionalProperties"] is False
    known: Any = schema["properties"]
    assert "name" not in known
    assert known["gears"]["description"] == "How many, or which ones."
    assert known["kind"] == {"enum": ["road", "city"], "default": "city"}
    assert known["wheels"]["items"]["required"] == ["size"]
    assert known["wheels"]["items"]["properties"]["size"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 30,
        "description": "Inches, as `printed` on it.",
    }


@dataclass(frozen=True)
class Wrong:
    value: complex


def test_a_type_that_no_file_can_hold_is_a_mistake_of_the_code() -> None:
    with pytest.raises(TypeError, match="complex"):
        kinds_of(Wrong)
