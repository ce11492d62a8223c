"""What is kept of a planned suite, as one typed record: ``plans/<suite>.json``.

``plan`` makes it, the store writes and reads it; boards know from it which cells a suite consists
of, in which order, and which do not apply, without importing a single model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from harness._util.canonical import Json
from harness._util.records import Record
from harness.errors import StoreError
from harness.spec import NOT_STATED, Protocol, Scalar

__all__ = [
    "PlannedCell",
    "PlannedCorpus",
    "PlannedLooks",
    "PlannedProtocol",
    "PlannedRelease",
    "PlannedRow",
    "PlannedRung",
    "PlannedSearch",
    "PlannedSlicing",
    "PlannedTuned",
    "PlannedTuning",
    "StoredPlan",
    "longer_than_allowed",
]


def longer_than_allowed(schedule: int) -> str:
    """What is said of a row whose schedule a suite cuts."""
    return f"its schedule is made for {schedule} epochs, more than the suite allows"


@dataclass(frozen=True, kw_only=True)
class PlannedProtocol(Record):
    """The protocol of a suite; the other fields that change results are in ``more``.

    Args:
        name: Registered name.
        title: For display.
        digest: Equal digests may share a table.
        kind: What the protocol asks.
        selection_metric: Chooses the epoch.
        corruption: The grid of conditions that test clips are seen under, or ``none``.
    """

    name: str
    title: str
    digest: str
    kind: str = "in_domain"
    selection_metric: str
    corruption: str = "none"

    @classmethod
    def from_protocol(cls, protocol: Protocol) -> PlannedProtocol:
        """What a plan keeps of a protocol."""
        table = {"name": protocol.name, "title": protocol.title, "digest": protocol.digest}
        return cls.of({**table, **protocol.identity}, f"protocol {protocol.name}")


@dataclass(frozen=True, kw_only=True)
class PlannedSlicing(Record):
    """Declared parts of the test clips of a corpus, as labels and metadata told them when planned.

    Args:
        name: Registered name.
        title: Heading.
        definition: What decides.
        parts: What they are called, in order.
        place: Of each test clip, in the order of the stored labels, the place of its part among
            ``parts``, or ``-`` for a clip that is in none; blanks between them.
    """

    name: str
    title: str
    definition: str
    parts: tuple[str, ...]
    place: str

    def places(self) -> tuple[int | None, ...]:
        """The part of each test clip; None for a clip that is in none.

        Raises:
            StoreError: For places that are none.

        Example:
            >>> names = {"name": "x", "title": "X", "definition": "x", "parts": ("a", "b")}
            >>> PlannedSlicing(**names, place="0 - 1").places()
            (0, None, 1)
        """
        known = {"-": None} | {str(at): at for at in range(len(self.parts))}
        try:
            return tuple(known[place] for place in self.place.split(" "))
        except KeyError as error:
            raise StoreError(
                f"slicing {self.name} of a plan has no part {error}", hint=StoredPlan.hint
            ) from error


@dataclass(frozen=True, kw_only=True)
class PlannedCorpus(Record):
    """A corpus of a suite, as it was when planned.

    Args:
        name: ``dataset@feature-set``.
        data: Its content fingerprint.
        dataset: Registered name.
        title: The dataset's.
        feature_set: The part of the name behind ``@``.
        twin: Whether it is synthetic.
        clips: Split -> its clips.
        videos: Split -> its source videos.
        streams: Stream -> its frames and dimensions.
        ceilings: Split -> what a best predictor reaches there, of a twin; None of real data.
        manifest: What its conversion noted.
        slices: Of a suite that asks for them, the slicings that tell its test clips apart; None
            for all others.
    """

    name: str
    data: str
    dataset: str
    title: str
    feature_set: str
    twin: bool
    clips: Mapping[str, int]
    videos: Mapping[str, int]
    streams: Mapping[str, Sequence[int]]
    ceilings: Mapping[str, Json] | None
    manifest: Mapping[str, Json]
    slices: tuple[PlannedSlicing, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class PlannedRelease(Record):
    """Released weights that a row consists of instead of being trained.

    Args:
        files: Names of the checkpoints, without their folders.
        sha256: The digest of each.
        seeds: The seed that the release states for each; None where it states none.
        selection: What the release says chose them.
    """

    files: tuple[str, ...]
    sha256: tuple[str, ...]
    seeds: tuple[int, ...] | None = None
    selection: str

    @property
    def statement(self) -> str:
        """What is stated of them, for people.

        Example:
            >>> files = {"files": ("epoch_79.pth",), "sha256": ("…",)}
            >>> PlannedRelease(**files, seeds=(18,), selection="best run").statement
            'selection: best run; seed: 18'
        """
        noun = "seeds" if self.seeds is not None and len(self.seeds) > 1 else "seed"
        seeds = NOT_STATED if self.seeds is None else ", ".join(map(str, self.seeds))
        return f"selection: {self.selection}; {noun}: {seeds}"


@dataclass(frozen=True, kw_only=True)
class PlannedTuned(Record):
    """How the hyper-parameters of a row were found.

    Args:
        trials: Settings that were tried.
        sampler: How they were chosen.
        seed: Of the sampler.
        space: Digest of what they were chosen from.
        plan: The stored plan of the trials.
        trial: Number of the one chosen, by its validation score.
        run: Key of that trial's run.
        valid: Its validation score in the selection metric.
        protocol: Digest of the protocol with this budget and space.
    """

    trials: int
    sampler: str
    seed: int
    space: str
    plan: str
    trial: int
    run: str
    valid: float
    protocol: str


@dataclass(frozen=True, kw_only=True)
class PlannedRow(Record):
    """A row of a suite's board.

    Args:
        label: Its name.
        system: Registered name.
        changed: Hyper-parameters that the suite sets.
        title: The system's.
        paper: Its citation.
        text: How text enters; ``none`` where none does.
        inputs: What it reads, in alphabetical order.
        side_info: What it knows of a clip besides transcript, audio and vision.
        knowledge: Another corpus that it learns from, or ``none``.
        training_corruption: What training clips go through.
        supervision: ``train``, or ``none`` for zero-shot.
        deterministic: Whether no seed takes part.
        reference: Whether it is a constant predictor.
        deviations: From its paper.
        declares: Conformance check that fails by design -> why.
        released: What it is instead of being trained; None for all others.
        tuned: How its hyper-parameters were found; None for those of a preset, or set by hand.
    """

    label: str
    system: str
    changed: Mapping[str, Scalar]
    title: str
    paper: str
    text: str
    inputs: tuple[str, ...]
    side_info: str = "none"
    knowledge: str = "none"
    training_corruption: str = "none"
    supervision: str = "train"
    deterministic: bool
    reference: bool
    deviations: tuple[str, ...]
    declares: Mapping[str, str]
    released: PlannedRelease | None = None
    tuned: PlannedTuned | None = None


@dataclass(frozen=True, kw_only=True)
class PlannedCell(Record):
    """One place in a suite's grid.

    Args:
        corpus: Corpus name.
        label: The row it belongs to.
        seed: Training seed; 0 for deterministic systems.
        key: Of its run; None where the system does not apply, or what it needs is not here.
        reason: Why there is none.
        lacks: What is not here, such as ``corpus mosei@aligned-50``; None for all others.
        other_source: True for a run of an earlier source of the code, kept where another part of
            the suite was run; None for all others.
        planned: Where ``key`` is of an earlier source and counts by evidence, the key that today's
            source gives; None for all others.
        carried: Names of the equivalence records that say so, from the earlier source to today's.
        max_epochs: Epochs that it may train, where its schedule takes more than the protocol's;
            None for all others.
        schedule: Epochs that its longest stage is made for, where the suite allows fewer; None for
            all others.
        selection: The released rule that chooses its epoch; None where the protocol does.
    """

    corpus: str
    label: str
    seed: int
    key: str | None
    reason: str | None
    lacks: str | None = None
    other_source: bool | None = None
    planned: str | None = None
    carried: tuple[str, ...] | None = None
    max_epochs: int | None = None
    schedule: int | None = None
    selection: str | None = None


@dataclass(frozen=True, kw_only=True)
class PlannedLooks(Record):
    """Of a suite that adds seeds until it is decided: what was declared, and how far it is.

    Args:
        looks: Numbers of seeds at which it is looked, declared before the first run.
        decide: What is asked: ``best``, or the label of the row that others are compared with.
        look: The one of ``looks`` whose seeds are planned.
        decided: Whether that look decided; None while it waits for runs.
    """

    looks: tuple[int, ...]
    decide: str
    look: int
    decided: bool | None = None


@dataclass(frozen=True, kw_only=True)
class PlannedSearch(Record):
    """What was searched for one row.

    Args:
        label: The row, of which the plan's row ``<label> #n`` is trial n.
        system: Registered name.
        identity: What the sampler's draws depend on.
        space: Digest of ``dimensions`` and sampler.
        source: Where the space comes from.
        dimensions: Parameters joined by ``+`` -> ``choices``, or ``low``, ``high`` and ``log``.
    """

    label: str
    system: str
    identity: str
    space: str
    source: str
    dimensions: Mapping[str, Json]


@dataclass(frozen=True, kw_only=True)
class PlannedRung(Record):
    """A round of successive halving before the last one.

    Args:
        plan: The stored plan of its trials.
        max_epochs: Ceiling of each of them.
        trials: Settings that entered it, per row.
    """

    plan: str
    max_epochs: int
    trials: int


@dataclass(frozen=True, kw_only=True)
class PlannedTuning(Record):
    """Of a plan whose rows are trials: what is searched, and with which budget.

    Args:
        suite: The suite whose rows are tuned.
        title: Its title.
        corpus: Where.
        metric: Whose validation score chooses.
        sampler: How settings are chosen.
        seed: Of the sampler.
        trials: Settings per row.
        batch: Settings that are chosen together, before any of them has a score.
        training_seed: Of every trial.
        rows: What is searched.
        rungs: Of successive halving, the rounds before the one in this plan.
    """

    suite: str
    title: str
    corpus: str
    metric: str
    sampler: str
    seed: int
    trials: int
    batch: int
    training_seed: int
    rows: tuple[PlannedSearch, ...]
    rungs: tuple[PlannedRung, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StoredPlan(Record):
    """A suite as last planned.

    Args:
        suite: Its name.
        title: For display.
        protocol: The rules of every row.
        seeds: Of any corpus, ascending.
        corpora: In the order of the suite.
        rows: In the order of the board.
        cells: Corpus by corpus, row by row, seed by seed.
        until: Of a suite that adds seeds until it is decided; None where seeds are fixed.
        tuning: Of a plan whose rows are the trials of a search; None for all others.
        slices: Slicings that its board shows, whether or not they tell the clips of a corpus apart;
            None for none.
    """

    hint: ClassVar[str] = "msa run SUITE plans it again; msa verify finds others"

    suite: str
    title: str
    protocol: PlannedProtocol
    seeds: tuple[int, ...]
    corpora: tuple[PlannedCorpus, ...]
    rows: tuple[PlannedRow, ...]
    cells: tuple[PlannedCell, ...]
    until: PlannedLooks | None = None
    tuning: PlannedTuning | None = None
    slices: tuple[str, ...] | None = None

    @property
    def keys(self) -> frozenset[str]:
        """Keys of the runs it consists of."""
        return frozenset(cell.key for cell in self.cells if cell.key is not None)

    @property
    def records(self) -> frozenset[str]:
        """Names of the equivalence records that it relies on."""
        return frozenset(name for cell in self.cells for name in cell.carried or ())
