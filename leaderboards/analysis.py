"""What the stored predictions say beyond their means: rank sets, tie groups, pairs, resolution.

All rows of a grid are resampled together (two-way bootstrap over seeds and source videos). A row is
ranked when every planned seed is there; constants are a floor, not contestants. Rows that know
different things (``Grid.strata``) are compared in pairs at most.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.metrics import metrics_for
from harness.stats import AverageRank, Field, Ranking, average_ranks, draw_fields, rank
from leaderboards.strata import Stratum, plain_first

if TYPE_CHECKING:
    from leaderboards.board import Grid, Row

__all__ = ["Across", "Analysis", "across", "analyse", "draws_for", "unranked_because"]

DRAWS = 10_000
"""Bootstrap draws behind every table, at least."""

_PER_PAIR = 100


@dataclass(frozen=True, kw_only=True, eq=False)
class Analysis:
    """Comparisons among the ranked rows of a grid.

    Args:
        fields: Primary metric -> bootstrap draws of the ranked rows.
        rankings: Primary metric -> rank sets; empty below two ranked rows, and for several strata.
        crossed: Primary metric -> for several strata, the comparisons of all pairs. Ranks among
            them mean nothing.
    """

    fields: Mapping[str, Field]
    rankings: Mapping[str, Ranking]
    crossed: Mapping[str, Ranking]


@dataclass(frozen=True, kw_only=True)
class Across:
    """Average ranks over the corpora of a board.

    Args:
        stratum: What the rows knew.
        metric: What was ranked by.
        corpora: The corpora averaged over, in board order.
        left_out: Corpora not averaged over -> why.
        rows: Rows ranked on all of ``corpora``, best first.
    """

    stratum: Stratum
    metric: str
    corpora: tuple[str, ...]
    left_out: Mapping[str, str]
    rows: tuple[AverageRank, ...]


def draws_for(rows: int) -> int:
    """Bootstrap draws behind a table of so many rows.

    No p-value is below 2 / (D + 1), and Holm multiplies the smallest by the number of pairs: with
    10,000 draws no pair of 23 rows could ever be significant. With 100 per pair each can be.

    Example:
        >>> draws_for(10), draws_for(30)
        (10000, 43500)
    """
    return max(DRAWS, _PER_PAIR * rows * (rows - 1) // 2)


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
    """Compare the complete rows of a grid in every primary metric; rank them if of one stratum."""
    labels = [row.label for row in grid.rows if not unranked_because(row)]
    fields = {} if len(labels) < 2 else _fields(grid, labels)
    compared = {name: rank(field) for name, field in fields.items()}
    if len(grid.strata) > 1:
        return Analysis(fields=fields, rankings={}, crossed=compared)
    return Analysis(fields=fields, rankings=compared, crossed={})


def _fields(grid: Grid, labels: Sequence[str]) -> Mapping[str, Field]:
    """Draws of the named rows: those of the whole where the grid is a part of one."""
    if grid.whole is not None:
        drawn = grid.whole.analysis.fields
        return {name: field.among(labels) for name, field in drawn.items()}
    truth, dataset = grid.truth, grid.corpus.dataset
    return draw_fields(
        {r.label: np.stack([run.pred for run in r.runs]) for r in grid.rows if r.label in labels},
        truth.labels,
        truth.videos.astype(str),
        metrics_for(dataset, primary=True),
        draws_for(len(labels)),
        dataset=dataset,
    )


def across(grids: Sequence[Grid], metric: str) -> tuple[Across, ...]:
    """Average ranks over the datasets of a board, for every stratum that has two of them.

    A real dataset whose clips all recur in another one of the board is left out, and so is every
    further corpus of a dataset already counted: neither is evidence of its own.
    """
    parts = [part for grid in grids for part in grid.parts]
    found = (
        _across(stratum, [part for part in parts if part.strata == (stratum,)], metric)
        for stratum in plain_first(part.strata[0] for part in parts)
    )
    return tuple(averages for averages in found if averages is not None and averages.rows)


def _across(stratum: Stratum, grids: Sequence[Grid], metric: str) -> Across | None:
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
        stratum=stratum,
        metric=metric,
        corpora=tuple(grid.corpus.name for grid in chosen),
        left_out=left_out,
        rows=average_ranks(_equally_drawn([grid.analysis.fields[metric] for grid in chosen])),
    )


def _equally_drawn(fields: Sequence[Field]) -> list[Field]:
    """The fields with as many draws as the shortest has; draws are in no order."""
    least = min(field.drawn.shape[1] for field in fields)
    return [dataclasses.replace(field, drawn=field.drawn[:, :least]) for field in fields]


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
