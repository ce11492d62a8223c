"""From a suite to its cells: corpora opened, hyper-parameters resolved, identities computed.

A plan is data. It is stored beside the runs, so boards know which cells a suite consists of, in
which order, and which are not applicable, without importing a single model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from harness import data
from harness._util.redaction import redacted
from harness._util.schema import located
from harness._util.shown import look_alikes, print_alike
from harness.corruption import obstacle
from harness.data.contents import contents_of
from harness.data.corpus import Corpus
from harness.data.transfer import rules as transfer_rules
from harness.errors import DataError, SpecError
from harness.home import Home
from harness.metrics import metrics
from harness.runs.cell import Job
from harness.runs.checkpoints import CHECKPOINT, pinned
from harness.runs.identity import code_of
from harness.runs.stored_plan import (
    PlannedCell,
    PlannedCorpus,
    PlannedLooks,
    PlannedProtocol,
    PlannedRelease,
    PlannedRow,
    PlannedTuned,
    PlannedTuning,
    StoredPlan,
)
from harness.runs.suite_files import find_suite
from harness.spec import (
    CheckpointFile,
    Entry,
    Protocol,
    ReleasedWeights,
    RunSpec,
    Scalar,
    Suite,
    Tuned,
    refine,
)
from harness.spec.conditions import check_training, grid
from harness.spec.protocols import protocols
from harness.system import Dims, Params, System, TrainingParams, systems
from harness.text import Encoder, find_encoder

__all__ = [
    "Cell",
    "Inventory",
    "Plan",
    "complete",
    "expand_queries",
    "find_suite",
    "make_plan",
    "protocol_of",
]

_OF_TRAINING = {item.name for item in dataclasses.fields(TrainingParams)} | {"knowledge"}
_OF_TRAINING -= {"precision", "compiled"}
"""Hyper-parameters of which nothing depends where released weights are evaluated."""
_TEXTUAL = {"text", "transcript", "tokens"}
_INPUTS = ("encoder", "knowledge")
"""Parameters of any system that name an external input: its place is not identity, its content is.
"""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One place in a suite's grid.

    Args:
        corpus: Corpus name.
        label: The row it belongs to.
        seed: Training seed; 0 for deterministic systems.
        job: What to execute, None where the system does not apply.
        reason: Why it does not apply.
    """

    corpus: str
    label: str
    seed: int
    job: Job | None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A suite resolved against the corpora and systems at hand."""

    suite: Suite
    protocol: Protocol
    seeds: Mapping[str, tuple[int, ...]]
    """Corpus -> the seeds of its rows that depend on one."""
    corpora: tuple[Corpus, ...]
    cells: tuple[Cell, ...]
    until: PlannedLooks | None = None
    """Of a suite that adds seeds until it is decided."""
    tuning: PlannedTuning | None = None
    """Of a plan whose rows are the trials of a search."""

    @cached_property
    def jobs(self) -> dict[str, Job]:
        """Key -> job of every applicable cell, each once, in plan order."""
        return {cell.job.spec.key: cell.job for cell in self.cells if cell.job is not None}

    def record(self) -> StoredPlan:
        """What the store keeps of the plan."""
        return StoredPlan(
            suite=self.suite.name,
            title=self.suite.title,
            protocol=PlannedProtocol.from_protocol(self.protocol),
            seeds=tuple(sorted({seed for seeds in self.seeds.values() for seed in seeds})),
            corpora=tuple(_corpus_record(corpus) for corpus in self.corpora),
            rows=tuple(
                _row_record(systems[entry.system], entry, self.protocol)
                for entry in self.suite.entries
            ),
            cells=tuple(_cell_record(cell) for cell in self.cells),
            until=self.until,
            tuning=self.tuning,
        )


@dataclass(frozen=True)
class Inventory:
    """Where a plan finds what a suite names; what can be made or fetched is made or fetched."""

    home: Home
    _digests: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    def corpus(self, name: str) -> Corpus:
        """The corpus called ``name``.

        Raises:
            DataError: When it is not here.
        """
        return data.load(name, self.home)

    def encoder_digest(self, name: str) -> str:
        """What identifies the text encoder called ``name``, whose files are read once.

        Raises:
            DataError: When it is not here.
        """
        if name not in self._digests:
            self._digests[name] = self._digest(name)
        return self._digests[name]

    def encoder(self, name: str) -> Encoder | None:
        """The text encoder called ``name``; None where it is not here and a plan does without.

        Raises:
            DataError: When it is not here.
        """
        return find_encoder(name, self.home.cache)

    def vocabulary(self, name: str) -> int | None:
        """Token ids of the text encoder called ``name``; None where nobody knows.

        Raises:
            DataError: When it is not here.
        """
        return find_encoder(name, self.home.cache).vocabulary

    def _digest(self, name: str) -> str:
        return find_encoder(name, self.home.cache).digest


def make_plan(
    suite: Suite, home: Home, *, device: str = "cpu", inventory: Inventory | None = None
) -> Plan:
    """Resolve every cell of a suite; twins are generated when they are not stored yet.

    Args:
        suite: What to resolve.
        home: Where corpora and encoders are.
        device: Where its jobs are to run.
        inventory: Another source of corpora and encoders than ``home``.

    Raises:
        SpecError: For an unknown system, protocol, parameter, selection metric or seed list.
        DataError: For a corpus, encoder or checkpoint that is not here, or a checkpoint that does
            not fit.
    """
    protocol = protocol_of(suite)
    grid(protocol.corruption)  # or fail before anything runs
    check_training(protocol.selection_corruption)
    suite = expand_queries(suite)
    inventory = inventory or Inventory(home)
    corpora = tuple(map(inventory.corpus, suite.corpora))
    for corpus in corpora:
        metrics[protocol.selection_metric].on(corpus.dataset)  # or fail before anything runs
    transfer_rules.check_corpora(protocol, corpora)
    for entry in suite.entries:
        with located(_row(suite, entry)):
            systems[entry.system]  # or fail before anything runs
    trained = [entry.label for entry in suite.entries if not systems[entry.system].deterministic]
    transfer_rules.check_settings(protocol, trained)
    suite = _with_references(_with_defaults(_with_checkpoints(suite, home)))
    seeds = {corpus.name: _seeds(suite, corpus.name, protocol) for corpus in corpora}
    maker = _CellMaker(
        suite=suite, protocol=protocol, home=home, device=device, inventory=inventory
    )
    cells = tuple(
        cell
        for corpus in corpora
        for entry in suite.entries
        if entry.corpora is None or corpus.name in entry.corpora
        for cell in maker.cells(corpus, entry, seeds[corpus.name])
    )
    return Plan(suite=suite, protocol=protocol, seeds=seeds, corpora=corpora, cells=cells)


def protocol_of(suite: Suite) -> Protocol:
    """The protocol of a suite, with what it changes.

    Raises:
        SpecError: For an unknown protocol.
    """
    return refine(protocols[suite.protocol], suite.protocol_changes, f"{suite.name}: protocol")


@dataclass(frozen=True, kw_only=True)
class _CellMaker:
    suite: Suite
    protocol: Protocol
    home: Home
    device: str
    inventory: Inventory
    _codes: dict[tuple[str, Scalar, Protocol, bool], str] = field(default_factory=dict)
    """What many cells of a large plan share, asked once."""
    _unfit: dict[tuple[str, str, frozenset[str], str], str | None] = field(default_factory=dict)

    def cells(self, corpus: Corpus, entry: Entry, seeds: tuple[int, ...]) -> Iterator[Cell]:
        system = systems[entry.system]
        with located(_row(self.suite, entry)):
            params = system.resolve(corpus.dataset.name, entry.params)
        reason = self._obstacle(corpus, system, params)
        pinned: Mapping[str, str] = {}
        if system.pins is not None and reason is None:
            try:
                pinned = system.pins(params, corpus, self.home.cache)
            except DataError as error:
                reason = str(error)
        for seed, checkpoint in _outcomes(system, entry, seeds):
            if checkpoint is not None and reason is None:
                self._check_fit(corpus, system, entry, params, checkpoint)
            yield Cell(
                corpus=corpus.name,
                label=entry.label,
                seed=seed,
                job=None if reason else self._job(corpus, system, params, seed, pinned, checkpoint),
                reason=reason,
            )

    def _check_fit(
        self,
        corpus: Corpus,
        system: System,
        entry: Entry,
        params: Params,
        checkpoint: CheckpointFile,
    ) -> None:
        """Refuse weights of other sizes now, and not after hours of the other rows."""
        encoder = self.inventory.encoder(params.encoder) if params.encoder else None
        if params.encoder and encoder is None:
            return
        assert system.released is not None
        where = f"{_row(self.suite, entry)} on {corpus.name}: {Path(checkpoint.file).name}"
        with located(where):
            system.released(Path(checkpoint.file), Dims.of(corpus, encoder), params)

    def _obstacle(self, corpus: Corpus, system: System, params: Params) -> str | None:
        """Why the system cannot or may not run on the corpus under this protocol."""
        if system.supervision == "none" and self.protocol.supervision != "none":
            return "learns from no label; the protocol's rows do"
        reads = system.name, corpus.name, params.reads(system.inputs), params.tokens
        if reads not in self._unfit:
            self._unfit[reads] = system.obstacle(corpus, params)
        unfit = self._unfit[reads] or self._foreign_tokens(corpus, system, params)
        if unfit:
            return unfit
        if params.objective != "erm" and _training_domains(corpus) < 2:
            return "compares training domains; here is one"
        if self.protocol.corruption != "none" and (reason := obstacle(system, params)):
            return reason
        if system.side_info(params):
            side_info, kind = self.protocol.side_info, corpus.manifest.get("side_info")
            if side_info == "none":
                return "reads explanations; the protocol's side_info is none"
            if kind not in (None, side_info):  # a twin's are nobody's
                return f"its explanations are {kind}; the protocol's side_info is {side_info}"
        knowledge = params.knowledge
        if knowledge and knowledge != self.protocol.knowledge_data:
            allowed = self.protocol.knowledge_data
            return f"learns from {knowledge}; the protocol's knowledge_data is {allowed}"
        return self._ignorance(corpus, system, params, knowledge) if knowledge else None

    def _foreign_tokens(self, corpus: Corpus, system: System, params: Params) -> str | None:
        """Why stored tokens that the system reads are not its encoder's."""
        reads = "tokens" in params.reads(system.inputs)
        if not reads or corpus.tokens is None or params.tokens != "corpus":
            return None
        encoder = params.encoder
        highest, known = int(corpus.tokens[:, 0].max()), self.inventory.vocabulary(encoder)
        if known is None or highest < known:
            return None
        return (
            f"its stored tokens go up to id {highest}; encoder {_shown('encoder', encoder)} has"
            f" {known}"
        )

    def _ignorance(
        self, corpus: Corpus, system: System, params: Params, knowledge: str
    ) -> str | None:
        """Why the knowledge corpus cannot teach the system."""
        teacher = self.inventory.corpus(knowledge)
        transfer_rules.check_knowledge(corpus, teacher)
        had = contents_of(teacher)
        empty = [split for split in had.empty_splits if split != "test"]
        if empty:
            return f"{knowledge} has no {' and no '.join(empty)} clips to learn from"
        if system.missing(teacher, params).isdisjoint({"transcript", "tokens"}):
            return None
        texts = "stored tokens" if params.tokens == "corpus" else "transcripts"
        return f"{knowledge} has no {texts} to learn from"

    def _job(
        self,
        corpus: Corpus,
        system: System,
        params: Params,
        seed: int,
        pinned: Mapping[str, str],
        checkpoint: CheckpointFile | None,
    ) -> Job:
        dataset, protocol = corpus.dataset, self._protocol_of(system, params)
        values: dict[str, Scalar] = dataclasses.asdict(params)
        released = checkpoint is not None
        known = system.name, values.get("objective", ""), protocol, released
        if known not in self._codes:
            self._codes[known] = code_of(system.name, values, protocol, released=released)
        roles = (*_INPUTS, *sorted(system.locations))
        names = {role: str(name) for role in roles if (name := values.pop(role, ""))}
        spec = RunSpec(
            corpus=corpus.name,
            data=corpus.fingerprint,
            protocol=protocol,
            system=system.name,
            params=values,
            labels={
                "low": dataset.low,
                "high": dataset.high,
                "family": dataset.family,
                "language": dataset.language,
            },
            artifacts={
                **{role: self._content(role, names[role]) for role in _INPUTS if role in names},
                **pinned,
                **({} if checkpoint is None else {CHECKPOINT: str(checkpoint.sha256)}),
            },
            seed=seed,
            code=self._codes[known],
        )
        return Job(
            spec=spec,
            home=self.home,
            names=names,
            device=self.device,
            weights=self.suite.weights,
            checkpoint=None if checkpoint is None else Path(checkpoint.file),
        )

    def _protocol_of(self, system: System, params: Params) -> Protocol:
        """The suite's protocol, claiming what the row really takes and no other help.

        So a system without explanations is the same run in a suite that allows them.
        """
        knows = system.side_info(params)
        return dataclasses.replace(
            self.protocol,
            side_info=self.protocol.side_info if knows else "none",
            knowledge_data=params.knowledge or "none",
            training_corruption=params.training_corruption,
            supervision=system.supervision,
            settings=1,  # how many were tried, and from where, changes no single run
            search_space="none",
            kind="in_domain" if self._is_trained_beside(system) else self.protocol.kind,
        )

    def _is_trained_beside(self, system: System) -> bool:
        """Whether it is a trained row of a zero-shot suite: the same run as in any other suite."""
        return self.protocol.kind == "zero_shot" and system.supervision == "train"

    def _content(self, role: str, name: str) -> str:
        """Digest of an external input."""
        if role == "encoder":
            return self.inventory.encoder_digest(name)
        return self.inventory.corpus(name).fingerprint


def _row(suite: Suite, entry: Entry) -> str:
    """What messages call a row."""
    return f"{suite.where or f'suite {suite.name}'}: row {entry.label!r}"


def _outcomes(
    system: System, entry: Entry, seeds: tuple[int, ...]
) -> Iterator[tuple[int, CheckpointFile | None]]:
    """What a row is run with: seeds, or the checkpoints that it consists of."""
    if entry.released is not None:
        yield from zip(entry.released.numbered, entry.released.files, strict=True)
        return
    for seed in (0,) if system.deterministic else seeds:
        yield seed, None


def _training_domains(corpus: Corpus) -> int:
    train = corpus.split("train").clips
    return int(train["domain"].nunique()) if "domain" in train else 1


def complete(suite: Suite) -> Suite:
    """The suite with every row written out, its defaults in the rows whose systems have them.

    Raises:
        SpecError: For an unknown system, or a default that no row has.
    """
    suite = expand_queries(suite)
    for entry in suite.entries:
        with located(_row(suite, entry)):
            systems[entry.system]  # or fail before anything runs
    return dataclasses.replace(_with_defaults(suite), defaults={})


def expand_queries(suite: Suite) -> Suite:
    """The suite with the rows that its queries find written out, in the order of the registry."""
    entries = list(suite.entries)
    for query in suite.queries:
        named = {entry.system for entry in entries}
        entries += [
            Entry(system=name, label=name, corpora=query.corpora)
            for name, system in systems.items()
            if name not in named and _QUERIES[query.kind](system)
        ]
    labels = [entry.label for entry in entries]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise SpecError(f"suite {suite.name}: a query finds {twice[0]!r}, the label of another row")
    if alike := print_alike(labels):
        raise SpecError(f"suite {suite.name}: the labels {look_alikes(*alike)} print alike")
    return dataclasses.replace(suite, entries=tuple(entries), queries=())


_QUERIES: Mapping[str, Callable[[System], bool]] = {
    "trained": lambda system: system.supervision == "train" and not system.reference,
}
"""``harness.spec.suite.QUERIES`` as conditions on a system."""


def _with_defaults(suite: Suite) -> Suite:
    """The suite's defaults written into the rows whose systems have such hyper-parameters."""
    entries, used = [], set[str]()
    for entry in suite.entries:
        names = {item.name for item in dataclasses.fields(systems[entry.system].params)}
        if entry.released is not None:
            names -= _OF_TRAINING
        own = {name: value for name, value in suite.defaults.items() if name in names}
        used |= set(own)
        entries.append(dataclasses.replace(entry, params={**own, **entry.params}))
    unused = sorted(set(suite.defaults) - used)
    if unused:
        raise SpecError(
            f"suite {suite.name}: no row's system has the default {unused[0]!r}",
            hint="msa card SYSTEM shows its hyper-parameters",
        )
    return dataclasses.replace(suite, entries=tuple(entries))


def _with_checkpoints(suite: Suite, home: Home) -> Suite:
    """The suite with released weights found and pinned."""
    entries = []
    for entry in suite.entries:
        if entry.released is not None:
            with located(_row(suite, entry)):
                _check_released(systems[entry.system], entry)
                entry = dataclasses.replace(entry, released=pinned(entry.released, suite, home))
        entries.append(entry)
    return dataclasses.replace(suite, entries=tuple(entries))


def _check_released(system: System, entry: Entry) -> None:
    """Refuse released weights of what has no layout for them, and wishes about their training."""
    if system.released is None:
        able = ", ".join(name for name, other in systems.items() if other.released is not None)
        raise SpecError(
            f"system {system.name} has no released layout; those that have: {able}",
            hint="leave checkpoint out to train it",
        )
    asked = sorted(_OF_TRAINING & entry.params.keys())
    if asked:
        raise SpecError(f"{asked[0]} is about training, and released weights are not trained here")


def _with_references(suite: Suite) -> Suite:
    """Constant predictors lead every board: no number can be read without them."""
    listed = {entry.system for entry in suite.entries}
    labels = {entry.label for entry in suite.entries}
    added = [
        Entry(system=name, label=name)
        for name, system in systems.items()
        if system.reference and name not in listed
    ]
    taken = sorted(labels & {entry.label for entry in added})
    if taken:
        raise SpecError(f"suite {suite.name}: {taken[0]!r} is the label of a reference row")
    return dataclasses.replace(suite, entries=(*added, *suite.entries))


def _seeds(suite: Suite, corpus: str, protocol: Protocol) -> tuple[int, ...]:
    wanted = suite.seeds_on(corpus)
    if isinstance(wanted, tuple):
        return wanted
    if wanted > len(protocol.seeds):
        raise SpecError(
            f"suite {suite.name} asks for {wanted} seeds; protocol {protocol.name} lists"
            f" {len(protocol.seeds)}",
            hint="give the seeds as a list",
        )
    return protocol.seeds[:wanted]


def _corpus_record(corpus: Corpus) -> PlannedCorpus:
    dataset = corpus.dataset
    ceilings: Any = corpus.manifest.get("ceilings")
    return PlannedCorpus(
        name=corpus.name,
        data=corpus.fingerprint,
        dataset=dataset.name,
        title=dataset.title,
        feature_set=corpus.feature_set,
        twin=corpus.is_twin,
        clips={name: len(corpus.split(name)) for name in dataset.splits},
        videos={name: int(s.clips["video"].nunique()) for name, s in corpus.splits.items()},
        streams={name: (s.frames, s.dim) for name, s in corpus.streams.items()},
        ceilings=ceilings,
        manifest=corpus.manifest,
    )


def _row_record(system: System, entry: Entry, protocol: Protocol) -> PlannedRow:
    params = system.params(**entry.params)
    reads = params.reads(system.inputs)
    return PlannedRow(
        label=entry.label,
        system=system.name,
        changed={
            name: _shown(name, value)
            for name, value in entry.params.items()
            if name not in system.locations
        },
        title=system.card.title,
        paper=system.card.paper,
        text=system.card.text if reads & _TEXTUAL else "none",
        inputs=tuple(sorted(reads)),
        side_info=protocol.side_info if system.side_info(params) else "none",
        knowledge=params.knowledge or "none",
        training_corruption=params.training_corruption,
        supervision=system.supervision,
        deterministic=system.deterministic,
        reference=system.reference,
        deviations=system.card.deviations,
        declares=system.card.declares,
        released=None if entry.released is None else _release_record(entry.released),
        tuned=None if entry.tuned is None else _tuned_record(entry.tuned, protocol),
    )


def _release_record(released: ReleasedWeights) -> PlannedRelease:
    return PlannedRelease(
        files=tuple(Path(item.file).name for item in released.files),
        sha256=tuple(str(item.sha256) for item in released.files),
        seeds=released.seeds,
        selection=released.selection,
    )


def _tuned_record(tuned: Tuned, protocol: Protocol) -> PlannedTuned:
    """What a plan keeps of a search: its budget and space are part of the row's protocol."""
    own = dataclasses.replace(protocol, settings=tuned.trials, search_space=tuned.space)
    return PlannedTuned(**dataclasses.asdict(tuned), protocol=own.digest)


def _shown(name: str, value: Scalar) -> Scalar:
    """A changed parameter as a record may show it: an encoder folder by its name alone."""
    is_path = name == "encoder" and Path(str(value)).is_dir()
    return Path(str(value)).resolve().name if is_path else value


def _cell_record(cell: Cell) -> PlannedCell:
    return PlannedCell(
        corpus=cell.corpus,
        label=cell.label,
        seed=cell.seed,
        key=None if cell.job is None else cell.job.spec.key,
        reason=None if cell.reason is None else redacted(cell.reason),
    )
