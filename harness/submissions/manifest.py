"""What the authors of a submission state, and how their file is to be read.

A manifest is a TOML or JSON file. Every key is optional; what is absent is shown as "not stated".
All text is one plain line of bounded length, for it is printed on boards.
"""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

from harness._util import canonical
from harness._util.atomic import is_plain_name
from harness._util.canonical import Json
from harness._util.documents import read_json, read_toml
from harness._util.schema import (
    Choice,
    Either,
    Integer,
    Kind,
    ListOf,
    Number,
    Place,
    TableOf,
    TextKind,
    example_of,
    field_schemas,
    parse,
    words_of,
)
from harness.errors import SubmissionError
from harness.spec import NOT_STATED

__all__ = ["NOT_STATED", "Badge", "SubmissionManifest", "manifest_skeleton"]

T = TypeVar("T")

_SELECTIONS = ("validation", "test", "none (no training)", NOT_STATED)
_INPUTS = ("text", "audio", "vision")
_COLUMNS = ("id", "video_id", "clip_id", "pred", "seed", "label", "condition", "variant")
_URL = r"https?://[A-Za-z0-9._~:/?#@!$&*+,;=%-]+"
_LONGEST_NAME = 80
_LONGEST_LIST = 50


class Badge(StrEnum):
    """Where the numbers of a row come from, the best founded first."""

    REPLAYED = "replayed"
    RELEASED = "released weights"
    RECOMPUTED = "recomputed"
    REPORTED = "reported"
    LITERATURE = "literature"

    @property
    def meaning(self) -> str:
        """One line for a legend."""
        return _MEANINGS[self]


_MEANINGS = {
    Badge.REPLAYED: "executed by this harness from stored code and data",
    Badge.RELEASED: "executed by this harness with weights that somebody else trained and chose",
    Badge.RECOMPUTED: "predictions were given, the scores are computed here",
    Badge.REPORTED: "numbers stated by the authors, without predictions",
    Badge.LITERATURE: "numbers copied from a paper",
}


def _line(longest: int) -> TextKind:
    return TextKind(longest=longest, blank=False)


def _list(item: Kind[T]) -> ListOf[T]:
    return ListOf(item=item, least=1, most=_LONGEST_LIST, unique=True)


@dataclass(frozen=True)
class _Name:
    """What a file may be called."""

    expected: str = "text"

    def read(self, value: object, place: Place) -> str:
        name = _line(_LONGEST_NAME).read(value, place)
        if not is_plain_name(name):
            raise place.wrong(
                "a name of letters, digits and . _ + = @ - or space", name, hint="--name NAME"
            )
        return name

    def schema(self) -> dict[str, Json]:
        return _line(_LONGEST_NAME).schema()


@dataclass(frozen=True)
class _Factor:
    """A finite number but zero."""

    expected: str = "a finite number"

    def read(self, value: object, place: Place) -> float:
        factor = Number().read(value, place)
        if factor == 0:
            raise place.wrong("another factor than zero", value)
        return factor

    def schema(self) -> dict[str, Json]:
        return {"type": "number", "not": {"const": 0}}


@dataclass(frozen=True)
class _Cell:
    """What a table's cell holds: text, or an integer as it is written."""

    expected: str = "text"

    def read(self, value: object, place: Place) -> str:
        return str(value) if type(value) is int else _line(200).read(value, place)

    def schema(self) -> dict[str, Json]:
        return {"type": ["string", "integer"]}


@dataclass(frozen=True, kw_only=True)
class SubmissionManifest:
    """A submission as its authors describe it; None is "not stated".

    Raises:
        SubmissionError: When foreign outputs became scores and nothing says how, or several runs
            are stated of a system that no seed changes.
    """

    name: Annotated[str, _Name()]
    """Unique per dataset; a plain file name."""
    title: Annotated[str | None, _line(120)] = None
    """How a board calls it; the name when not stated."""
    paper: Annotated[str | None, _line(300)] = None
    """Citation."""
    year: Annotated[int | None, Integer(low=1990, high=2100)] = None
    """Year of publication."""
    url: Annotated[
        str | None,
        TextKind(
            longest=300,
            pattern=_URL,
            expected="an http or https address, other characters as %xx",
        ),
    ] = None
    """An http or https address."""
    authors: Annotated[tuple[str, ...], _list(_line(120))] = ()
    """Their names."""
    description: Annotated[str | None, _line(1000)] = None
    """The system in a sentence or two."""
    seeds: Annotated[
        int | tuple[int, ...] | None,
        Either(one=Integer(low=1, high=10_000), many=_list(Integer(low=0, high=2**53))),
    ] = None
    """Number of runs, or the seeds themselves, that the authors state."""
    deterministic: bool = False
    """Whether no seed changes the result, so that one run is all there is to see."""
    selection: Annotated[str, Choice(_SELECTIONS)] = NOT_STATED
    """What chose the checkpoint."""
    side_info: Annotated[str | None, _line(300)] = None
    """What the system knew besides transcript, audio and vision, or ``none``."""
    encoder: Annotated[str | None, _line(120)] = None
    """Text encoder."""
    trained_on: Annotated[tuple[str, ...], _list(_line(200))] = ()
    """What it was trained on."""
    inputs: Annotated[tuple[str, ...], _list(Choice(_INPUTS))] = ()
    """What it reads of a clip."""
    mapping: Annotated[str | None, _line(1000)] = None
    """How foreign outputs became scores; required with ``values`` or ``scale``."""
    protocol: Annotated[
        str | None,
        TextKind(pattern="[0-9a-f]{12}", expected="12 hexadecimal digits (msa list protocols)"),
    ] = None
    """Digest of the protocol the authors say they followed (12 hexadecimal digits)."""
    note: Annotated[str | None, _line(1000)] = None
    """Anything a reader must know."""
    columns: Annotated[Mapping[str, str], TableOf(item=_line(200), keys=_COLUMNS)] = field(
        default_factory=dict
    )
    """Our column -> theirs."""
    where: Annotated[Mapping[str, str], TableOf(item=_Cell(), key=_line(200))] = field(
        default_factory=dict
    )
    """Their column -> the value that rows to read have."""
    values: Annotated[Mapping[str, float], TableOf(item=Number(), key=_line(200))] = field(
        default_factory=dict
    )
    """Content of their prediction cell -> number."""
    scale: Annotated[float, _Factor()] = 1.0
    """Factor on every prediction."""

    def __post_init__(self) -> None:
        if (self.values or self.scale != 1) and self.mapping is None:
            raise SubmissionError(
                "values and scale turn foreign outputs into scores,"
                " which a reader of the board must know",
                hint='mapping = "the top word positive, neutral, negative became 1, 0, -1"',
            )
        if self.deterministic and self.stated_runs not in (None, 1):
            raise SubmissionError(
                f"deterministic = true and {self.stated_runs} runs contradict each other",
                hint="leave out deterministic, or state seeds = 1",
            )

    @classmethod
    def load(cls, path: Path, *, name: str | None = None, default: str) -> SubmissionManifest:
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
    def parse(cls, table: Mapping[str, object], *, where: str) -> SubmissionManifest:
        """Validate a manifest given as a table.

        Raises:
            SubmissionError: Naming ``where``, the key and what was expected.
        """
        return parse(cls, table, where, error=SubmissionError)

    def table(self) -> dict[str, Json]:
        """What is stated, as ``parse`` reads it.

        Example:
            >>> SubmissionManifest(name="mine", year=2026).table()
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
            >>> mine = SubmissionManifest(name="mine", inputs=("text", "audio"))
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


def manifest_skeleton(name: str) -> str:
    """A manifest with every key there is, all but the name left out, each with what it means.

    Args:
        name: Of the submission.

    Raises:
        SubmissionError: For a name that no submission can have.
    """
    mine = SubmissionManifest.parse({"name": name}, where="manifest")
    lines = [
        f"# What is stated of {mine.name}, beside its predictions (columns id, pred, maybe seed):",
        "#",
        f"#   msa submit {mine.name}.csv --dataset mosi --manifest {mine.name}.toml --dry-run",
        "#",
        "# Take the # off the keys that you state. What is left out is shown as not stated.",
        f"\nname = {json.dumps(mine.name, ensure_ascii=False)}",
    ]
    for key, schema in field_schemas(SubmissionManifest).items():
        if key != "name":
            said = f"{schema.get('description', '')} {words_of(schema).capitalize()}."
            lines += ["", *(f"# {line}" for line in textwrap.wrap(said, 96))]
            lines.append(f"# {key} = {example_of(schema)}")
    return "\n".join(lines) + "\n"
