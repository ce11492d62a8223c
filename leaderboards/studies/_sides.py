"""What stands on our side of a published number, and what sets it apart from the other side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.errors import SpecError
from harness.runs.labels import predictions_of
from harness.runs.store import RunStore
from harness.spec import PredictionCell, Protocol
from harness.spec.protocols import protocols
from leaderboards.literature import PublishedRow
from leaderboards.model import Grid, Row, gather, passes_of

__all__ = [
    "Candidate",
    "Ours",
    "candidates",
    "differences",
    "remarks",
    "shortfalls",
    "stands_for",
    "unstated",
]

_BY_A_MODEL = "explanations written by a multimodal LLM"
_SIDE_INFO = {"video_mllm": _BY_A_MODEL, "both": _BY_A_MODEL}
"""What a protocol calls side information -> the words of published tables."""
_SELECTED = {"test": "selected on test there", "best run": "best of several runs there"}


@dataclass(frozen=True, kw_only=True)
class Ours:
    """A row of a suite that has runs of the published system on the same dataset.

    Args:
        suite: Name of the suite.
        label: The row's name in it.
        corpus: ``dataset@feature-set``.
        values: The metric of each seed, as the source computes it; NaN where undefined.
        collapsed: How many of the runs collapsed.
        device: What they were trained on, ``cpu`` or ``cuda``; both where they differ.
        selection: What chose the epoch: metric and split of the protocol.
        quirk: ``published`` or ``fixed``; empty for systems without one.
        released: Whether it consists of released weights instead of being trained here.
        passes: Of released weights whose predictions change: the metric of every pass of the
            runs in turn, the first included.
    """

    suite: str
    label: str
    corpus: str
    values: tuple[float, ...]
    collapsed: int = 0
    device: str = ""
    selection: str = ""
    quirk: str = ""
    released: bool = False
    passes: tuple[float, ...] = ()

    @property
    def weights(self) -> str:
        """Where its weights come from: ``training`` or ``released weights``."""
        return "released weights" if self.released else "training"

    @property
    def mean(self) -> float:
        """Mean over seeds, NaN when any is undefined."""
        return float(np.mean(self.values))


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """A row with runs, where it stands.

    Args:
        suite: Name of the suite.
        store: Where its runs are.
        protocol: Of the suite, as its plan has it.
        grid: The corpus.
        row: The row.
    """

    suite: str
    store: RunStore
    protocol: Mapping[str, Any]
    grid: Grid
    row: Row

    @property
    def side_info(self) -> str:
        """Also what it learned from, as published tables have no column for that."""
        read = _SIDE_INFO.get(self.row.side_info, self.row.side_info)
        known = (read, self.row.knowledge)
        return ", ".join(item for item in known if item != "none") or "none"

    @property
    def features(self) -> str:
        """The feature set; explanations, which side information is about, are behind its name."""
        name = self.grid.corpus.feature_set
        return name if self.row.side_info == "none" else name.removesuffix("-explained")

    @property
    def text(self) -> str:
        """How text enters, with the encoder, as published tables name it."""
        names = [facts.encoder for facts in self.row.facts if facts.encoder]
        encoders = sorted({name.rpartition("/")[2] for name in names})  # without owner or folder
        return ": ".join(part for part in (self.row.text, ", ".join(encoders)) if part)

    def ours(self, published: PublishedRow) -> Ours:
        """Its runs, scored as a source scores."""
        protocol, collapse = self.protocol, self.row.collapse
        metric, split = (protocol.get(f"selection_{part}", "") for part in ("metric", "split"))
        quirks = {
            str(self.store.get(run.key).manifest.spec.params.get("quirk", ""))
            for run in self.row.runs
        }
        return Ours(
            suite=self.suite,
            label=self.row.label,
            corpus=self.grid.corpus.name,
            values=self.scores(published),
            collapsed=len(collapse.collapsed) if collapse else 0,
            device=", ".join(sorted({facts.device for facts in self.row.facts})),
            selection=self.row.selection or f"{metric} on {split}",
            quirk=", ".join(sorted(quirks)),
            released=self.row.released is not None,
            passes=tuple(self._passes(published)),
        )

    def scores(self, published: PublishedRow) -> tuple[float, ...]:
        """The metric of a published number, one value per run, as its source computes it."""
        score, labels = published.definition, self.grid.truth.labels
        return tuple(score(run.pred, labels) for run in self.row.runs)

    def _passes(self, published: PublishedRow) -> Iterator[float]:
        """Of one released checkpoint, the metric of every pass; nothing where one will do.

        Several checkpoints are compared by their mean, in which passes take part as one each.
        """
        row, truth = self.row, self.grid.truth
        if row.released is None or len(row.runs) != 1 or passes_of(row) < 2:
            return
        score, (run,) = published.definition, row.runs
        yield score(run.pred, truth.labels)
        stored = self.store.get(run.key)
        for number in range(2, passes_of(row) + 1):
            pred = predictions_of(stored, truth, PredictionCell.of_pass(number))
            yield score(pred, truth.labels)


def candidates(store: RunStore, systems: Set[str]) -> Iterator[Candidate]:
    """Rows of these systems on real corpora that have runs.

    Raises:
        StoreError: When a stored plan or run is damaged.
    """
    for suite in store.plans():
        named = (row.system for row in store.plan(suite).rows)
        if systems.isdisjoint(part for name in named for part in (name, name.partition("@")[0])):
            continue  # gathering scores every run
        board = gather(store, suite)
        for grid in board.grids:
            rows = () if grid.corpus.twin else grid.rows
            for row in rows:
                if row.runs and any(stands_for(row, system) for system in systems):
                    yield Candidate(
                        suite=suite, store=store, protocol=board.protocol, grid=grid, row=row
                    )


def stands_for(row: Row, system: str) -> bool:
    """Whether a row is of the system; of released weights, so is one that runs as released."""
    return row.system == system or (
        row.released is not None and row.system.partition("@")[0] == system != ""
    )


def differences(published: PublishedRow, candidate: Candidate) -> Iterator[str]:
    """Known differences besides the training seeds; with one of them there is no gap to judge."""
    trained = candidate.row.released is None
    if published.condition != "clean":
        yield f"there: {published.condition}"
    if published.clips != "all":
        yield f"there: {published.clips}"
    if published.selection in _SELECTED and trained:
        yield _SELECTED[published.selection]
    yield from _inputs(published, candidate)
    if trained:
        yield from _budget(candidate)
        yield from _changes(candidate)


def _inputs(published: PublishedRow, candidate: Candidate) -> Iterator[str]:
    """What the two read: side information, corruption, split, features, encoder, file."""
    corpus = candidate.grid.corpus
    if (published.side_info or "none") != candidate.side_info:
        theirs = published.side_info or "none"
        yield f"side information: {theirs} there, {candidate.side_info} here"
    if candidate.row.training_corruption != "none":
        yield f"trained on corrupted clips here: {candidate.row.training_corruption}"
    if not corpus.official:
        yield "own split here"
    for what, theirs, ours in (
        ("features", published.features, candidate.features),
        ("text", published.text, candidate.text),
    ):
        if theirs and theirs != ours:
            yield f"{what}: {theirs} there, {ours} here"
    if corpus.streams and corpus.dataset.published_files and not corpus.published_as:
        yield "file: none of the published ones, by its SHA-256"


def _changes(candidate: Candidate) -> Iterator[str]:
    """Hyper-parameters that the suite changed, but for what is judged by what it comes to."""
    changed = candidate.row.changed
    names = changed.keys() - {"encoder"}  # the text encoder is compared by name
    if changed.get("quirk") == "published":
        names -= {"quirk"}  # that is what the source did
    if names:
        yield f"changed here: {', '.join(sorted(names))}"


def _budget(candidate: Candidate) -> Iterator[str]:
    """What the suite took from the protocol's budget, or from a system's own schedule."""
    name = str(candidate.protocol.get("name", ""))
    try:
        known: Protocol = protocols[name]
    except SpecError:
        yield f"protocol here: {name}, whose budget is not known"
        return
    for item in ("max_epochs", "patience"):
        here, there = candidate.protocol.get(item), getattr(known, item)
        if isinstance(here, int) and here < there:
            yield f"budget: {item} {here} here, {there} by the protocol"
    for item in ("selection_metric", "selection_ties"):
        here, there = candidate.protocol.get(item), getattr(known, item)
        if here is not None and here != there:
            yield f"selection: {item} {here} here, {there} by the protocol"
    endings = [facts.ending for facts in candidate.row.facts if facts.ending]
    short = {
        (e["allowed"], e["wanted"]) for e in endings if e["epochs"] == e["allowed"] < e["wanted"]
    }
    for allowed, wanted in sorted(short):
        yield f"budget: ended at {allowed} epochs here, {wanted} by the system's schedule"


def shortfalls(ours: Ours) -> Iterator[str]:
    """What keeps runs from having a mean with a deviation."""
    undefined = sum(map(math.isnan, ours.values))
    if undefined:
        yield f"undefined in {undefined} of {len(ours.values)} runs here"
    if len(ours.values) == 1 and not ours.released:
        yield "one run here"


def unstated(published: PublishedRow) -> Iterator[str]:
    """What may set the source apart and is not known to."""
    if not published.selection:
        yield "selection"
    if not published.features:
        yield "features"
    if not published.text:
        yield "text encoder"
    if not published.convention and published.metric.startswith("f1"):
        yield "F1 weighting"
    if published.seeds is None:
        yield "number of runs, taken as one"


def remarks(published: PublishedRow, ours: Ours) -> Iterator[str]:
    """Differences that are declared and no obstacle."""
    if ours.quirk == "fixed":
        yield "repaired here where released code departs from the paper"
    if published.device and "cuda" not in ours.device and not ours.released:
        yield f"device: {published.device} there, {ours.device or 'not known'} here"
