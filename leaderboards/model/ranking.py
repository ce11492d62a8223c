"""What the stored predictions say beyond their means: rank sets, tie groups, pairs, resolution.

All rows of a grid are resampled together (two-way bootstrap over seeds and source videos). A row is
ranked when every planned seed is there; constants are a floor, not contestants. Rows that know
different things (``Grid.tracks``) are compared in pairs at most.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from harness.metrics import Metric, metrics_for
from harness.stats import AverageRank, Field, Ranking, average_ranks, draw_fields, rank
from leaderboards.model.board import Board, Grid, Row, has_transfers, parts
from leaderboards.model.memo import once
from leaderboards.model.tracks import Track, plain_first

__all__ = ["Across", "Analysis", "across", "analyse", "draws_for", "unranked_because"]

DRAWS = 10_000
"""Bootstrap draws behind every table, at least."""

_PER_PAIR = 100
_MOST_THREADS = 4

Given = TypeVar("Given")
Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True, eq=False)
class Analysis:
    """Comparisons among the ranked rows of a grid.

    Args:
        fields: Primary metric -> bootstrap draws of the ranked rows.
        rankings: Primary metric -> rank sets; empty below two ranked rows, and for several tracks.
        crossed: Primary metric -> for several tracks, the comparisons of all pairs. Ranks among
            them mean nothing.
    """

    fields: Mapping[str, Field]
    rankings: Mapping[str, Ranking]
    crossed: Mapping[str, Ranking]


@dataclass(frozen=True, kw_only=True)
class Across:
    """Average ranks over the corpora of a board.

    Args:
        track: What the rows knew.
        metric: What was ranked by.
        corpora: The corpora averaged over, in board order.
        left_out: Corpora not averaged over -> why.
        rows: Rows ranked on all of ``corpora``, best first.
    """

    track: Track
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
    if row.missing_runs:
        return f"{len(row.missing_runs)} of {row.planned} seeds missing"
    return ""


@once
def analyse(grid: Grid) -> Analysis:
    """Compare the complete rows of a grid in every primary metric; rank them if of one track."""
    labels = [row.label for row in grid.rows if not unranked_because(row)]
    fields = {} if len(labels) < 2 else _fields(grid, labels)
    compared = dict(zip(fields, _side_by_side(rank, list(fields.values())), strict=True))
    if len(grid.tracks) > 1:
        return Analysis(fields=fields, rankings={}, crossed=compared)
    return Analysis(fields=fields, rankings=compared, crossed={})


def _fields(grid: Grid, labels: Sequence[str]) -> Mapping[str, Field]:
    """Draws of the named rows: those of the whole where the grid is a part of one."""
    if grid.whole is not None:
        whole = analyse(grid.whole).fields
        return {name: field.among(labels) for name, field in whole.items()}
    truth, dataset = grid.truth, grid.corpus.dataset
    ranked = [row for row in grid.rows if row.label in labels]
    preds = {row.label: np.stack([run.pred for run in row.runs]) for row in ranked}

    def drawn(share: Sequence[Metric]) -> Mapping[str, Field]:
        return draw_fields(
            preds,
            truth.labels,
            truth.videos,
            share,
            draws_for(len(labels)),
            dataset=dataset,
        )

    # What is drawn depends on systems and videos, not on the metrics that share a call.
    chosen = metrics_for(dataset, primary=True)
    shares = [chosen[place :: _threads()] for place in range(min(_threads(), len(chosen)))]
    found: dict[str, Field] = {}
    for fields in _side_by_side(drawn, shares):
        found.update(fields)
    return {metric.name: found[metric.name] for metric in chosen}


def _threads() -> int:
    """A few: each share of the metrics holds the weights of all videos in all draws."""
    return min(os.cpu_count() or 1, _MOST_THREADS)


def _side_by_side(function: Callable[[Given], Found], items: Sequence[Given]) -> list[Found]:
    """``function`` of each item in order, on several threads: NumPy computes without the lock."""
    with ThreadPoolExecutor(_threads()) as pool:
        return list(pool.map(function, items))


@once
def across(board: Board) -> tuple[Across, ...]:
    """Average ranks over the datasets of a board, for every track that has two of them.

    A real dataset whose clips all recur in another one of the board is left out, and so is every
    further corpus of a dataset already counted: neither is evidence of its own. None over
    transfers, which share targets and are averaged in their own way.
    """
    if has_transfers(board):
        return ()
    metric = str(board.protocol["selection_metric"])
    every = [part for grid in board.grids for part in parts(grid)]
    found = (
        _across(track, [part for part in every if part.tracks == (track,)], metric)
        for track in plain_first(part.tracks[0] for part in every)
    )
    return tuple(averages for averages in found if averages is not None and averages.rows)


def _across(track: Track, grids: Sequence[Grid], metric: str) -> Across | None:
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
        track=track,
        metric=metric,
        corpora=tuple(grid.corpus.name for grid in chosen),
        left_out=left_out,
        rows=average_ranks(_equally_drawn([analyse(grid).fields[metric] for grid in chosen])),
    )


def _equally_drawn(fields: Sequence[Field]) -> list[Field]:
    """The fields with as many draws as the shortest has; draws are in no order."""
    least = min(field.drawn.shape[1] for field in fields)
    return [dataclasses.replace(field, drawn=field.drawn[:, :least]) for field in fields]


def _left_out(grid: Grid, chosen: Sequence[Grid], grids: Sequence[Grid]) -> str:
    if not analyse(grid).fields:
        return "fewer than two ranked rows"
    corpus = grid.corpus
    if any(other.corpus.dataset is corpus.dataset for other in chosen):
        return f"another corpus of {corpus.dataset.title} is counted"
    for other in grids:
        contains = corpus.dataset.name in other.corpus.dataset.contains
        if contains and not corpus.twin and analyse(other).fields:
            return f"its clips all recur in {other.corpus.dataset.title}"
    return ""
