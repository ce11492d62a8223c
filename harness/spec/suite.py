"""What is run, as data: protocols, run specifications and suites.

A run's identity is the digest of everything that can change its result: data fingerprint, protocol,
every resolved hyper-parameter, external artifacts by content, seed, and the fingerprint of the
source. No path, host, device or display name takes part.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args, get_type_hints

from harness._util import canonical
from harness._util.atomic import is_plain_name
from harness._util.canonical import Json
from harness._util.documents import read_toml
from harness._util.registry import suggest
from harness.errors import SpecError

__all__ = [
    "QUERIES",
    "Entry",
    "Protocol",
    "Query",
    "RunSpec",
    "Scalar",
    "Suite",
    "algorithm_of",
    "check_keys",
    "refine",
]

Scalar = str | int | float | bool
Seeds = int | tuple[int, ...]
KEY_VERSION = 1
QUERIES: Mapping[str, str] = {
    "trained": "every system that learns from training labels and is no reference",
}
"""What ``query`` may ask for among the systems of a suite."""
_DISPLAY = ("name", "title", "seeds")
_LATER: Mapping[str, Scalar] = {
    "knowledge_data": "none",
    "settings": 1,
    "training_corruption": "none",
    "selection_corruption": "none",
    "supervision": "train",
}
"""Fields of the protocol that its first version did not have -> the value that it implied."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Everything that must be equal for two numbers to share a table.

    ``seeds`` is the official list, of which a suite uses the first n; the seed itself enters a
    run's identity, the list does not. ``name`` and ``title`` are for display.
    """

    name: str
    title: str
    kind: Literal["in_domain", "reliability", "domain_generalization", "zero_shot"] = "in_domain"
    split: Literal["official"] = "official"
    selection_metric: str = "mae"
    """Metric that chooses the epoch; every metric of a row comes from that one checkpoint."""
    selection_split: Literal["valid"] = "valid"
    selection_ties: Literal["earliest", "latest"] = "earliest"
    max_epochs: int = 100
    """Ceiling on training epochs; a system may stop sooner by its own published schedule."""
    patience: int = 8
    """Epochs without a new best before training stops (MMSA's early stop)."""
    corruption: str = "none"
    """The grid of conditions that test clips are seen under; ``none``: as they are."""
    training_corruption: str = "none"
    """What training clips go through before a system sees them."""
    selection_corruption: str = "none"
    """The same of the validation clips that choose the epoch."""
    supervision: Literal["train", "none"] = "train"
    """Whether systems learn from the training labels; ``none``: zero-shot."""
    side_info: Literal["none", "transcript_llm", "video_mllm", "both"] = "none"
    """What systems may know of a clip besides transcript, audio and vision: explanations that a
    language model wrote from the transcript, a multimodal one from the clip, or both."""
    knowledge_data: str = "none"
    """The corpus that systems may learn from besides the one they are tested on."""
    settings: int = 1
    """Hyper-parameter settings that each algorithm tries, in the sense of ``algorithm_of``."""
    metric_set: Literal["canonical"] = "canonical"
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        for name in ("max_epochs", "patience", "settings"):
            if getattr(self, name) < 1:
                raise SpecError(f"protocol {self.name}: {name} must be at least 1")

    @cached_property
    def identity(self) -> Mapping[str, Json]:
        """The fields that change results.

        A field that came later takes no part while it says what went without saying before: a
        dimension that protocols gain one day does not rename those that do without it.
        """
        values = {
            f.name: canonical.plain(getattr(self, f.name))
            for f in dataclasses.fields(self)
            if f.name not in _DISPLAY
        }
        implied = {name for name, value in _LATER.items() if values[name] == value}
        return {name: value for name, value in values.items() if name not in implied}

    @cached_property
    def digest(self) -> str:
        """Twelve hexadecimal digits; equal digests may share a table."""
        return canonical.digest(self.identity)[:12]


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """One cell: dataset × protocol × system × hyper-parameters × seed.

    Args:
        corpus: Corpus name, for finding and display only.
        data: The corpus's content fingerprint.
        protocol: The protocol.
        system: Registered name of the system.
        params: Every resolved hyper-parameter, defaults included.
        labels: What the system is told of the labels: ``low``, ``high``, metric ``family``.
        artifacts: Role -> content digest of external inputs (text encoder weights).
        seed: Training seed; 0 for systems without randomness.
        code: Fingerprint of the source that can change the result.
    """

    corpus: str
    data: str
    protocol: Protocol
    system: str
    params: Mapping[str, Scalar]
    labels: Mapping[str, Scalar]
    artifacts: Mapping[str, str] = field(default_factory=dict)
    seed: int
    code: str

    @cached_property
    def key(self) -> str:
        """Identity of the run, 32 hexadecimal digits."""
        payload = {
            "version": KEY_VERSION,
            "data": self.data,
            "protocol": self.protocol.identity,
            "system": self.system,
            "params": self.params,
            "labels": self.labels,
            "artifacts": self.artifacts,
            "seed": self.seed,
            "code": self.code,
        }
        return canonical.digest(payload)[:32]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row of a suite: a system, its changed hyper-parameters, and where it runs."""

    system: str
    label: str
    params: Mapping[str, Scalar] = field(default_factory=dict)
    corpora: tuple[str, ...] | None = None
    """None: every corpus of the suite."""


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

    @classmethod
    def load(cls, path: Path) -> Suite:
        """Read and validate a suite file.

        Raises:
            SpecError: Naming the file, the key and the nearest valid key.
        """
        table = read_toml(path, "suite", hint="msa list suites")
        return cls.parse(table, name=path.stem, where=path.name)

    @classmethod
    def parse(cls, table: Mapping[str, object], *, name: str, where: str) -> Suite:
        """Validate a suite given as nested tables (see ``runs/suites`` for examples).

        Raises:
            SpecError: Naming ``where``, the key and the nearest valid key.
        """
        check_keys(table, {"title", "corpora", "seeds", "protocol", "defaults", "systems"}, where)
        changes = dict(_table(table.get("protocol", {}), f"{where}: protocol"))
        protocol = changes.pop("name", "in_domain")
        seeds, corpus_seeds = _all_seeds(table.get("seeds", 5), f"{where}: seeds")
        rows = [
            _row(item, f"{where}: systems[{i}]")
            for i, item in enumerate(_list(table.get("systems"), f"{where}: systems"))
        ]
        suite = cls(
            name=name,
            title=_text(table.get("title", name), f"{where}: title"),
            corpora=_texts(table.get("corpora"), f"{where}: corpora"),
            protocol=_text(protocol, f"{where}: protocol.name"),
            protocol_changes=_scalars(changes, f"{where}: protocol"),
            seeds=seeds,
            corpus_seeds=corpus_seeds,
            defaults=_scalars(
                _table(table.get("defaults", {}), f"{where}: defaults"), f"{where}: defaults"
            ),
            entries=tuple(row for row in rows if isinstance(row, Entry)),
            queries=tuple(row for row in rows if isinstance(row, Query)),
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
                hint='give each row its own label = "…"',
            )
        check_keys(self.corpus_seeds, self.corpora, f"{where}: seeds")
        named = [(f"row {entry.label!r}", entry.corpora) for entry in self.entries]
        named += [(f"query {query.kind!r}", query.corpora) for query in self.queries]
        for row, corpora in named:
            stray = set(corpora or ()) - set(self.corpora)
            if stray:
                raise SpecError(
                    f"{where}: {row} names corpora outside the suite: {', '.join(sorted(stray))}"
                )

    def with_seeds(self, seeds: Seeds | None) -> Suite:
        """The suite with another seed count or list on every corpus; None changes nothing."""
        return self if seeds is None else dataclasses.replace(self, seeds=seeds, corpus_seeds={})

    def seeds_on(self, corpus: str) -> Seeds:
        """The seed count or list for a corpus."""
        return self.corpus_seeds.get(corpus, self.seeds)


def refine(protocol: Protocol, changes: Mapping[str, Scalar], where: str) -> Protocol:
    """``protocol`` with some fields replaced, names and types checked.

    Raises:
        SpecError: For a field that does not exist, may not change, or has the wrong type or value.
    """
    allowed = {f.name for f in dataclasses.fields(Protocol)} - {"name", "title", "seeds", "kind"}
    check_keys(changes, allowed, where)
    for name, value in changes.items():
        default = getattr(protocol, name)
        if type(value) is not type(default):
            kind = type(default).__name__
            raise SpecError(f"{where}: {name} should be a {kind}, found {value!r}")
        choices = get_args(get_type_hints(Protocol)[name])
        if choices and value not in choices:
            one_of = ", ".join(map(repr, choices))
            raise SpecError(f"{where}: {name} should be one of {one_of}; found {value!r}")
    return dataclasses.replace(protocol, **changes)  # type: ignore[arg-type]  # checked above


def algorithm_of(label: str) -> str:
    """What a row's label says is tried: all of it but a number after ``#``.

    Example:
        >>> algorithm_of("CORAL #2"), algorithm_of("ERM")
        ('CORAL', 'ERM')
    """
    name, mark, number = label.rpartition(" #")
    return name if mark and number.isdigit() else label


def check_keys(table: Mapping[str, object], allowed: Iterable[str], where: str) -> None:
    """Refuse unknown keys with the nearest known one.

    Raises:
        SpecError: For the first unknown key.
    """
    known = sorted(allowed)
    for key in table:
        if key not in known:
            guess = suggest(key, known, key=True)
            raise SpecError(f"{where}: unknown key {key!r}{guess} (known: {', '.join(known)})")


def _row(item: object, where: str) -> Entry | Query:
    table = _table(item, where)
    return _query(table, where) if "query" in table else _entry(table, where)


def _query(table: Mapping[str, object], where: str) -> Query:
    check_keys(table, {"query", "corpora"}, where)
    kind = _text(table["query"], f"{where}: query")
    if kind not in QUERIES:
        raise SpecError(
            f"{where}: query should be one of {', '.join(QUERIES)}; found {kind!r}"
            f"{suggest(kind, QUERIES, key=True)}"
        )
    return Query(kind=kind, corpora=_corpora(table, where))


def _corpora(table: Mapping[str, object], where: str) -> tuple[str, ...] | None:
    corpora = table.get("corpora")
    return None if corpora is None else _texts(corpora, f"{where}: corpora")


def _entry(table: Mapping[str, object], where: str) -> Entry:
    check_keys(table, {"name", "label", "params", "corpora"}, where)
    name = _text(table.get("name"), f"{where}: name")
    return Entry(
        system=name,
        label=_text(table.get("label", name), f"{where}: label"),
        params=_scalars(_table(table.get("params", {}), f"{where}: params"), f"{where}: params"),
        corpora=_corpora(table, where),
    )


def _table(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise SpecError(f"{where} should be a table, found {value!r}")
    return value


def _list(value: object, where: str) -> list[object]:
    if not isinstance(value, list) or not value:
        raise SpecError(f"{where} should be a non-empty list, found {value!r}")
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SpecError(f"{where} should be text, found {value!r}")
    return value


def _texts(value: object, where: str) -> tuple[str, ...]:
    items = tuple(_text(item, where) for item in _list(value, where))
    if len(set(items)) < len(items):
        raise SpecError(f"{where} names one item twice")
    return items


def _scalars(table: Mapping[str, object], where: str) -> Mapping[str, Scalar]:
    checked: dict[str, Scalar] = {}
    for name, value in table.items():
        if not isinstance(value, Scalar) or (isinstance(value, float) and not math.isfinite(value)):
            raise SpecError(
                f"{where}.{name} should be text, a finite number or a boolean, found {value!r}"
            )
        checked[name] = value
    return checked


def _all_seeds(value: object, where: str) -> tuple[Seeds, Mapping[str, Seeds]]:
    """Seeds of a suite: one choice for all corpora, or a table with a ``default``."""
    if not isinstance(value, Mapping):
        return _seeds(value, where), {}
    chosen = {name: _seeds(item, f"{where}.{name}") for name, item in value.items()}
    return chosen.pop("default", 5), chosen


def _seeds(value: object, where: str) -> Seeds:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    if isinstance(value, list) and value and all(type(item) is int and item >= 0 for item in value):
        if len(set(value)) < len(value):
            raise SpecError(f"{where} names one seed twice")
        return tuple(value)
    raise SpecError(
        f"{where} should be a count or a list of non-negative integers, found {value!r}"
    )
