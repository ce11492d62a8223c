"""What stored runs say about quality scores and gates: do they follow quality, and do they matter?

A network marks what it judges of a clip and then acts upon (``harness.system.gates``). Its runs
store these values under the clean condition and, under the reliability protocol, under conditions
that hit one modality at a strength that is known; and predictions made while clips swapped gate
values.

Shapes: N test clips, L conditions, S runs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.data.split_labels import SplitLabels
from harness.errors import SpecError, StoreError
from harness.metrics import Metric, Values
from harness.runs.labels import predictions_of
from harness.runs.store import RunStore, StoredRun
from harness.spec import PredictionCell
from harness.spec.conditions import CLEAN, MODALITIES, Condition
from harness.spec.prediction_cell import MIXED, PLAIN, SWAPPED
from harness.stats.quality import QualityEstimate, auroc, change, spearman
from leaderboards.model import CorpusFacts, Grid, Row, gather

__all__ = ["ANY", "CorpusQuality", "QualityScore", "RowQuality", "Swap", "study_quality"]

ANY = "any"
"""All kinds of corruption together."""

_LABEL = "|label|"
_Record: TypeAlias = Mapping[str, Any]  # JSON of the store, typed as it is taken apart


@dataclass(frozen=True, kw_only=True)
class QualityScore:
    """The values of a gate about one modality.

    Args:
        gate: Its name.
        of: The modality it is about.
        mean: Over clean test clips and runs.
        following: Kind of corruption of that modality, or ``any`` -> rank correlation with its
            strength, clean clips included; a quality falls, so it should be negative.
        separation: Modality that is hit -> probability that a clean clip is judged better than a
            corrupted one: 1 where the gate is about it, 1/2 elsewhere.
        natural: Fact about clean clips -> rank correlation with it.
    """

    gate: str
    of: str
    mean: float
    following: Mapping[str, QualityEstimate]
    separation: Mapping[str, QualityEstimate]
    natural: Mapping[str, QualityEstimate]


@dataclass(frozen=True, kw_only=True)
class Swap:
    """What it costs to treat every clip as if it were judged like another one.

    Args:
        condition: ``clean``, or ``mixed``: every clip corrupted in a way of its own.
        before: The metric, mean over runs.
        change: After less before.
    """

    condition: str
    before: float
    change: QualityEstimate


@dataclass(frozen=True, kw_only=True, eq=False)
class RowQuality:
    """One row of a suite that judges clips."""

    row: Row
    scores: tuple[QualityScore, ...]
    swaps: tuple[Swap, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class CorpusQuality:
    """The rows of one corpus, those that judge nothing by their labels."""

    corpus: CorpusFacts
    metric: Metric
    rows: tuple[RowQuality, ...]
    silent: tuple[str, ...]


class _Options(TypedDict):
    draws: int
    seed: int


def study_quality(
    store: RunStore,
    suite: str,
    metric: Metric,
    labels: Collection[str] = (),
    *,
    known: Mapping[str, pd.DataFrame],
    draws: int = 1000,
    seed: int = 0,
) -> tuple[CorpusQuality, ...]:
    """Study the gates in the stored runs of a suite.

    Args:
        store: Where the runs are.
        suite: Its name.
        metric: What swapped gate values should change.
        labels: Rows to look at; all when empty.
        known: Corpus name -> what its test clips show besides quality, for corpora at hand:
            indexed by id, columns ``audio length``, ``text energy`` and the like.
        draws: Of the bootstrap.
        seed: Of the resampling.

    Raises:
        SpecError: For a row the suite does not have, or a metric that none of its corpora has.
        StoreError: When the suite was never run here, or a record is damaged.
    """
    board = gather(store, suite)
    rows = list(dict.fromkeys(row.label for grid in board.grids for row in grid.rows))
    for label in labels:
        if label not in rows:
            raise SpecError(
                f"suite {suite!r} has no row {label!r}", hint=f"its rows: {', '.join(rows)}"
            )
    grids = [grid for grid in board.grids if metric.defined_on(grid.corpus.dataset)]
    if not grids:
        raise SpecError(
            f"{metric.name} is not defined on any corpus of suite {suite!r}", hint="--metric mae"
        )
    sampling = _Options(draws=draws, seed=seed)
    return tuple(
        _study(store, grid, metric, labels, known.get(grid.corpus.name), sampling) for grid in grids
    )


def _study(
    store: RunStore,
    grid: Grid,
    metric: Metric,
    labels: Collection[str],
    facts: pd.DataFrame | None,
    sampling: _Options,
) -> CorpusQuality:
    rows = [row for row in grid.rows if row.runs and (not labels or row.label in labels)]
    natural = _natural(grid.truth, facts)
    found, silent = [], []
    for row in rows:
        runs = [store.get(run.key) for run in row.runs]
        judged = _gates(runs[0])
        if not judged:
            silent.append(row.label)
            continue
        stored = _GateValues(runs, grid.truth)
        found.append(
            RowQuality(
                row=row,
                scores=tuple(
                    _score(stored, name, place, of, natural, sampling)
                    for name, modalities in judged.items()
                    for place, of in _columns(name, modalities)
                ),
                swaps=tuple(_swaps(runs, grid.truth, metric, sampling)),
            )
        )
    return CorpusQuality(corpus=grid.corpus, metric=metric, rows=tuple(found), silent=tuple(silent))


def _gates(run: StoredRun) -> Mapping[str, Sequence[str]]:
    """Name of each gate -> the modalities that its values are about."""
    return run.manifest.result.judgements or {}


def _columns(name: str, modalities: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Column of the diagnostics, and the modality it is about."""
    for place, of in enumerate(modalities):
        yield (name if len(modalities) == 1 else f"{name}_{place}"), of


class _GateValues:
    """Gate values of the test clips in the runs of a row.

    Args:
        runs: S runs.
        truth: The N clips.

    Raises:
        StoreError: When a run has those of other clips.
    """

    def __init__(self, runs: Sequence[StoredRun], truth: SplitLabels) -> None:
        self._tables = [run.diagnostics_by_condition(truth.split) for run in runs]
        self.videos = truth.videos
        for run, tables in zip(runs, self._tables, strict=True):
            if any(tuple(table.index) != truth.ids for table in tables.values()):
                raise StoreError(
                    f"run {run.key} has values of other clips than its corpus has",
                    hint="delete that run folder and run the suite again",
                )

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Those that every run has values under, the clean one left out."""
        names = [name for name in self._tables[0] if all(name in own for own in self._tables)]
        return tuple(c for c in map(Condition.parse, names) if not c.is_clean)

    def under(self, condition: Condition, column: str) -> Values:
        """(S, N)."""
        return np.stack([own[condition.name][column].to_numpy(np.float64) for own in self._tables])

    def with_clean(
        self, conditions: Sequence[Condition], column: str
    ) -> tuple[Values, Values, NDArray[np.str_]]:
        """Values (S, M) of the clean condition and these, strengths (M,) and videos (M,)."""
        cells = (CLEAN, *conditions)
        values = np.concatenate([self.under(cell, column) for cell in cells], axis=1)
        strengths = np.array([max(cell.noise, cell.missing) for cell in cells])
        return values, strengths.repeat(len(self.videos)), np.tile(self.videos, len(cells))


def _score(
    stored: _GateValues,
    gate: str,
    column: str,
    of: str,
    natural: Mapping[str, Values],
    by: _Options,
) -> QualityScore:
    own = [condition for condition in stored.conditions if condition.hit == (of,)]
    kinds = dict.fromkeys(condition.family for condition in own)
    groups = {kind: [c for c in own if c.family == kind] for kind in kinds} | {ANY: own}
    hits = {name: [c for c in stored.conditions if c.hit == (name,)] for name in MODALITIES}
    clean = stored.under(CLEAN, column)
    return QualityScore(
        gate=gate,
        of=of,
        mean=float(clean.mean()),
        following={
            kind: spearman(*stored.with_clean(group, column), **by)
            for kind, group in groups.items()
            if group
        },
        separation={
            name: _separation(*stored.with_clean(group, column), by)
            for name, group in hits.items()
            if group
        },
        natural={
            fact.removeprefix(f"{of} "): spearman(clean, values, stored.videos, **by)
            for fact, values in natural.items()
            if fact.partition(" ")[0] in (of, _LABEL)
        },
    )


def _separation(
    values: Values, strengths: Values, videos: NDArray[np.str_], by: _Options
) -> QualityEstimate:
    return auroc(values, strengths == 0, videos, **by)


def _natural(truth: SplitLabels, facts: pd.DataFrame | None) -> dict[str, Values]:
    """Fact -> (N,) of the clean test clips; a modality's own begin with its name.

    Raises:
        StoreError: When the corpus at hand has other clips.
    """
    found = {_LABEL: np.abs(truth.labels)}
    if facts is None:
        return found
    if tuple(facts.index) != truth.ids:
        raise StoreError("the corpus at hand has other test clips than the stored runs")
    return found | {str(name): column.to_numpy(np.float64) for name, column in facts.items()}


def _swaps(
    runs: Sequence[StoredRun], truth: SplitLabels, metric: Metric, by: _Options
) -> Iterator[Swap]:
    function = metric.on(truth.dataset)
    for condition in (CLEAN.name, MIXED):
        cells = tuple(PredictionCell(condition=condition, variant=v) for v in (PLAIN, SWAPPED))
        if any(run.predictions(truth.split, cell).empty for run in runs for cell in cells):
            continue  # stored before gate values were swapped
        before, after = (
            np.stack([predictions_of(run, truth, cell) for run in runs]) for cell in cells
        )
        yield Swap(
            condition=condition,
            before=float(np.mean([function(run, truth.labels) for run in before])),
            change=change(
                *(before, after, truth.labels, truth.videos, metric),
                dataset=truth.dataset,
                **by,
            ),
        )
