"""Suites: what is run together, as people write it in TOML files."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, get_args

from harness._util.atomic import is_plain_name
from harness._util.canonical import Json
from harness._util.documents import read_toml
from harness._util.schema import (
    Choice,
    Either,
    Integer,
    ListOf,
    Place,
    Scalar,
    TableOf,
    TextKind,
    check_keys,
    field_schemas,
    located,
    parse,
    table_of,
)
from harness._util.shown import look_alikes, print_alike
from harness.errors import SpecError
from harness.spec.protocol import Protocol, changeable, check_changes
from harness.spec.released import (
    NOT_STATED,
    SELECTIONS,
    CheckpointFile,
    CheckpointKind,
    ReleasedWeights,
)
from harness.spec.search import Search, Tuned, TuningTable

__all__ = [
    "QUERIES",
    "Entry",
    "Query",
    "Seeds",
    "Suite",
    "SuiteFile",
    "WeightsChoice",
    "algorithm_of",
]

Seeds = int | tuple[int, ...]
WeightsChoice: TypeAlias = Literal["selected", "none"]
"""Which weights of a network a run keeps."""
QUERIES: Mapping[str, str] = {
    "trained": "every system that learns from training labels, asks no server and is no reference",
}
"""What ``query`` may ask for among the systems of a suite."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row of a suite: a system, its changed hyper-parameters, and where it runs."""

    system: str
    label: str
    params: Mapping[str, Scalar] = field(default_factory=dict)
    corpora: tuple[str, ...] | None = None
    """None: every corpus of the suite."""
    released: ReleasedWeights | None = None
    """What it is instead of being trained; None: it is trained."""
    space: Mapping[str, Search] = field(default_factory=dict)
    """What ``msa tune`` searches in this row, beside or instead of what the suite says."""
    tuned: Tuned | None = None
    """How its hyper-parameters were found; None for those of a preset, or set by hand."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """Rows of a suite by what their systems are: one for each that no other row names."""

    kind: str
    """One of ``QUERIES``."""
    corpora: tuple[str, ...] | None = None
    """None: every corpus of the suite."""


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A TOML file naming corpora, systems, a protocol and seeds: the unit people run and cite."""

    name: str
    title: str
    corpora: tuple[str, ...]
    protocol: str
    protocol_changes: Mapping[str, Scalar] = field(default_factory=dict)
    seeds: Seeds
    """A count (the first n of the protocol's list) or an explicit list."""
    corpus_seeds: Mapping[str, Seeds] = field(default_factory=dict)
    """Corpora that get other seeds than ``seeds``."""
    defaults: Mapping[str, Scalar] = field(default_factory=dict)
    """Hyper-parameters of every row whose system has them; a row's own come first."""
    entries: tuple[Entry, ...]
    queries: tuple[Query, ...] = ()
    """Whose rows follow ``entries`` once the systems are known."""
    weights: WeightsChoice | None = None
    """Which its runs keep; None: those selected, unless they are large. No part of an identity."""
    tune: TuningTable = field(default_factory=TuningTable)
    """What ``msa tune`` searches; a run takes no notice of it."""
    slices: tuple[str, ...] = ()
    """Slicings of the test clips that the board shows its rows on. No part of an identity."""
    where: str = field(default="", compare=False)
    """What messages call it: its file."""
    folder: Path | None = field(default=None, compare=False, repr=False)
    """Where files are looked for that it names; None for a suite that is no file."""

    @classmethod
    def load(cls, path: Path) -> Suite:
        """Read and validate a suite file.

        Raises:
            SpecError: Naming the file, the key and the nearest valid key.
        """
        suite = cls.parse(_with_base(path), name=path.stem, where=path.name)
        return dataclasses.replace(suite, folder=path.parent)

    @classmethod
    def parse(cls, table: Mapping[str, object], *, name: str, where: str) -> Suite:
        """Validate a suite given as nested tables (see ``runs/suites`` for examples).

        Raises:
            SpecError: Naming ``where``, the key and the nearest valid key.
        """
        file = parse(SuiteFile, table, where)
        if file.extends is not None:
            raise SpecError(
                f"{where}: extends names a file beside this one",
                hint="give the suite as a file",
            )
        seeds = dict(file.seeds) if isinstance(file.seeds, Mapping) else {"default": file.seeds}
        changes = dict(file.protocol)
        suite = cls(
            name=name,
            title=name if file.title is None else file.title,
            corpora=file.corpora,
            protocol=str(changes.pop("name", "in_domain")),
            protocol_changes=changes,
            seeds=seeds.pop("default", 5),
            corpus_seeds=seeds,
            defaults=file.defaults,
            entries=tuple(row.entry() for row in file.systems if isinstance(row, _Row)),
            queries=tuple(row.query_of() for row in file.systems if isinstance(row, _QueryRow)),
            weights=None if file.weights is None else weights_choice(file.weights),
            tune=file.tune,
            slices=file.slices or (),
            where=where,
        )
        suite._check(where)
        return suite

    def _check(self, where: str) -> None:
        if not is_plain_name(self.name):
            raise SpecError(
                f"{where}: a suite is called by letters, digits and . _ + = @ - or space;"
                f" found {self.name!r}",
                hint="rename the file",
            )
        labels = [entry.label for entry in self.entries]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise SpecError(
                f"{where}: two rows are labelled {', '.join(map(repr, twice))}",
                hint=_OWN_LABEL,
            )
        if alike := print_alike(labels):
            raise SpecError(
                f"{where}: the labels {look_alikes(*alike)} print alike", hint=_OWN_LABEL
            )
        check_keys(self.corpus_seeds, self.corpora, f"{where}: seeds")
        rows = [(f"row {entry.label!r}", entry.corpora) for entry in self.entries]
        rows += [(f"query {query.kind!r}", query.corpora) for query in self.queries]
        for title, corpora in rows:
            stray = set(corpora or ()) - set(self.corpora)
            if stray:
                raise SpecError(
                    f"{where}: {title} names corpora outside the suite: {', '.join(sorted(stray))}"
                )

    def with_seeds(self, seeds: Seeds | None) -> Suite:
        """The suite with another seed count or list on every corpus; None changes nothing."""
        return self if seeds is None else dataclasses.replace(self, seeds=seeds, corpus_seeds={})

    def with_weights(self, weights: str | None) -> Suite:
        """The suite with another choice of weights to keep; None changes nothing.

        Raises:
            SpecError: For a choice that is none.
        """
        if weights is None:
            return self
        return dataclasses.replace(self, weights=weights_choice(weights))

    def seeds_on(self, corpus: str) -> Seeds:
        """The seed count or list for a corpus."""
        return self.corpus_seeds.get(corpus, self.seeds)


def _with_base(path: Path) -> dict[str, object]:
    """The table of a suite file, what it leaves out taken from the file that it extends."""
    table = read_toml(path, "suite", hint="msa list suites")
    if "extends" not in table:
        return table
    name = _TITLE.read(table.pop("extends"), Place(path.name).entry("extends"))
    if not is_plain_name(name):
        raise SpecError(
            f"{path.name}: extends is the name of a suite file beside this one, without .toml;"
            f" found {name!r}"
        )
    with located(f"{path.name} extends {name}"):
        base = read_toml(path.with_name(f"{name}.toml"), "suite", hint="msa list suites")
    if "extends" in base:
        raise SpecError(f"{path.name} extends {name}, which extends another suite itself")
    return {**base, **table}


def weights_choice(text: str) -> WeightsChoice:
    """The choice of weights that a text names.

    Raises:
        SpecError: When it names none.
    """
    for choice in get_args(WeightsChoice):
        if text == choice:
            return choice  # type: ignore[no-any-return]  # one of the literal's own
    raise SpecError(f"weights are {' or '.join(get_args(WeightsChoice))}; found {text!r}")


def algorithm_of(label: str) -> str:
    """What a row's label says is tried: all of it but a number after ``#``.

    Example:
        >>> algorithm_of("CORAL #2"), algorithm_of("ERM")
        ('CORAL', 'ERM')
    """
    name, mark, number = label.rpartition(" #")
    return name if mark and number.isdigit() else label


@dataclass(frozen=True)
class _SeedsOfCorpora:
    """A choice of seeds for all corpora, or a table of choices with a ``default``."""

    expected: str = "a count or a list of non-negative integers"

    def read(self, value: object, place: Place) -> Seeds | Mapping[str, Seeds]:
        if isinstance(value, Mapping):
            return TableOf(item=self._choice).read(value, place)
        return self._choice.read(value, place)

    def schema(self) -> dict[str, Json]:
        return {"anyOf": [self._choice.schema(), TableOf(item=self._choice).schema()]}

    @property
    def _choice(self) -> Either[int]:
        items = ListOf(item=Integer(low=0), least=1, unique=True)
        return Either(one=Integer(low=1, named=self.expected), many=items)


@dataclass(frozen=True)
class _ProtocolChanges:
    """The ``name`` of a protocol, and the fields of it that change."""

    expected: str = "a table"

    def read(self, value: object, place: Place) -> Mapping[str, Scalar]:
        if not isinstance(value, Mapping):
            raise place.wrong(self.expected, value)
        changes = dict(value)
        if "name" in changes:
            _TITLE.read(changes.pop("name"), place.entry("name"))
        check_changes(changes, place.where)
        return value

    def schema(self) -> dict[str, Json]:
        fields = field_schemas(Protocol)
        known: dict[str, Json] = {"name": {**fields["name"], "default": "in_domain"}}
        known |= {name: fields[name] for name in changeable()}
        return {"type": "object", "properties": known, "additionalProperties": False}


_OWN_LABEL = 'give each row its own label = "…"'
_TITLE = TextKind(blank=False)
_Title = Annotated[str, _TITLE]
_Label = Annotated[str, TextKind(blank=False, longest=120, folded=True)]
_Names = Annotated[tuple[str, ...], ListOf(item=_TITLE, least=1, unique=True)]


@dataclass(frozen=True, kw_only=True)
class _Row:
    """One row as it is written."""

    name: _Title
    """The system, as ``msa list systems`` names it."""
    label: _Label | None = None
    """What the board calls the row; the system's name where it is left out."""
    params: Mapping[str, Scalar] = field(default_factory=dict)
    """Hyper-parameters other than the system's own; ``msa card SYSTEM`` lists them."""
    corpora: _Names | None = None
    """Corpora that it runs on; all of the suite where they are left out."""
    checkpoint: (
        Annotated[
            CheckpointFile | tuple[CheckpointFile, ...],
            Either(one=CheckpointKind(), many=ListOf(item=CheckpointKind(), least=1, unique=True)),
        ]
        | None
    ) = None
    """Released weights to evaluate instead of training: a file or a list of files, from the folder
    of the suite file or the home, each followed or not by ``sha256=`` and its digest."""
    seeds: Annotated[tuple[int, ...], ListOf(item=Integer(low=0), least=1, unique=True)] | None = (
        None
    )
    """With ``checkpoint``: the seed that the release states for each file."""
    selected_on: Annotated[str, Choice(SELECTIONS)] | None = None
    """With ``checkpoint``: what the release says chose it."""

    space: Mapping[str, Search] = field(default_factory=dict)
    """Hyper-parameters that `msa tune` searches in this row, with their ranges or choices."""
    tuned: Tuned | None = None
    """How its hyper-parameters were found, as `msa tune` writes it."""

    def __post_init__(self) -> None:
        if self.checkpoint is None and (self.seeds, self.selected_on) != (None, None):
            key = "seeds" if self.seeds is not None else "selected_on"
            raise SpecError(
                f"{key} of a row goes with checkpoint: it says what a release states",
                hint="give the seeds of trained rows once, as seeds of the suite",
            )
        if self.seeds is not None and len(self.seeds) != len(self._files):
            raise SpecError(
                f"seeds should be one per checkpoint, {len(self._files)}; found {len(self.seeds)}",
                hint="leave seeds out where the release states none",
            )

    @property
    def _files(self) -> tuple[CheckpointFile, ...]:
        if self.checkpoint is None:
            return ()
        return self.checkpoint if isinstance(self.checkpoint, tuple) else (self.checkpoint,)

    def entry(self) -> Entry:
        """The row of the suite."""
        return Entry(
            system=self.name,
            label=self.name if self.label is None else self.label,
            params=self.params,
            corpora=self.corpora,
            released=None
            if self.checkpoint is None
            else ReleasedWeights(
                files=self._files, seeds=self.seeds, selection=self.selected_on or NOT_STATED
            ),
            space=self.space,
            tuned=self.tuned,
        )


@dataclass(frozen=True, kw_only=True)
class _QueryRow:
    """Rows by what their systems are, as it is written."""

    query: Annotated[str, Choice(choices=tuple(QUERIES))]
    """Which systems; one row for each that no other row names."""
    corpora: _Names | None = None
    """Corpora that they run on; all of the suite where they are left out."""

    def query_of(self) -> Query:
        """The query of the suite."""
        return Query(kind=self.query, corpora=self.corpora)


@dataclass(frozen=True)
class _RowOrQuery:
    """A row, or a query when it says so."""

    expected: str = "a table"

    def read(self, value: object, place: Place) -> _Row | _QueryRow:
        if isinstance(value, Mapping) and "query" in value:
            return table_of(_QueryRow).read(value, place)
        return table_of(_Row).read(value, place)

    def schema(self) -> dict[str, Json]:
        return {"anyOf": [table_of(_Row).schema(), table_of(_QueryRow).schema()]}


@dataclass(frozen=True, kw_only=True)
class SuiteFile:
    """A suite as it is written; its name is that of the file."""

    title: Annotated[str, TextKind(blank=False, longest=300, folded=True)] | None = None
    """Of the board; the name of the file where it is left out."""
    extends: _Title | None = None
    """Another suite file of the same folder, by its name: each key that is left out here is taken
    from there, whole. That file extends none itself."""
    corpora: _Names
    """What is run on, as ``msa list corpora`` names it."""
    seeds: Annotated[Seeds | Mapping[str, Seeds], _SeedsOfCorpora()] = 5
    """How many of the protocol's seeds, or which ones; or a table of corpora and ``default``."""
    protocol: Annotated[Mapping[str, Scalar], _ProtocolChanges()] = field(default_factory=dict)
    """The protocol by ``name``, and what changes of it."""
    defaults: Mapping[str, Scalar] = field(default_factory=dict)
    """Hyper-parameters of every row whose system has them; a row's own come first."""
    weights: Annotated[str, Choice(choices=get_args(WeightsChoice))] | None = None
    """Which weights of networks are kept: the ``selected`` ones or ``none``; left out, the selected
    ones up to 64 MB."""
    tune: TuningTable = field(default_factory=TuningTable)
    """What `msa tune` searches."""
    slices: _Names | None = None
    """Slicings of the test clips that the board shows its rows on, as ``msa list slicings`` names
    them: ``["conflict", "negation"]``."""
    systems: Annotated[tuple[_Row | _QueryRow, ...], ListOf(item=_RowOrQuery(), least=1)]
    """The rows."""
