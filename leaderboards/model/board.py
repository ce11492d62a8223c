"""What a board consists of: rows of runs on one corpus, under one protocol.

Plain data: nothing here is rounded, averaged or compared, and who reads it is not known here.

Shapes: N test clips.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness._util.canonical import Json
from harness.data.datasets import Dataset
from harness.data.leak_gate import LeakGate
from harness.data.split_labels import SplitLabels
from harness.metrics import Metric, metrics_for
from harness.runs.looks import Look
from harness.runs.store import RunStore
from harness.runs.stored_plan import PlannedRelease, PlannedSlicing
from harness.spec import PredictionCell
from harness.stats import Collapse, Test, pair_tests
from harness.submissions import Badge
from leaderboards.model.memo import once
from leaderboards.model.tracks import PLAIN, Track, plain_first

__all__ = [
    "ALPHA",
    "AbsentPart",
    "Board",
    "CarriedOver",
    "CorpusFacts",
    "Facts",
    "Grid",
    "MissingRun",
    "Row",
    "Run",
    "has_transfers",
    "parts",
    "shown",
]

ALPHA = 0.05
"""Level of every claim on a board whose seeds were fixed beforehand."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a run's manifest says beside its predictions.

    ``epochs`` and ``selected_epoch`` are 0 and None for systems without epochs; seconds and bytes
    are measurements of one machine and differ between equal runs.
    """

    encoder: str | None
    parameters: int
    trainable: int
    epochs: int
    selected_epoch: int | None
    train_clips: int
    fit_seconds: float
    predict_seconds: float
    peak_memory_bytes: int
    device: str
    processor: str
    diagnostics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """What the system tells about test clips: value -> sentiment -> mean."""
    stability: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """``again``, ``alone``, ``shuffled`` -> ``mean`` and ``max`` change of a prediction, where the
    system declares that there is one."""
    ending: Mapping[str, int] = field(default_factory=dict)
    """How training ended: ``epochs``, ``allowed``, ``wanted``, ``warmup``; empty if not known."""
    zero_shot: Mapping[str, Any] = field(default_factory=dict)
    """Of a zero-shot model: which one, its prompts, when, and the outcomes of its questions."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """One committed seed of a row.

    Args:
        seed: Training seed.
        key: The run's identity.
        pred: (N,) test predictions, in the order of the grid's ``truth``; NaN where a submission
            has none.
        scores: Metric -> value, unrounded, NaN where undefined.
        facts: Its manifest; None for a submission.
        variants: For a zero-shot model, its predictions under other policies and of single
            prompts: cell -> (N,), NaN where there is none.
    """

    seed: int
    key: str
    pred: NDArray[np.float64]
    scores: Mapping[str, float]
    facts: Facts | None
    variants: Mapping[PredictionCell, NDArray[np.float64]] = field(default_factory=dict)
    passes: tuple[Mapping[str, float], ...] = ()
    """Scores of further passes over the same clips, of released weights whose predictions change
    from pass to pass."""


@dataclass(frozen=True, kw_only=True)
class CarriedOver:
    """Runs of a row that an earlier source of the code made.

    Args:
        runs: How many.
        replayed: Runs of the row that were executed by both sources and compared.
        of: Runs of the row that one source or both made: ``runs`` and ``replayed`` together.
        largest: Largest difference of all that was compared for these runs, on the label scale.
        records: Names of the equivalence records.
    """

    runs: int
    replayed: int
    of: int
    largest: float
    records: tuple[str, ...]

    @property
    def words(self) -> str:
        """In one phrase."""
        apart = f", apart by {self.largest:.2g} at most" if self.largest else ""
        return f"carried over, {self.replayed} of {self.of} replayed{apart}"


@dataclass(frozen=True, kw_only=True)
class MissingRun:
    """A planned run that is not there, and why."""

    seed: int
    state: Literal["not run", "failed", "damaged", "incomplete", "not applicable", "not here"]
    reason: str


@dataclass(frozen=True, kw_only=True)
class AbsentPart:
    """A part of a suite that has no table or no row, for something of it was not here.

    Args:
        what: What was not here, such as ``corpus mosei@aligned-50``.
        reason: Why, or where it was looked for.
        rows: Labels of the rows that wait for it.
        corpora: Those on which they do.
    """

    what: str
    reason: str
    rows: tuple[str, ...]
    corpora: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """One system with its hyper-parameters on one corpus, over seeds.

    Args:
        label: The row's name in the suite.
        system: Registered name of the system.
        title: What the system's card calls it.
        text: How text enters, by its card.
        inputs: What it reads and the corpus has.
        changed: Hyper-parameters the suite changed.
        deterministic: Whether it runs once because no seed changes it.
        reference: Whether it is a constant predictor.
        runs: Committed seeds, in plan order.
        missing_runs: Seeds without a run, in plan order.
        outside: Why the row can never be ranked with the others; empty when it can.
        badge: Where its numbers come from.
        side_info: What the system knew of a clip besides transcript, audio and vision.
        knowledge: Which other corpus it learned from.
        training_corruption: What its training clips went through.
        supervision: ``none``: it learned from no label.
        selection: For submissions and released weights, what is stated to have chosen the
            checkpoint.
        released: The weights that it consists of instead of being trained here; None for all
            others.
        clips: For submissions, how many clips every run covers.
        partial: Whether nothing but the clips that it leaves out keeps a submission from the ranks.
        flags: What a reader must know, such as that predictions collapsed.
        collapse: How many of its runs collapsed; None for constants and rows without a run.
        carried: How many of its runs are of an earlier source and count by evidence; None where
            none is.
        tuned: How its hyper-parameters were found: ``trials``, ``sampler`` and so on, as the plan
            has it; empty for those of a preset, or set by hand.
        rule: The released rule that chose its epochs; empty where the protocol did.
        max_epochs: Epochs that it might train, by its own schedule, where that is more than the
            protocol's; None for all others.
    """

    label: str
    system: str
    title: str
    text: str
    inputs: tuple[str, ...]
    changed: Mapping[str, Json]
    deterministic: bool
    reference: bool
    runs: tuple[Run, ...]
    missing_runs: tuple[MissingRun, ...]
    outside: str = ""
    badge: Badge = Badge.REPLAYED
    side_info: str = "none"
    knowledge: str = "none"
    training_corruption: str = "none"
    supervision: str = "train"
    selection: str = ""
    released: PlannedRelease | None = None
    clips: int | None = None
    partial: bool = False
    flags: tuple[str, ...] = ()
    collapse: Collapse | None = None
    carried: CarriedOver | None = None
    tuned: Mapping[str, Json] = field(default_factory=dict)
    rule: str = ""
    max_epochs: int | None = None

    @property
    def settings(self) -> str:
        """Where its hyper-parameters come from, in words; empty where that is not known."""
        if self.reference or self.badge != Badge.REPLAYED:
            return ""
        if self.tuned:
            return f"tuned ({self.tuned['trials']} trials)"
        return "preset, changed" if self.changed else "preset"

    @property
    def budget(self) -> tuple[int, str, str] | None:
        """Trials, sampler and space that its settings cost; None for settings that cost none."""
        if not self.tuned:
            return None
        return int(str(self.tuned["trials"])), str(self.tuned["sampler"]), str(self.tuned["space"])

    @property
    def collapsed(self) -> tuple[int, ...]:
        """Seeds of the runs that collapsed."""
        return tuple(self.runs[i].seed for i in self.collapse.collapsed) if self.collapse else ()

    @property
    def track(self) -> Track:
        """What it knew; rows of two tracks are never ranked together."""
        return Track(
            side_info=self.side_info,
            knowledge=self.knowledge,
            training_corruption=self.training_corruption,
            supervision=self.supervision,
        )

    @property
    def zero_shot(self) -> bool:
        """Whether it is a zero-shot model, asked once: another day it may answer differently."""
        return self.supervision == "none"

    @property
    def facts(self) -> tuple[Facts, ...]:
        """What the manifests of its runs say; nothing for submissions."""
        return tuple(run.facts for run in self.runs if run.facts is not None)

    @property
    def planned(self) -> int:
        """Number of seeds the suite asks for."""
        return len(self.runs) + len(self.missing_runs)

    def values(self, metric: str) -> tuple[float, ...]:
        """The metric of each committed seed, NaN where undefined."""
        return tuple(run.scores[metric] for run in self.runs)


@dataclass(frozen=True, kw_only=True)
class CorpusFacts:
    """What a plan says of a corpus.

    Args:
        name: ``dataset@feature-set``.
        data: Content fingerprint.
        dataset: The dataset it is or imitates.
        twin: Whether it is synthetic.
        clips: Split -> number of clips.
        videos: Split -> number of source videos.
        ceilings: For twins, signals seen -> best reachable metrics, None where undefined.
        streams: Of features that it has.
        published_as: The published file that it was read from, known by its SHA-256; empty for any
            other file.
        trial: Of a few clips of each split: split -> clips of the whole; None for a whole corpus.
        explained: Whether it has explanations of its clips.
        leak_gate: Whether these know the label; None where nobody measured it.
        slicings: Declared parts of its test clips that the suite asks for.
        unsliced: Names of slicings that the suite asks for and that tell no clips apart here.
    """

    name: str
    data: str
    dataset: Dataset
    twin: bool
    clips: Mapping[str, int]
    videos: Mapping[str, int]
    ceilings: Mapping[str, Mapping[str, float | None]]
    streams: tuple[str, ...] = ()
    published_as: str = ""
    trial: Mapping[str, int] | None = None
    explained: bool = False
    leak_gate: LeakGate | None = None
    slicings: tuple[PlannedSlicing, ...] = ()
    unsliced: tuple[str, ...] = ()

    @property
    def feature_set(self) -> str:
        """The part of the name after ``@``."""
        return self.name.partition("@")[2]

    @property
    def official(self) -> bool:
        """Whether its splits are as large as the official ones."""
        return dict(self.clips) == {s: counts.clips for s, counts in self.dataset.splits.items()}


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """The rows of a suite on one corpus.

    Args:
        corpus: Where.
        selection: The metric that ranks; it chose the checkpoints, unless released rules did.
        truth: The test labels.
        rows: Those of the suite, in its order, then submissions that kept its protocol.
        submissions: The other submissions for these clips, which are never ranked with ``rows``.
        whole: For one of its ``parts``, the grid that it is a part of.
        corruption: The grid of conditions that test clips were seen under, or ``none``.
        under: Row -> (S, C, N) its predictions under them; None where there are none.
        alpha: Level of every claim.
        tests: What compares the pairs of a field of its rows, or remembers it.
    """

    corpus: CorpusFacts
    selection: Metric
    truth: SplitLabels
    rows: tuple[Row, ...]
    submissions: tuple[Row, ...]
    whole: Grid | None = None
    corruption: str = "none"
    under: Callable[[Row], NDArray[np.float64]] | None = None
    alpha: float = ALPHA
    tests: Test = pair_tests

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Those that its tables show: the primary ones of its dataset, and the one that ranks."""
        primary = metrics_for(self.corpus.dataset, primary=True)
        return primary if self.selection in primary else (*primary, self.selection)

    @property
    def tracks(self) -> tuple[Track, ...]:
        """What its rows knew, plain rows first; constants know nothing and fit everywhere."""
        return plain_first(r.track for r in self.rows if not r.reference) or (PLAIN,)


@dataclass(frozen=True, kw_only=True, eq=False)
class Board:
    """A suite as far as it was run: one grid per corpus, all under one protocol.

    Args:
        suite: Its name.
        title: What people call it.
        protocol: What must be equal for two numbers to share a table.
        seeds: Those planned.
        grids: One per corpus, in order.
        store: Where the runs are, for what their predictions on other splits say.
        look: Of a suite that adds seeds until it is decided, the look that it has reached.
        absent: What has no table or no row on it, since it was not here.
    """

    suite: str
    title: str
    protocol: Mapping[str, Json]
    seeds: tuple[int, ...]
    grids: tuple[Grid, ...]
    store: RunStore
    look: Look | None = None
    absent: tuple[AbsentPart, ...] = ()

    @property
    def alpha(self) -> float:
        """Level of every claim."""
        return ALPHA if self.look is None else self.look.level


def has_transfers(board: Board) -> bool:
    """Whether its corpora are transfers from some datasets to others."""
    return board.protocol.get("kind") == "domain_generalization"


def shown(board: Board) -> tuple[Grid, ...]:
    """The grids with a part of their own: bounds of transfers stand beside these."""
    return tuple(grid for grid in board.grids if not grid.corpus.dataset.is_bound)


@once
def parts(grid: Grid) -> tuple[Grid, ...]:
    """One grid per track, each with the constants: the tables in which rows are ranked."""
    tracks = grid.tracks
    if len(tracks) == 1:
        return (grid,)
    return tuple(
        dataclasses.replace(
            grid,
            rows=tuple(row for row in grid.rows if row.reference or row.track == track),
            submissions=(),
            whole=grid,
        )
        for track in tracks
    )
