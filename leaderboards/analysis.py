"""What the stored predictions say beyond their means: rank sets, tie groups, pairs, resolution.

All rows of a grid are resampled together (two-way bootstrap over seeds and source videos). A row is
ranked when every planned seed is there; constants are a floor, not contestants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.metrics import metrics_for
from harness.stats import AverageRank, Field, Ranking, average_ranks, draw_fields, rank

if TYPE_CHECKING:
    from leaderboards.board import Grid, Row

__all__ = ["DRAWS", "Across", "Analysis", "across", "analyse", "unranked_because"]

DRAWS = 10_000
"""Bootstrap draws behind every board."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Analysis:
    """Comparisons among the ranked rows of a grid.

    Args:
        fields: Primary metric -> bootstrap draws of the ranked rows.
        rankings: Primary metric -> rank sets; both are empty below two ranked rows.
    """

    fields: Mapping[str, Field]
    rankings: Mapping[str, Ranking]


@dataclass(frozen=True, kw_only=True)
class Across:
    """Average ranks over the corpora of a board.

    Args:
        metric: What was ranked by.
        corpora: The corpora averaged over, in board order.
        left_out: Corpora not averaged over -> why.
        rows: Rows ranked on all of ``corpora``, best first.
    """

    metric: str
    corpora: tuple[str, ...]
    left_out: Mapping[str, str]
    rows: tuple[AverageRank, ...]


def unranked_because(row: Row) -> str:
    """Why a row takes part in no comparison; empty when it does."""
    if row.outside:
        return row.outside
    if row.reference:
        return "constant predictor"
    if row.holes:
        return f"{len(row.holes)} of {row.planned} seeds missing"
    return ""


def analyse(grid: Grid) -> Analysis:
    """Rank the complete rows of a grid in every primary metric."""
    systems = {
        row.label: np.stack([run.pred for run in row.runs])
        for row in grid.rows
        if not unranked_because(row)
    }
    if len(systems) < 2:
        return Analysis(fields={}, rankings={})
    truth, dataset = grid.truth, grid.corpus.dataset
    fields = draw_fields(
        systems,
        truth.labels,
        truth.videos.astype(str),
        metrics_for(dataset, primary=True),
        DRAWS,
        dataset=dataset,
    )
    return Analysis(fields=fields, rankings={name: rank(f) for name, f in fields.items()})


def across(grids: Sequence[Grid], metric: str) -> Across | None:
    """Average ranks over the datasets of a board, None below two of them.

    A real dataset whose clips all recur in another one of the board is left out, and so is every
    further corpus of a dataset already counted: neither is evidence of its own.
    """
    chosen: list[Grid] = []
    left_out: dict[str, str] = {}
    for grid in grids:
        reason = _left_out(grid, chosen, grids)
        if reason:
            left_out[grid.corpus.name] = reason
        else:
            chosen.append(grid)
    if len(chosen) < 2:
        return None
    return Across(
        metric=metric,
        corpora=tuple(grid.corpus.name for grid in chosen),
        left_out=left_out,
        rows=average_ranks([grid.analysis.fields[metric] for grid in chosen]),
    )


def _left_out(grid: Grid, chosen: Sequence[Grid], grids: Sequence[Grid]) -> str:
    if not grid.analysis.fields:
        return "fewer than two ranked rows"
    corpus = grid.corpus
    if any(other.corpus.dataset is corpus.dataset for other in chosen):
        return f"another corpus of {corpus.dataset.title} is counted"
    for other in grids:
        contains = corpus.dataset.name in other.corpus.dataset.contains
        if contains and not corpus.twin and other.analysis.fields:
            return f"its clips all recur in {other.corpus.dataset.title}"
    return ""
