"""From a suite to its cells: corpora opened, hyper-parameters resolved, identities computed.

A plan is data. It is stored beside the runs, so boards know which cells a suite consists of, in
which order, and which are not applicable, without importing a single model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from harness._util.redaction import redacted
from harness._util.registry import suggest
from harness._util.schema import located
from harness._util.shown import look_alikes, print_alike
from harness.corruption import obstacle
from harness.data.contents import contents_of
from harness.data.corpus import Corpus
from harness.data.slicing import slices_of, slicings
from harness.data.transfer import rules as transfer_rules
from harness.data.trials import is_trial
from harness.errors import DataError, NotHere, SpecError, Unreachable
from harness.home import Home
from harness.metrics import metrics
from harness.runs.cell import Job
from harness.runs.checkpoints import CHECKPOINT, pinned
from harness.runs.identity import code_of
from harness.runs.inventory import Inventory, Lack
from harness.runs.selection import Selection
from harness.runs.stored_plan import (
    PlannedCell,
    PlannedCorpus,
    PlannedLooks,
    PlannedProtocol,
    PlannedRelease,
    PlannedRow,
    PlannedSlicing,
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
    SelectionRule,
    Suite,
    Tuned,
    refine,
)
from harness.spec.conditions import check_selection, grid
from harness.spec.protocols import protocols
from harness.spec.selection import described
from harness.system import ClueParams, Dims, Params, System, TrainingParams, systems

__all__ = [
    "Cell",
    "Plan",
    "absent_corpus",
    "complete",
    "expand_queries",
    "find_suite",
    "make_plan",
    "parameters_of",
    "protocol_of",
    "survey",
    "unknown_system",
    "with_known_systems",
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
        job: What to execute, None where the system does not apply or something is not here.
        reason: Why there is no job.
        lack: What is not here; None for a system that does not apply.
        schedule: Epochs that its longest stage is made for, where the suite allows fewer.
    """

    corpus: str
    label: str
    seed: int
    job: Job | None
    reason: str | None = None
    lack: Lack | None = None
    schedule: int | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A suite resolved against the corpora and systems at hand; what is not here leaves holes."""

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
    unknown: tuple[Entry, ...] = ()
    """Rows of systems that nothing installed here defines; they are not in ``suite``."""

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
            corpora=tuple(_corpus_record(corpus, self.suite.slices) for corpus in self.corpora),
            rows=tuple(
                _row_record(systems[entry.system], entry, self.protocol)
                for entry in self.suite.entries
            ),
            cells=tuple(_cell_record(cell, self.protocol) for cell in self.cells),
            until=self.until,
            tuning=self.tuning,
            slices=self.suite.slices or None,
        )


def make_plan(
    suite: Suite,
    home: Home,
    *,
    device: str = "cpu",
    inventory: Inventory | None = None,
    only: Sequence[str] = (),
) -> Plan:
    """Resolve every cell of a suite; twins are generated when they are not stored yet.

    What is not here leaves holes: a corpus, an encoder, a system of a plug-in. For rows that are
    not asked for nothing is generated or fetched.

    Args:
        suite: What to resolve.
        home: Where corpora and encoders are.
        device: Where its jobs are to run.
        inventory: Another source of corpora and encoders than ``home``.
        only: Patterns on rows, systems or corpora that are asked for, as ``Selection`` reads them;
            none means all.

    Raises:
        SpecError: For an unknown system whose name is near a known one, an unknown protocol,
            parameter, selection metric or seed list, or a pattern that matches nothing.
        NotHere: When nothing that is asked for can run with what is here.
        DataError: For a corpus or encoder that is damaged.
    """
    plan = survey(suite, home, device=device, inventory=inventory, only=only)
    _need_something(plan, only)
    return plan


def survey(
    suite: Suite,
    home: Home,
    *,
    device: str = "cpu",
    inventory: Inventory | None = None,
    only: Sequence[str] = (),
) -> Plan:
    """As ``make_plan``, also where nothing but holes is asked for.

    Raises:
        SpecError: As ``make_plan``.
        DataError: As ``make_plan``; not for what is not here.
    """
    protocol = protocol_of(suite)
    grid(protocol.corruption)  # or fail before anything runs
    check_selection(protocol.selection_corruption)
    _check_slices(suite)
    suite, unknown = with_known_systems(expand_queries(suite))
    trained = [entry.label for entry in suite.entries if not systems[entry.system].deterministic]
    transfer_rules.check_settings(protocol, trained)
    suite, unusable = _with_checkpoints(suite, home)
    suite = _with_references(_with_defaults(suite, absent=unknown))
    selection = Selection.of(only, (*suite.entries, *unknown), suite.corpora)
    inventory = inventory or Inventory(home)
    found = dict(_opened(suite, unknown, selection, inventory))
    corpora = tuple(corpus for corpus in found.values() if not isinstance(corpus, Lack))
    for opened in corpora:
        metrics[protocol.selection_metric].on(opened.dataset)  # or fail before anything runs
    _check_trials(suite, found)
    transfer_rules.check_corpora(protocol, corpora)
    asked = _CellMaker(
        suite=suite,
        protocol=protocol,
        home=home,
        device=device,
        inventory=inventory,
        unusable=unusable,
    )
    unasked = dataclasses.replace(asked, inventory=inventory.unasked)
    seeds = {name: _seeds(suite, name, protocol) for name in suite.corpora}
    cells: list[Cell] = []
    for name, corpus in found.items():
        for entry in _on(suite.entries, name):
            maker = asked if selection.holds(name, entry) else unasked
            cells += maker.cells(name, corpus, entry, seeds[name])
        for entry in _on(unknown, name):
            lack = corpus if isinstance(corpus, Lack) else unknown_system(entry)
            cells += [_hole(name, entry, seed, lack) for seed in seeds[name]]
    return Plan(
        suite=suite,
        protocol=protocol,
        seeds={corpus.name: seeds[corpus.name] for corpus in corpora},
        corpora=corpora,
        cells=tuple(cells),
        unknown=unknown,
    )


def _check_trials(suite: Suite, found: Mapping[str, Corpus | Lack]) -> None:
    """A trial, a few clips of each split, is on no board of whole corpora.

    Raises:
        SpecError: For a suite of both.
    """
    cut = [
        name
        for name in suite.corpora
        if is_trial(name) or (isinstance(one := found[name], Corpus) and "trial" in one.manifest)
    ]
    if cut and len(cut) < len(suite.corpora):
        raise SpecError(
            f"{suite.where or f'suite {suite.name}'}: {cut[0]} is a trial, and others are whole",
            hint="keep trials in a suite of their own: msa run SUITE --limit N makes one",
        )


def _check_slices(suite: Suite) -> None:
    """Refuse a slicing that nothing here defines, before anything runs."""
    with located(f"{suite.where or f'suite {suite.name}'}: slices"):
        for name in suite.slices:
            slicings[name]


def _on(entries: Iterable[Entry], corpus: str) -> Iterator[Entry]:
    """The rows that run on a corpus."""
    return (entry for entry in entries if entry.corpora is None or corpus in entry.corpora)


def with_known_systems(suite: Suite) -> tuple[Suite, tuple[Entry, ...]]:
    """The suite without the rows of systems that are not here, and those rows.

    Raises:
        SpecError: For a name that is nearly that of a known system.
    """
    unknown = tuple(entry for entry in suite.entries if entry.system not in systems)
    for entry in unknown:
        if suggest(entry.system, systems) and systems.broken(entry.system) is None:
            with located(_row(suite, entry)):
                systems[entry.system]
    known = tuple(entry for entry in suite.entries if entry not in unknown)
    return dataclasses.replace(suite, entries=known), unknown


def unknown_system(entry: Entry) -> Lack:
    """Why a row's system is not here."""
    broken = systems.broken(entry.system)
    if broken is not None:
        return Lack(
            kind="system",
            name=entry.system,
            reason=f"system {entry.system!r} cannot be loaded: {broken}",
            hint=broken.remedy,
        )
    return Lack(
        kind="system",
        name=entry.system,
        reason=f"nothing installed here defines system {entry.system!r}",
        hint=f"install the package that brings system {entry.system!r}; msa list systems",
    )


def _opened(
    suite: Suite, unknown: Sequence[Entry], selection: Selection, inventory: Inventory
) -> Iterator[tuple[str, Corpus | Lack]]:
    """Every corpus of a suite, or why it is not here; none is made that is not asked for."""
    for name in suite.corpora:
        rows = _on((*suite.entries, *unknown), name)
        asked = any(selection.holds(name, entry) for entry in rows)
        try:
            yield name, (inventory if asked else inventory.unasked).corpus(name)
        except DataError as error:
            if asked and not isinstance(error, NotHere):
                raise
            yield name, _lack("corpus", name, error, asked=asked)


def absent_corpus(name: str, error: NotHere) -> Lack:
    """What is said of a corpus that is not here."""
    return _lack("corpus", name, error)


def _lack(
    kind: Literal["corpus", "encoder", "input", "checkpoint"],
    name: str,
    error: DataError,
    *,
    asked: bool = True,
) -> Lack:
    return Lack(
        kind=kind,
        name=name,
        reason=str(error),
        hint=error.hint or "",
        asked=asked,
        failed=isinstance(error, Unreachable),
    )


def _hole(corpus: str, entry: Entry, seed: int, lack: Lack) -> Cell:
    return Cell(
        corpus=corpus, label=entry.label, seed=seed, job=None, reason=lack.reason, lack=lack
    )


def _need_something(plan: Plan, only: Sequence[str]) -> None:
    """Refuse a plan that has nothing but holes where it is asked to run.

    Raises:
        NotHere: Naming the first thing that is not here, and how many more.
        Unreachable: Likewise, where the first is one that does not answer.
    """
    rows = {entry.label: entry for entry in (*plan.suite.entries, *plan.unknown)}
    selection = Selection.of(only, rows.values(), plan.suite.corpora)
    asked = [cell for cell in plan.cells if selection.holds(cell.corpus, rows[cell.label])]
    lacks = list(dict.fromkeys(cell.lack for cell in asked if cell.lack is not None))
    if not lacks or any(cell.lack is None for cell in asked):
        return
    first, *others = lacks
    row = next(cell.label for cell in asked if cell.lack == first)
    where = "" if first.kind == "corpus" else f"{_row(plan.suite, rows[row])}: "
    hint = f"msa doctor {plan.suite.name} lists all, with the command for each"
    kind = Unreachable if first.failed else NotHere
    if not others:
        raise kind(f"{where}{first.reason}", hint=first.hint or hint)
    things, are = ("thing", "is") if len(others) == 1 else ("things", "are")
    more = f"{len(others)} more {things} of suite {plan.suite.name} {are} not here"
    raise kind(f"{where}{first.reason}; {more}", hint=hint)


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
    unusable: Mapping[tuple[str, str], DataError]
    """(row, released checkpoint) -> why it is not there, or cannot be read."""
    _codes: dict[tuple[str, Scalar, Protocol, bool], str] = field(default_factory=dict)
    """What many cells of a large plan share, asked once."""
    _unfit: dict[tuple[str, str, frozenset[str], str], str | None] = field(default_factory=dict)

    def cells(
        self, name: str, corpus: Corpus | Lack, entry: Entry, seeds: tuple[int, ...]
    ) -> Iterator[Cell]:
        """The cells of a row on the corpus called ``name``."""
        system = systems[entry.system]
        if isinstance(corpus, Lack):
            for seed, _ in _outcomes(system, entry, seeds):
                yield _hole(name, entry, seed, corpus)
            return
        with located(_row(self.suite, entry)):
            params = system.resolve(corpus.dataset.name, entry.params)
        reason, lack = self._hindrance(corpus, system, params)
        if entry.released is None:
            reason = reason or self._unselected(corpus, system)
        pinned: Mapping[str, str] = {}
        if system.pins is not None and reason is None:
            try:
                pinned = system.pins(params, corpus, self.home.cache)
            except DataError as error:
                reason = str(error)
                lack = _lack("input", error.what, error) if isinstance(error, NotHere) else None
            except SpecError as error:
                where = _row(self.suite, entry)
                raise SpecError(f"{where}: {error}", hint=error.hint) from None
        for seed, checkpoint in _outcomes(system, entry, seeds):
            if checkpoint is not None and reason is None:
                wrong = self._misfit(corpus, system, entry, params, checkpoint)
                if wrong is not None:
                    yield _hole(name, entry, seed, wrong)
                    continue
            yield Cell(
                corpus=name,
                label=entry.label,
                seed=seed,
                job=None
                if reason
                else self._job(corpus, system, entry, params, seed, pinned, checkpoint),
                reason=reason,
                lack=lack,
                schedule=self._cut(params) if checkpoint is None and reason is None else None,
            )

    def _cut(self, params: Params) -> int | None:
        """Epochs that its schedule is made for; None where it may train them all."""
        own = _longest_schedule(params)
        return own if own > self._cap(params) else None

    def _hindrance(
        self, corpus: Corpus, system: System, params: Params
    ) -> tuple[str | None, Lack | None]:
        """Why a row cannot run on the corpus, and what of it is not here."""
        try:
            reason = self._obstacle(corpus, system, params)
        except NotHere as error:
            lack = self._lack(params)
            if lack is None:
                raise
            return str(error), lack
        lack = None if reason else self._lack(params)
        return (reason, None) if lack is None else (lack.reason, lack)

    def _lack(self, params: Params) -> Lack | None:
        """The first thing that the parameters of a row name and that is not here."""
        for role in _INPUTS:
            name = str(getattr(params, role, ""))
            if not name:
                continue
            try:
                self._content(role, name)
            except NotHere as error:
                kind: Literal["corpus", "encoder"] = "encoder" if role == "encoder" else "corpus"
                shown = str(_shown(role, name))
                return _lack(kind, shown, NotHere(str(error).replace(name, shown), hint=error.hint))
        return None

    def _misfit(
        self,
        corpus: Corpus,
        system: System,
        entry: Entry,
        params: Params,
        checkpoint: CheckpointFile,
    ) -> Lack | None:
        """What is wrong with released weights, known now and not after hours of the other rows.

        It is the outcome of their own cells: the others run.
        """
        error = self.unusable.get((entry.label, checkpoint.file))
        if error is None:
            encoder = self.inventory.encoder(params.encoder) if params.encoder else None
            if params.encoder and encoder is None:
                return None
            assert system.released is not None
            try:
                system.released(Path(checkpoint.file), Dims.of(corpus, encoder), params)
            except DataError as found:
                error = found
        return None if error is None else _lack("checkpoint", Path(checkpoint.file).name, error)

    def _obstacle(self, corpus: Corpus, system: System, params: Params) -> str | None:
        """Why the system cannot or may not run on the corpus under this protocol."""
        if system.supervision == "none" and self.protocol.supervision != "none":
            return "learns from no label; the protocol's rows do"
        reads = system.name, corpus.name, params.reads(system.inputs), params.tokens
        if reads not in self._unfit:
            self._unfit[reads] = _obstacle(system, corpus, params)
        unfit = self._unfit[reads] or self._foreign_tokens(corpus, system, params)
        if unfit:
            return unfit
        if params.objective != "erm" and _training_domains(corpus) < 2:
            return "compares training domains; here is one"
        if reason := self._uncorrupted(system, params):
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

    def _unselected(self, corpus: Corpus, system: System) -> str | None:
        """Why nobody knows how released code would choose its epoch, where the protocol asks."""
        if self.protocol.selection == "protocol" or system.reference:
            return None
        found, dataset = system.card.selection, corpus.dataset
        if found is None:
            why = system.card.unselected or "it has no released code that chooses an epoch"
            return f"no released rule of selection: {why}"
        rules = found.on(dataset.name)
        watched = [metrics[r.monitor] for r in rules if r.monitor in metrics]
        if not rules or not all(metric.defined_on(dataset) for metric in watched):
            return f"its released code does not say how to choose an epoch on {dataset.title}"
        return None

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
        entry: Entry,
        params: Params,
        seed: int,
        pinned: Mapping[str, str],
        checkpoint: CheckpointFile | None,
    ) -> Job:
        dataset, trained = corpus.dataset, checkpoint is None
        protocol = self._protocol_of(corpus, system, params, trained=trained)
        values = _told(params)
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
            label=entry.label,
        )

    def _protocol_of(
        self, corpus: Corpus, system: System, params: Params, *, trained: bool
    ) -> Protocol:
        """The suite's protocol, claiming what the row really takes and no other help.

        So a system without explanations is the same run in a suite that allows them.
        """
        knows, rules = system.side_info(params), self._rules(corpus, system) if trained else ()
        return dataclasses.replace(
            self.protocol,
            max_epochs=self._cap(params) if trained else self.protocol.max_epochs,
            selection="released" if rules else "protocol",
            rules=rules,
            side_info=self.protocol.side_info if knows else "none",
            knowledge_data=params.knowledge or "none",
            training_corruption=params.training_corruption,
            supervision=system.supervision,
            settings=1,  # how many were tried, and from where, changes no single run
            search_space="none",
            kind="in_domain" if self._is_trained_beside(system) else self.protocol.kind,
        )

    def _cap(self, params: Params) -> int:
        """Epochs of a run: the protocol's, or its schedule's where that takes more.

        A suite that sets ``max_epochs`` means it.
        """
        protocol, own = self.protocol.max_epochs, _longest_schedule(params)
        return protocol if self._caps else max(protocol, own)

    def _uncorrupted(self, system: System, params: Params) -> str | None:
        """Why what the protocol does to clips would not reach the system."""
        if self.protocol.corruption != "none" and (reason := obstacle(system, params)):
            return reason
        corrupts = {self.protocol.corruption, self.protocol.selection_corruption} != {"none"}
        if corrupts and _is_served(system):
            return "asks a server about clips; conditions change features, not what it is shown"
        return None

    @property
    def _caps(self) -> bool:
        return "max_epochs" in self.suite.protocol_changes

    def _rules(self, corpus: Corpus, system: System) -> tuple[SelectionRule, ...]:
        """The released rules that choose its epochs; none where the protocol does."""
        found = system.card.selection
        if self.protocol.selection == "protocol" or found is None:
            return ()
        return found.on(corpus.dataset.name)

    def _is_trained_beside(self, system: System) -> bool:
        """Whether it is a trained row of a zero-shot suite: the same run as in any other suite."""
        return self.protocol.kind == "zero_shot" and system.supervision == "train"

    def _content(self, role: str, name: str) -> str:
        """Digest of an external input."""
        if role == "encoder":
            return self.inventory.encoder_digest(name)
        return self.inventory.corpus(name).fingerprint


def _obstacle(system: System, corpus: Corpus, params: Params) -> str | None:
    """Why a system does not apply, and the setting without which it would."""
    unfit = system.obstacle(corpus, params)
    if unfit is None or not isinstance(params, ClueParams):
        return unfit
    without: Any = {"explanations": "none", "tokens": "transcript"}
    if system.obstacle(corpus, dataclasses.replace(params, **without)) is not None:
        return unfit
    setting = ", ".join(f'{name} = "{value}"' for name, value in without.items())
    return f"{unfit}; params = {{ {setting} }} runs it without"


def _told(params: Params) -> dict[str, Scalar]:
    """Every hyper-parameter by name, defaults included.

    One that came ``later`` than runs of its system is told where it is not its default, which is
    what these runs had; so they keep their keys.
    """
    values = {item: getattr(params, item.name) for item in dataclasses.fields(params)}
    return {
        item.name: value
        for item, value in values.items()
        if not (item.metadata.get("later") and value == item.default)
    }


def _longest_schedule(params: Params) -> int:
    return params.longest_schedule if isinstance(params, TrainingParams) else 0


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


def complete(suite: Suite, *, absent: Sequence[Entry] = ()) -> Suite:
    """The suite with every row written out, its defaults in the rows whose systems have them.

    Args:
        suite: The suite.
        absent: Rows that were taken from it, for their systems are not here.

    Raises:
        SpecError: For an unknown system, or a default that no row has.
    """
    suite = expand_queries(suite)
    for entry in suite.entries:
        with located(_row(suite, entry)):
            systems[entry.system]  # or fail before anything runs
    return dataclasses.replace(_with_defaults(suite, absent=absent), defaults={})


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
    "trained": lambda system: (
        system.supervision == "train" and not system.reference and not _is_served(system)
    ),
}
"""``harness.spec.suite.QUERIES`` as conditions on a system."""


def _is_served(system: System) -> bool:
    """Whether a server computes it, which a suite must name."""
    return "server" in system.locations


def _with_defaults(suite: Suite, *, absent: Sequence[Entry] = ()) -> Suite:
    """The suite's defaults written into the rows whose systems have such hyper-parameters."""
    entries, used = [], set[str]()
    for entry in suite.entries:
        names = parameters_of(entry)
        own = {name: value for name, value in suite.defaults.items() if name in names}
        used |= set(own)
        entries.append(dataclasses.replace(entry, params={**own, **entry.params}))
    unused = sorted(set(suite.defaults) - used)
    if unused and not absent:  # an absent system may have it
        raise SpecError(
            f"suite {suite.name}: no row's system has the default {unused[0]!r}",
            hint="msa card SYSTEM shows its hyper-parameters",
        )
    return dataclasses.replace(suite, entries=tuple(entries))


def parameters_of(entry: Entry) -> frozenset[str]:
    """Names of the hyper-parameters that a row may change.

    Raises:
        SpecError: For an unknown system.
    """
    names = {item.name for item in dataclasses.fields(systems[entry.system].params)}
    return frozenset(names - _OF_TRAINING if entry.released is not None else names)


def _with_checkpoints(suite: Suite, home: Home) -> tuple[Suite, dict[tuple[str, str], DataError]]:
    """The suite with released weights found and pinned; (row, file) of others, and why."""
    entries, unusable = [], {}
    for entry in suite.entries:
        if entry.released is not None:
            with located(_row(suite, entry)):
                _check_released(systems[entry.system], entry)
            released, wrong = pinned(entry.released, suite, home)
            unusable.update({(entry.label, file): error for file, error in wrong.items()})
            entry = dataclasses.replace(entry, released=released)
        entries.append(entry)
    return dataclasses.replace(suite, entries=tuple(entries)), unusable


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


def _corpus_record(corpus: Corpus, slices: Sequence[str] = ()) -> PlannedCorpus:
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
        slices=tuple(_slicings(corpus, slices)) if slices else None,
    )


def _slicings(corpus: Corpus, names: Sequence[str]) -> Iterator[PlannedSlicing]:
    """Those of the slicings that tell its test clips apart."""
    every, ids = slices_of(corpus, "test"), corpus.split("test").ids
    for name in names:
        parts = [one for one in every if one.slicing == name]
        of_clip = {clip: str(place) for place, one in enumerate(parts) for clip in one.ids}
        if parts:
            yield PlannedSlicing(
                name=name,
                title=slicings[name].title,
                definition=slicings[name].definition,
                parts=tuple(one.part for one in parts),
                place=" ".join(of_clip.get(clip, "-") for clip in ids),
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
        sha256=tuple(item.sha256 or "" for item in released.files),
        seeds=released.seeds,
        selection=released.selection,
    )


def _tuned_record(tuned: Tuned, protocol: Protocol) -> PlannedTuned:
    """What a plan keeps of a search: its budget and space are part of the row's protocol."""
    own = dataclasses.replace(protocol, settings=tuned.trials, search_space=tuned.space)
    return PlannedTuned(**dataclasses.asdict(tuned), protocol=own.digest)


def _shown(name: str, value: Scalar) -> Scalar:
    """A changed parameter as a record may show it: an encoder folder by its name alone."""
    if name != "encoder" or not _is_path(str(value)):
        return value
    return Path(str(value)).expanduser().resolve().name


def _is_path(encoder: str) -> bool:
    """Whether an encoder is named by its folder, which may be gone."""
    return encoder.startswith(("/", "~", ".")) or Path(encoder).is_dir()


def _cell_record(cell: Cell, protocol: Protocol) -> PlannedCell:
    own = protocol if cell.job is None else cell.job.spec.protocol
    return PlannedCell(
        corpus=cell.corpus,
        label=cell.label,
        seed=cell.seed,
        key=None if cell.job is None else cell.job.spec.key,
        reason=None if cell.reason is None else redacted(cell.reason),
        lacks=None if cell.lack is None else cell.lack.title,
        max_epochs=None if own.max_epochs == protocol.max_epochs else own.max_epochs,
        schedule=cell.schedule,
        selection=described(own.rules) if own.rules else None,
    )
