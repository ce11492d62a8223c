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
from harness.spec import Protocol, Scalar

__all__ = [
    "PlannedCell",
    "PlannedCorpus",
    "PlannedLooks",
    "PlannedProtocol",
    "PlannedRow",
    "StoredPlan",
]


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


@dataclass(frozen=True, kw_only=True)
class PlannedCell(Record):
    """One place in a suite's grid.

    Args:
        corpus: Corpus name.
        label: The row it belongs to.
        seed: Training seed; 0 for deterministic systems.
        key: Of its run; None where the system does not apply.
        reason: Why it does not apply.
        other_source: True for a run of an earlier source of the code, kept where another part of
            the suite was run; None for all others.
        planned: Where ``key`` is of an earlier source and counts by evidence, the key that today's
            source gives; None for all others.
        carried: Names of the equivalence records that say so, from the earlier source to today's.
    """

    corpus: str
    label: str
    seed: int
    key: str | None
    reason: str | None
    other_source: bool | None = None
    planned: str | None = None
    carried: tuple[str, ...] | None = None


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

    @property
    def keys(self) -> frozenset[str]:
        """Keys of the runs it consists of."""
        return frozenset(cell.key for cell in self.cells if cell.key is not None)

    @property
    def records(self) -> frozenset[str]:
        """Names of the equivalence records that it relies on."""
        return frozenset(name for cell in self.cells for name in cell.carried or ())
