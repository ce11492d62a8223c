"""What a rule of selection is worth: stored runs whose epoch the protocol chose, and the authors'.

Two suites ran the same rows with the same seeds, one under a protocol that chooses every epoch by
one rule, the other as each system's released code chooses it. Training is the same up to the epoch
that is kept, so runs are compared in pairs of one seed. An epoch that another rule would have kept
can only be read where its predictions were; who stops sooner or later keeps others: so it takes
runs of both.

Shapes: S pairs of runs, N test clips.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness._util import canonical
from harness.data.split_labels import SplitLabels
from harness.errors import SpecError
from harness.metrics import Metric
from harness.runs.store import RunStore
from harness.spec import RunSpec
from harness.stats import Comparison, compare_run_by_run, holm
from leaderboards.model import Board, CorpusFacts, Grid, Row, Run, gather

__all__ = ["CorpusSelection", "EpochPair", "RowSelection", "study_selection"]

_CHOICE = frozenset({"selection", "rules"})
"""Fields of a protocol in which the runs of a pair differ on purpose."""


@dataclass(frozen=True, kw_only=True)
class EpochPair:
    """The epochs that two rules chose for one seed.

    Args:
        seed: Of both trainings.
        protocol: Epoch that the protocol chose.
        protocol_epochs: Epochs trained under it.
        released: Epoch that the released rule chose.
        released_epochs: Epochs trained under that.
        same: Whether all test predictions are the same.
    """

    seed: int
    protocol: int
    protocol_epochs: int
    released: int
    released_epochs: int
    same: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class RowSelection:
    """One row under both rules.

    Args:
        label: The row.
        system: Registered name.
        rule: The released rule, in words.
        epochs: Seed by seed.
        left_out: Why there is nothing to compare; empty where there is.
        besides: Fields of the protocol in which its runs differ besides, such as ``max_epochs``.
        differences: Metric -> released less protocol; A is released.
        adjusted: Metric -> p-value, adjusted for the rows of the corpus after Holm.
    """

    label: str
    system: str
    rule: str
    epochs: tuple[EpochPair, ...] = ()
    left_out: str = ""
    besides: tuple[str, ...] = ()
    differences: Mapping[str, Comparison] = dataclasses.field(default_factory=dict)
    adjusted: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class CorpusSelection:
    """The rows of one corpus, in suite order."""

    corpus: CorpusFacts
    metrics: tuple[Metric, ...]
    rows: tuple[RowSelection, ...]


def study_selection(
    store: RunStore, suite: str, other: str, labels: Collection[str] = ()
) -> tuple[CorpusSelection, ...]:
    """Compare the runs of two suites that differ in who chose the epoch.

    Args:
        store: Where the runs are.
        suite: Name of one; its rows and corpora are looked for in the other.
        other: Name of the other. One of both is under a protocol with ``selection = "released"``.
        labels: Rows to look at; all when empty.

    Raises:
        SpecError: When not exactly one of them is, they share no corpus, or for a row that the
            suites do not share.
        StoreError: When a suite was never run here, or a record is damaged.
    """
    boards = gather(store, suite), gather(store, other)
    released = [_is_released(board) for board in boards]
    if sum(released) != 1:
        said = "both" if all(released) else "neither"
        raise SpecError(
            f"one of the suites chooses epochs as released, the other by its protocol; {said} of"
            f" {suite!r} and {other!r} does as released",
            hint="msa study selection paper_baselines paper_baselines_as_released",
        )
    ours, theirs = boards if released[1] else reversed(boards)
    grids = [(a, b) for a in ours.grids for b in theirs.grids if a.corpus.data == b.corpus.data]
    if not grids:
        raise SpecError(f"suites {suite!r} and {other!r} share no corpus")
    _check_rows(labels, grids)
    return tuple(_study(store, a, b, labels) for a, b in grids)


def _is_released(board: Board) -> bool:
    return board.protocol.get("selection", "protocol") == "released"


def _check_rows(labels: Collection[str], grids: Sequence[tuple[Grid, Grid]]) -> None:
    shared = list(dict.fromkeys(row.label for a, b in grids for row, _ in _pairs(a, b)))
    for label in labels:
        if label not in shared:
            raise SpecError(
                f"the suites share no row {label!r}", hint=f"they share {', '.join(shared)}"
            )


def _pairs(ours: Grid, theirs: Grid) -> Iterator[tuple[Row, Row]]:
    """Rows of both grids that an epoch is chosen for; those that do not apply come along."""
    others = {row.label: row for row in theirs.rows}
    for row in ours.rows:
        if not (row.reference or row.outside) and row.label in others:
            yield row, others[row.label]


def _study(store: RunStore, ours: Grid, theirs: Grid, labels: Collection[str]) -> CorpusSelection:
    shown = ours.metrics
    rows = [
        _row(store, ours.truth, shown, a, b)
        for a, b in _pairs(ours, theirs)
        if not labels or a.label in labels
    ]
    return CorpusSelection(corpus=ours.corpus, metrics=shown, rows=tuple(_adjusted(rows, shown)))


def _row(
    store: RunStore, truth: SplitLabels, shown: Sequence[Metric], ours: Row, theirs: Row
) -> RowSelection:
    row = RowSelection(label=ours.label, system=ours.system, rule=theirs.rule)
    pairs, why = _matched(store, ours, theirs)
    if not pairs:
        return dataclasses.replace(row, left_out=why)
    kept, other = (np.stack([run.pred for run in side]) for side in zip(*pairs, strict=True))
    return dataclasses.replace(
        row,
        epochs=tuple(_epochs(a, b) for a, b in pairs),
        besides=_besides(*(store.get(run.key).manifest.spec for run in pairs[0])),
        differences={
            metric.name: compare_run_by_run(
                other, kept, truth.labels, truth.videos, metric, dataset=truth.dataset
            )
            for metric in shown
        },
    )


def _matched(store: RunStore, ours: Row, theirs: Row) -> tuple[list[tuple[Run, Run]], str]:
    """Pairs of runs of one seed that were trained alike, or why there are none."""
    absent = next((gap.reason for gap in theirs.missing_runs if gap.state == "not applicable"), "")
    if absent:
        return [], absent
    others = {run.seed: run for run in theirs.runs}
    seeds = [(run, others[run.seed]) for run in ours.runs if run.seed in others]
    if not seeds:
        return [], "no seed was run under both"
    alike = [(a, b) for a, b in seeds if _training(store, a) == _training(store, b)]
    if not alike:
        return [], "the suites train it with other hyper-parameters or inputs"
    chosen = [(a, b) for a, b in alike if _selected(a) and _selected(b)]
    return chosen, "" if chosen else "no epoch is chosen for it"


def _training(store: RunStore, run: Run) -> str:
    """What is the same in runs whose epochs alone are chosen otherwise, but for their code."""
    spec = store.get(run.key).manifest.spec
    return canonical.digest([spec.system, spec.params, spec.artifacts, spec.data, spec.labels])


def _selected(run: Run) -> int:
    return 0 if run.facts is None else run.facts.selected_epoch or 0


def _epochs(ours: Run, theirs: Run) -> EpochPair:
    assert ours.facts is not None
    assert theirs.facts is not None
    return EpochPair(
        seed=ours.seed,
        protocol=_selected(ours),
        protocol_epochs=ours.facts.epochs,
        released=_selected(theirs),
        released_epochs=theirs.facts.epochs,
        same=np.array_equal(ours.pred, theirs.pred),
    )


def _besides(ours: RunSpec, theirs: RunSpec) -> tuple[str, ...]:
    """``name: protocol, released`` of what else of the protocol is not the same."""
    a, b = ours.protocol.identity, theirs.protocol.identity
    names = sorted((a.keys() | b.keys()) - _CHOICE)
    return tuple(f"{n}: {a.get(n)}, {b.get(n)}" for n in names if a.get(n) != b.get(n))


def _adjusted(rows: Sequence[RowSelection], shown: Sequence[Metric]) -> Iterator[RowSelection]:
    """The rows with p-values adjusted over them, metric by metric."""
    compared = [row for row in rows if row.differences]
    found: dict[str, dict[str, float]] = {row.label: {} for row in compared}
    for metric in shown:
        raw = [row.differences[metric.name].p_value for row in compared]
        for row, p in zip(compared, holm(raw) if raw else (), strict=True):
            found[row.label][metric.name] = math.nan if np.isnan(p) else float(p)
    for row in rows:
        yield dataclasses.replace(row, adjusted=found.get(row.label, {}))
