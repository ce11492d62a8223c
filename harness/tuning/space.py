"""The space that a search draws the hyper-parameters of a row from, checked before anything runs.

What a suite says of a parameter comes first; then what the system's source printed, or else what
its parameters declare. A parameter that the suite sets is not searched, unless it says so itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from harness._util import canonical
from harness._util.canonical import Json
from harness._util.registry import suggest
from harness._util.schema import located
from harness.errors import SpecError
from harness.spec import Entry, Scalar, Search, Suite
from harness.system import Params, System
from harness.tuning.published import PublishedSpace, published_spaces

__all__ = ["Dimension", "Space", "space_of"]

_FIXED: Mapping[str, str] = {
    "encoder": "rows of different encoders are told apart",
    "knowledge": "it decides what a row may know",
    "tokens": "it decides what a row reads",
    "explanations": "it decides what a row reads",
    "training_corruption": "it decides what a row is trained on",
    "quirk": "it decides whose code a row is",
    "precision": "it is one of arithmetic",
    "compiled": "it is one of arithmetic",
}
"""Parameters that no search tries -> why."""
_OF_SUITE, _DECLARED = "the suite", "declared by its parameters"


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """What is drawn at once: one parameter, or several that are chosen together.

    Args:
        params: Their names.
        choices: Values, one per name in each; None for a range.
        low: Least value of a range.
        high: Greatest value of a range.
        log: Whether the range is logarithmic.
        whole: Whether the range holds whole numbers.
    """

    params: tuple[str, ...]
    choices: tuple[tuple[Scalar, ...], ...] | None = None
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False

    @property
    def name(self) -> str:
        """Its parameters joined by ``+``."""
        return "+".join(self.params)

    @cached_property
    def named(self) -> Mapping[Scalar, tuple[Scalar, ...]]:
        """What a choice is called -> its values; nothing for a range."""
        if len(self.params) == 1:
            return {values[0]: values for values in self.choices or ()}
        return {" ".join(map(str, values)): values for values in self.choices or ()}

    def values(self, drawn: Scalar) -> dict[str, Scalar]:
        """Parameter -> value, of what was drawn: a number, or what a choice is called."""
        found = (drawn,) if self.choices is None else self.named[drawn]
        return dict(zip(self.params, found, strict=True))

    def record(self) -> dict[str, Json]:
        """As JSON values."""
        if self.choices is not None:
            return {"choices": [list(values) for values in self.choices]}
        return {"low": self.low, "high": self.high, "log": self.log}


@dataclass(frozen=True, kw_only=True)
class Space:
    """What a row is searched over.

    Args:
        dimensions: In alphabetical order of their names.
        source: Where they come from.
    """

    dimensions: tuple[Dimension, ...]
    source: str

    def record(self) -> dict[str, Json]:
        """Name of a dimension -> what it is, as JSON values."""
        return {dimension.name: dimension.record() for dimension in self.dimensions}

    def digest(self, sampler: str) -> str:
        """Twelve hexadecimal digits of the space and of what draws from it."""
        return canonical.digest({"sampler": sampler, "space": self.record()})[:12]

    def settings(self, drawn: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Parameter -> value, of what was drawn in each dimension."""
        found: dict[str, Scalar] = {}
        for dimension in self.dimensions:
            found |= dimension.values(drawn[dimension.name])
        return found


def space_of(suite: Suite, entry: Entry, system: System, dataset: str) -> Space | None:
    """What a row of a suite is searched over.

    Args:
        suite: With its ``[tune]`` table.
        entry: The row, its hyper-parameters complete with the suite's defaults.
        system: What it runs.
        dataset: Registered name, for its preset.

    Returns:
        None where neither the suite nor the system says anything to search.

    Raises:
        SpecError: For a parameter that is unknown or not searched, a value out of its range or of
            another type, or one that the row sets and searches.
    """
    fields = {item.name: item for item in dataclasses.fields(system.params)}
    own = {**_shared(suite, fields), **entry.space}
    where = f"{suite.where or f'suite {suite.name}'}: row {entry.label!r}"
    with located(where):
        for name in own:
            _check_name(name, system, fields)
        for name in entry.space:
            if name in entry.params:
                raise SpecError(f"{name} is set to {entry.params[name]!r} and searched")
        base, source = _base(suite, system, fields)
        taken = {*own, *entry.params}
        kept = [part for each in base if (part := _without(each, taken)) is not None]
        added = [_dimension(name, each, fields[name]) for name, each in own.items()]
        found = sorted([*kept, *added], key=lambda dimension: dimension.name)
        for dimension in found:
            _check_values(dimension, system, dataset, entry.params)
    if not found:
        return None
    parts = ([source] if kept else []) + ([_OF_SUITE] if added else [])
    return Space(dimensions=tuple(found), source=" and ".join(parts))


def _shared(suite: Suite, fields: Mapping[str, object]) -> dict[str, Search]:
    """What the suite says of every row that has such a parameter."""
    return {name: each for name, each in suite.tune.space.items() if name in fields}


def _check_name(name: str, system: System, fields: Mapping[str, dataclasses.Field[Scalar]]) -> None:
    if name not in fields:
        raise SpecError(
            f"system {system.name} has no parameter {name!r}{suggest(name, fields, key=True)}",
            hint=f"msa card {system.name} shows its hyper-parameters",
        )
    reason = "it says where something is" if name in system.locations else _FIXED.get(name)
    if reason is not None:
        raise SpecError(f"{name} is no parameter to search: {reason}")


def _base(
    suite: Suite, system: System, fields: Mapping[str, dataclasses.Field[Scalar]]
) -> tuple[list[Dimension], str]:
    """What is searched where the suite says nothing, and where that comes from."""
    wanted = suite.tune.base
    if wanted == "none":
        return [], ""
    published = published_spaces().get(system.name)
    if wanted == "published" and published is not None:
        return list(_published(published, fields)), published.source
    declared = (
        _dimension(name, item.metadata["search"], item)
        for name, item in fields.items()
        if item.metadata.get("search") is not None
    )
    return list(declared), _DECLARED


def _published(
    space: PublishedSpace, fields: Mapping[str, dataclasses.Field[Scalar]]
) -> Iterator[Dimension]:
    for name, values in space.choices.items():
        yield _dimension(name, Search(choices=values), fields[name])
    for each in space.together:
        rows = tuple(
            tuple(_typed(v, fields[name]) for name, v in zip(each.params, row, strict=True))
            for row in each.values
        )
        yield Dimension(params=each.params, choices=rows)


def _without(dimension: Dimension, taken: set[str]) -> Dimension | None:
    """The dimension without parameters that something else decides; None when none is left."""
    places = [i for i, name in enumerate(dimension.params) if name not in taken]
    if len(places) == len(dimension.params):
        return dimension
    if not places or dimension.choices is None:
        return None
    rows = dict.fromkeys(tuple(row[i] for i in places) for row in dimension.choices)
    return Dimension(params=tuple(dimension.params[i] for i in places), choices=tuple(rows))


def _dimension(name: str, search: Search, item: dataclasses.Field[Scalar]) -> Dimension:
    if search.choices is not None:
        values = dict.fromkeys(_typed(value, item) for value in search.choices)
        return Dimension(params=(name,), choices=tuple((value,) for value in values))
    assert search.low is not None and search.high is not None  # a search has either
    low, high = search.low, search.high
    whole = isinstance(item.default, int) and not isinstance(item.default, bool)
    if not whole and not isinstance(item.default, float):
        raise SpecError(f"{name} is no number: a search over it takes choices")
    if whole and not (low.is_integer() and high.is_integer()):
        raise SpecError(f"{name} is a whole number; found a search from {low:g} to {high:g}")
    return Dimension(params=(name,), low=low, high=high, log=search.log, whole=whole)


def _typed(value: Scalar, item: dataclasses.Field[Scalar]) -> Scalar:
    """An integer as a float where the parameter is one."""
    return float(value) if isinstance(item.default, float) and type(value) is int else value


def _check_values(
    dimension: Dimension, system: System, dataset: str, params: Mapping[str, Scalar]
) -> None:
    """Refuse what lies outside a parameter's own range, in each choice or at both ends."""
    if dimension.choices is None:
        ends = (dimension.low, dimension.high)
        rows: Sequence[tuple[Scalar, ...]] = [
            (int(end) if dimension.whole else end,) for end in ends
        ]
    else:
        rows = dimension.choices
    for row in rows:
        for name, value in zip(dimension.params, row, strict=True):
            with located("space"):
                _alone(system, dataset, params, {name: value})


def _alone(
    system: System, dataset: str, params: Mapping[str, Scalar], one: Mapping[str, Scalar]
) -> Params:
    return system.resolve(dataset, {**params, **one})
