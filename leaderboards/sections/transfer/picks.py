"""Domain generalisation: which run of each algorithm counts, on every transfer of a board.

An algorithm may have tried several settings (rows ``NAME #1``, ``NAME #2``, …). DomainBed's three
rules choose among them, seed by seed:

- *training-domain validation*: the least MAE on the sources' validation clips. It ranks.
- *leave-one-domain-out*: the least mean MAE of the same setting when each source in turn is left
  out of training and tested on, read off the other transfers of the board.
- *oracle*: the least MAE on the target's test clips over settings and epochs. It is what the best
  choice could have given, shown and never ranked.

Source:
    Gulrajani, Lopez-Paz. In Search of Lost Domain Generalization. ICLR 2021.

Shapes: S seeds, N test clips, n validation clips, E epochs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from harness.data.split_labels import SplitLabels
from harness.metrics import metrics
from harness.metrics.transfer import recalibrated
from harness.runs.labels import predictions_of, stored_labels
from harness.runs.store import RunStore
from harness.spec import algorithm_of
from leaderboards.model import Grid, Row, Run

__all__ = ["RULES", "Family", "Pick", "Rule", "Transfers", "collect"]

Rule: TypeAlias = Literal["training-domain validation", "leave-one-domain-out", "oracle"]
RULES: tuple[Rule, ...] = get_args(Rule)

_MAE = metrics["mae"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Pick:
    """One algorithm on one transfer.

    Args:
        row: Its first row there: what it reads, what it knew.
        settings: How many settings it tried.
        missing: Planned runs that are not there; with any, it takes part in no comparison.
        pred: Rule -> (S, N) test predictions of the runs chosen; rules that do not apply are
            absent.
        recalibrated: (S, N) those of training-domain validation through the line that fits the
            sources' validation clips.
    """

    row: Row
    settings: int
    missing: int
    pred: Mapping[Rule, NDArray[np.float64]]
    recalibrated: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Family:
    """The transfers of one kind between the datasets of one feature set, and their bounds.

    Args:
        title: What they have in common.
        grids: The transfers, in board order.
        bounds: Target -> its in-domain bound, where the board has it.
    """

    title: str
    grids: tuple[Grid, ...]
    bounds: Mapping[str, Grid]

    @property
    def targets(self) -> tuple[str, ...]:
        """Datasets tested on, each once."""
        return tuple(dict.fromkeys(grid.corpus.dataset.target for grid in self.grids))


@dataclass(frozen=True, eq=False)
class Transfers:
    """The transfers of a board.

    Args:
        grids: All grids, bounds included.
        picks: Corpus -> algorithm -> what counts of it there.
    """

    grids: tuple[Grid, ...]
    picks: Mapping[str, Mapping[str, Pick]]

    @cached_property
    def families(self) -> tuple[Family, ...]:
        """Leave-one-out before single-source, for every feature set."""
        return tuple(self._families())

    def _families(self) -> Iterator[Family]:
        for features in dict.fromkeys(map(_features, self.grids)):
            own = [grid for grid in self.grids if _features(grid) == features]
            bounds = {g.corpus.dataset.target: g for g in own if g.corpus.dataset.is_bound}
            for title, several in (("Several sources", True), ("A single source", False)):
                grids = tuple(
                    grid
                    for grid in own
                    if not grid.corpus.dataset.is_bound
                    and (len(grid.corpus.dataset.sources) > 1) == several
                )
                if grids:
                    yield Family(title=f"{title}: {features}", grids=grids, bounds=bounds)


def _features(grid: Grid) -> str:
    kind = "SYNTHETIC TWINS, " if grid.corpus.twin else ""
    return f"{kind}{grid.corpus.feature_set}"


def collect(store: RunStore, grids: Sequence[Grid]) -> Transfers:
    """Choose the runs that count.

    Raises:
        StoreError: When stored predictions do not fit the stored labels.
    """
    held_out = _held_out_scores(grids)
    return Transfers(
        tuple(grids),
        {
            grid.corpus.name: {
                algorithm: _pick(store, grid, rows, held_out)
                for algorithm, rows in _by_algorithm(grid.rows).items()
            }
            for grid in grids
        },
    )


def _by_algorithm(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(algorithm_of(row.label), []).append(row)
    return found


@dataclass(frozen=True, eq=False)
class _Try:
    """One run of one setting with what the three rules look at."""

    label: str
    run: Run
    fitted_on: NDArray[np.float64]  # (n,) validation predictions
    valid: float
    curve: NDArray[np.float32] | None  # (E, N)


_HeldOut: TypeAlias = Mapping[tuple[str, str, int], float]
"""Corpus, row, seed -> mean MAE with each source left out in turn."""


def _pick(store: RunStore, grid: Grid, rows: Sequence[Row], held_out: _HeldOut) -> Pick:
    valid = stored_labels(store, grid.corpus.data, grid.corpus.dataset, "valid")
    tries: dict[int, list[_Try]] = {}
    for row in rows:
        for run in row.runs:
            tries.setdefault(run.seed, []).append(_try(store, valid, row.label, run))
    whole = {seed: tried for seed, tried in tries.items() if len(tried) == len(rows)}
    chosen = [min(tried, key=lambda t: t.valid) for tried in whole.values()]
    pred: dict[Rule, NDArray[np.float64]] = {}
    if chosen:
        pred["training-domain validation"] = np.stack([t.run.pred for t in chosen])
        left_out = [_best_held_out(grid, tried, held_out) for tried in whole.values()]
        if None not in left_out:
            pred["leave-one-domain-out"] = np.stack([t.run.pred for t in left_out if t])
        pred["oracle"] = np.stack([_oracle(grid.truth, tried) for tried in whole.values()])
    return Pick(
        row=rows[0],
        settings=len(rows),
        missing=sum(len(row.missing_runs) for row in rows),
        pred=pred,
        recalibrated=np.array(
            [recalibrated(t.run.pred, t.fitted_on, valid.labels) for t in chosen]
        ),
    )


def _try(store: RunStore, valid: SplitLabels, label: str, run: Run) -> _Try:
    stored = store.get(run.key)
    fitted_on = predictions_of(stored, valid)
    score = _MAE(fitted_on, valid.labels, valid.dataset)
    return _Try(label, run, fitted_on, score, stored.curve("test"))


def _best_held_out(grid: Grid, tried: Sequence[_Try], held_out: _HeldOut) -> _Try | None:
    scores = [held_out.get((grid.corpus.name, t.label, t.run.seed), math.nan) for t in tried]
    return None if any(map(math.isnan, scores)) else tried[int(np.argmin(scores))]


def _oracle(truth: SplitLabels, tried: Sequence[_Try]) -> NDArray[np.float64]:
    """(N,) predictions of the run and epoch that fit the test labels best."""
    seen = np.concatenate(
        [t.run.pred[None] if t.curve is None else t.curve.astype(np.float64) for t in tried]
    )
    best: NDArray[np.float64] = seen[np.abs(seen - truth.labels).mean(axis=1).argmin()]
    return best


def _held_out_scores(grids: Sequence[Grid]) -> dict[tuple[str, str, int], float]:
    """What leave-one-domain-out goes by, for every run whose held-out counterparts are there."""
    known = {
        (*_place(grid), row.label, run.seed): run.scores["mae"]
        for grid in grids
        for row in grid.rows
        for run in row.runs
    }
    found = {}
    for grid in grids:
        sources = frozenset(grid.corpus.dataset.sources)
        for row in grid.rows if len(sources) > 1 else ():
            for run in row.runs:
                scores = [
                    known.get((_features(grid), sources - {out}, out, row.label, run.seed))
                    for out in sorted(sources)
                ]
                there = [score for score in scores if score is not None]
                if len(there) == len(scores):
                    found[grid.corpus.name, row.label, run.seed] = float(np.mean(there))
    return found


def _place(grid: Grid) -> tuple[str, frozenset[str], str]:
    dataset = grid.corpus.dataset
    return _features(grid), frozenset(dataset.sources), dataset.target
