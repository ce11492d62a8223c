"""What the run store says of one system: its runs on twins, and published numbers beside ours.

Each is a line of the fidelity report, like the numbers that its released code reaches.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from harness.metrics import metrics
from harness.runs.store import RunStore
from leaderboards.literature import PublishedRow, literature, reference_runs
from leaderboards.model import Grid, Row, gather, summarise
from leaderboards.studies.reproduce import VERDICTS, ReproducedNumber, reproduce

__all__ = ["SHOWN", "TwinResult", "published_verdicts", "reached_numbers", "twin_results"]

SHOWN = ("mae", "corr", "acc2_non0", "acc7")
"""Metrics of which a fidelity report shows published, reached and ours."""


@dataclass(frozen=True, kw_only=True)
class TwinResult:
    """A row of a stored suite on a twin, between the constant and what the signals allow.

    Args:
        system: Registered name.
        suite: Name of the suite.
        label: The row's name in it.
        corpus: The twin.
        runs: Seeds there.
        mae: Mean over them.
        ceiling: Best MAE from all signals at once, known exactly.
        constant: MAE of the training mean.
    """

    system: str
    suite: str
    label: str
    corpus: str
    runs: int
    mae: float
    ceiling: float
    constant: float

    @property
    def reached(self) -> float:
        """Share of the way from the constant (0) to the ceiling (1)."""
        way = self.constant - self.ceiling
        return (self.constant - self.mae) / way if way > 0 else math.nan


def twin_results(store: RunStore, systems: Iterable[str]) -> Iterator[TwinResult]:
    """Every row with runs of these systems on a twin, suites in alphabetical order.

    Raises:
        StoreError: When a stored record is damaged.
    """
    wanted = set(systems)
    for suite in store.plans():
        if wanted.isdisjoint(_systems_of(store, suite)):
            continue  # gathering scores every run
        for grid in gather(store, suite).grids:
            for row in grid.rows if grid.corpus.twin else ():
                if row.system in wanted and row.runs:
                    yield _result(suite, grid, row)


def _systems_of(store: RunStore, suite: str) -> set[str]:
    return {row.system for row in store.plan(suite).rows}


def _result(suite: str, grid: Grid, row: Row) -> TwinResult:
    ceilings = grid.corpus.ceilings
    return TwinResult(
        system=row.system,
        suite=suite,
        label=row.label,
        corpus=grid.corpus.name,
        runs=len(row.runs),
        mae=summarise(row, metrics["mae"]).mean,
        ceiling=_mae(ceilings, "all"),
        constant=_mae(ceilings, "train_mean"),
    )


def _mae(ceilings: Mapping[str, Mapping[str, float | None]], view: str) -> float:
    value = ceilings.get(view, {}).get("mae")
    return math.nan if value is None else value


def published_verdicts(store: RunStore, systems: Iterable[str]) -> dict[str, dict[str, int]]:
    """System -> verdict -> how many of its published numbers got it; only systems that have any.

    Raises:
        StoreError: When a stored record is damaged.
    """
    wanted = set(systems)
    cells = reproduce(store, (row for row in literature() if row.system in wanted))
    found: dict[str, Counter[str]] = {}
    for cell in cells:
        found.setdefault(cell.published.system, Counter())[cell.verdict] += 1
    return {
        name: {verdict: counts[verdict] for verdict in VERDICTS} for name, counts in found.items()
    }


def reached_numbers(store: RunStore, systems: Iterable[str]) -> tuple[ReproducedNumber, ...]:
    """Published, reached and ours, of the systems whose released code others ran by seed.

    The published number is the one that the code's own authors list; where they list none the mean
    of the reference runs stands in its place, in the table of that name.

    Raises:
        StoreError: When a stored record is damaged.
    """
    wanted = set(systems)
    rows = [
        _listed(runs.row(metric))
        for runs in reference_runs()
        for metric in SHOWN
        if runs.registered in wanted and metric in runs.values
    ]
    return reproduce(store, rows)


def _listed(mean: PublishedRow) -> PublishedRow:
    """The number in its authors' file; the mean itself where there is none."""
    asked = (mean.dataset, mean.system, mean.metric)
    found = (
        row
        for row in literature()
        if (row.dataset, row.system, row.metric) == asked
        and (row.reliability, row.condition, row.clips) == ("authors' file", "clean", "all")
        and row.selection == "validation"
    )
    return next(found, mean)
