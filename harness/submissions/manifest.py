"""What the authors of a submission state, and how their file is to be read.

A manifest is a TOML or JSON file. Every key is optional; what is absent is shown as "not stated".
All text is one plain line of bounded length, for it is printed on boards.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from harness._util import canonical
from harness._util.atomic import is_plain_name
from harness._util.canonical import Json
from harness._util.documents import read_json, read_toml
from harness.errors import SpecError, SubmissionError
from harness.spec import check_keys

__all__ = ["NOT_STATED", "Badge", "Manifest"]

NOT_STATED = "not stated"

_SELECTIONS = ("validation", "test", "none (no training)", NOT_STATED)
_INPUTS = ("text", "audio", "vision")
_COLUMNS = ("id", "video_id", "clip_id", "pred", "seed", "label")
_URL = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&*+,;=%-]+")
_LONGEST_NAME = 80
_LONGEST_LIST = 50

T = TypeVar("T")


class Badge(StrEnum):
    """Where the numbers of a row come from, the best founded first."""

    REPLAYED = "replayed"
    RECOMPUTED = "recomputed"
    REPORTED = "reported"
    LITERATURE = "literature"

    @property
    def meaning(self) -> str:
        """One line for a legend."""
        return _MEANINGS[self]


_MEANINGS = {
    Badge.REPLAYED: "executed by this harness from stored code and data",
    Badge.RECOMPUTED: "predictions were given, the scores are computed here",
    Badge.REPORTED: "numbers stated by the authors, without predictions",
    Badge.LITERATURE: "numbers copied from a paper",
}


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A submission as its authors describe it; None is "not stated".

    Args:
        name: Unique per dataset; a plain file name.
        title: How a board calls it; the name when not stated.
        paper: Citation.
        year: Year of publication.
        url: An http or https address.
        authors: Their names.
        description: The system in a sentence or two.
        seeds: Number of runs, or the seeds themselves, that the authors state.
        selection: What chose the checkpoint: ``validation``, ``test``, ``none (no training)`` or
            ``not stated``.
        side_info: What the system knew besides transcript, audio and vision, or ``none``.
        encoder: Text encoder.
        trained_on: What it was trained on.
        inputs: Some of ``text``, ``audio``, ``vision``.
        mapping: How foreign outputs became scores; required with ``values`` or ``scale``.
        protocol: Digest of the protocol the authors say they followed (12 hexadecimal digits).
        note: Anything a reader must know.
        columns: Our column -> theirs.
        where: Their column -> the value that rows to read have.
        values: Content of their prediction cell -> number.
        scale: Factor on every prediction.
    """

    name: str
    title: str | None = None
    paper: str | None = None
    year: int | None = None
    url: str | None = None
    authors: tuple[str, ...] = ()
    description: str | None = None
    seeds: int | tuple[int, ...] | None = None
    selection: str = NOT_STATED
    side_info: str | None = None
    encoder: str | None = None
    trained_on: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    mapping: str | None = None
    protocol: str | None = None
    note: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    scale: float = 1.0

    @classmethod
    def load(cls, path: Path, *, name: str | None = None, default: str) -> Manifest:
        """Read and validate a manifest file.

        Args:
            path: A ``.toml`` or ``.json`` file.
            name: Takes the place of the name in the file.
            default: The name when there is none.

        Raises:
            SubmissionError: Naming the file, the key and what was expected.
        """
        read = {".toml": read_toml, ".json": read_json}.get(path.suffix.lower())
        if read is None:
            raise SubmissionError(f"a manifest is a .toml or .json file; found {path.name}")
        stated = read(path, "manifest", error=SubmissionError)
        return cls.parse({"name": default, **stated} | _given(name=name), where=path.name)

    @classmethod
    def parse(cls, table: Mapping[str, object], *, where: str) -> Manifest:
        """Validate a manifest given as a table.

        Raises:
            SubmissionError: Naming ``where``, the key and what was expected.
        """
        _check_keys(table, _KEYS, where)
        stated = {key: _KEYS[key](value, f"{where}: {key}") for key, value in table.items()}
        manifest = cls(**stated)  # type: ignore[arg-type]  # each key has been read as its type
        if (manifest.values or manifest.scale != 1) and manifest.mapping is None:
            raise SubmissionError(
                f"{where}: values and scale turn foreign outputs into scores,"
                " which a reader of the board must know",
                hint='mapping = "the top word positive, neutral, negative became 1, 0, -1"',
            )
        return manifest

    def table(self) -> dict[str, Json]:
        """What is stated, as ``parse`` reads it.

        Example:
            >>> Manifest(name="mine", year=2026).table()
            {'name': 'mine', 'year': 2026}
        """
        return {
            f.name: canonical.plain(value)
            for f in dataclasses.fields(self)
            if (value := getattr(self, f.name)) != f.default and value not in ((), {})
        }

    def shown(self, key: str) -> str:
        """The value of a field as text, "not stated" when it is absent.

        Example:
            >>> mine = Manifest(name="mine", inputs=("text", "audio"))
            >>> mine.shown("inputs"), mine.shown("paper")
            ('text, audio', 'not stated')
        """
        value = getattr(self, key)
        if isinstance(value, tuple):
            return ", ".join(map(str, value)) or NOT_STATED
        return NOT_STATED if value is None else str(value)

    @property
    def display(self) -> str:
        """The title, else the name."""
        return self.title or self.name

    @property
    def stated_runs(self) -> int | None:
        """How many runs the authors state."""
        return len(self.seeds) if isinstance(self.seeds, tuple) else self.seeds


def _given(**options: str | None) -> dict[str, str]:
    return {key: value for key, value in options.items() if value is not None}


def _wrong(where: str, expected: str, found: object) -> SubmissionError:
    return SubmissionError(f"{where} should be {expected}; found {_excerpt(found)}")


def _excerpt(found: object) -> str:
    text = ascii(found)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _check_keys(table: Mapping[str, object], known: Mapping[str, object], where: str) -> None:
    try:
        check_keys(table, known, where)
    except SpecError as error:
        raise SubmissionError(str(error)) from None


def _table(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise _wrong(where, "a table", value)
    return value


def _text(limit: int) -> Callable[[object, str], str]:
    def read(value: object, where: str) -> str:
        if not isinstance(value, str) or not value.strip():
            raise _wrong(where, "text", value)
        plain = value.strip()
        if len(plain) > limit:
            raise SubmissionError(f"{where} has {len(plain)} characters, at most {limit} are shown")
        if not plain.isprintable():
            raise _wrong(where, "one line without control characters", value)
        return plain

    return read


def _name(value: object, where: str) -> str:
    name = _text(_LONGEST_NAME)(value, where)
    if not is_plain_name(name):
        raise SubmissionError(
            f"{where}: a submission is called by letters, digits and . _ + = @ - or space;"
            f" found {_excerpt(name)}",
            hint="--name NAME",
        )
    return name


def _url(value: object, where: str) -> str:
    address = _text(300)(value, where)
    if not _URL.fullmatch(address):
        raise _wrong(where, "an http or https address, other characters as %xx", value)
    return address


def _integer(low: int, high: int) -> Callable[[object, str], int]:
    def read(value: object, where: str) -> int:
        if type(value) is not int or not low <= value <= high:
            raise _wrong(where, f"an integer from {low} to {high}", value)
        return value

    return read


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _wrong(where, "a finite number", value)
    return float(value)


def _scale(value: object, where: str) -> float:
    factor = _number(value, where)
    if factor == 0:
        raise _wrong(where, "another factor than zero", value)
    return factor


def _one_of(*choices: str) -> Callable[[object, str], str]:
    def read(value: object, where: str) -> str:
        if not isinstance(value, str) or value not in choices:
            raise _wrong(where, f"one of {', '.join(map(repr, choices))}", value)
        return value

    return read


def _list_of(item: Callable[[object, str], T]) -> Callable[[object, str], tuple[T, ...]]:
    def read(value: object, where: str) -> tuple[T, ...]:
        if not isinstance(value, list) or not 0 < len(value) <= _LONGEST_LIST:
            raise _wrong(where, f"a list of 1 to {_LONGEST_LIST} items", value)
        items = tuple(item(each, f"{where}[{i}]") for i, each in enumerate(value))
        if len(set(items)) < len(items):
            raise SubmissionError(f"{where} names one item twice")
        return items

    return read


def _table_of(item: Callable[[object, str], T]) -> Callable[[object, str], Mapping[str, T]]:
    def read(value: object, where: str) -> Mapping[str, T]:
        entries = _table(value, where).items()
        return {_text(200)(key, where): item(each, f"{where}.{key}") for key, each in entries}

    return read


def _seeds(value: object, where: str) -> int | tuple[int, ...]:
    if isinstance(value, list):
        return _list_of(_integer(0, 2**53))(value, where)
    return _integer(1, 10_000)(value, where)


def _columns(value: object, where: str) -> Mapping[str, str]:
    table = _table(value, where)
    _check_keys(table, dict.fromkeys(_COLUMNS), where)
    return _table_of(_text(200))(table, where)


def _cell(value: object, where: str) -> str:
    return str(value) if type(value) is int else _text(200)(value, where)


def _digest(value: object, where: str) -> str:
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{12}", value):
        raise _wrong(where, "12 hexadecimal digits (msa list protocols)", value)
    return value


_KEYS: Mapping[str, Callable[[object, str], object]] = {
    "name": _name,
    "title": _text(120),
    "paper": _text(300),
    "year": _integer(1990, 2100),
    "url": _url,
    "authors": _list_of(_text(120)),
    "description": _text(1000),
    "seeds": _seeds,
    "selection": _one_of(*_SELECTIONS),
    "side_info": _text(300),
    "encoder": _text(120),
    "trained_on": _list_of(_text(200)),
    "inputs": _list_of(_one_of(*_INPUTS)),
    "mapping": _text(1000),
    "protocol": _digest,
    "note": _text(1000),
    "columns": _columns,
    "where": _table_of(_cell),
    "values": _table_of(_number),
    "scale": _scale,
}
