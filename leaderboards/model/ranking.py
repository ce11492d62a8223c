"""What the stored predictions say beyond their means: rank sets, tie groups, pairs, resolution.

All rows of a grid are compared together, over new seeds and new source videos. A row is compared
when every planned seed is there; constants are a floor, not contestants. It is ranked when its runs
say how seeds vary, or no seed changes it: one run of any other system is a checkpoint, which is
compared in pairs at most, and released weights are one, however many. So are rows that know
different things (``Grid.tracks``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from harness.stats import (
    AverageRank,
    Field,
    Ranking,
    Test,
    average_ranks,
    fields_of,
    pair_tests,
    rank,
)
from leaderboards.model.board import ALPHA, Board, Grid, Row, has_transfers, parts
from leaderboards.model.memo import once
from leaderboards.model.tracks import Track, plain_first

__all__ = [
    "Across",
    "Analysis",
    "across",
    "analyse",
    "has_videos",
    "is_checkpoint",
    "rank_all",
    "unranked_because",
]

_MOST_THREADS = 4  # each holds the draws of one metric


@dataclass(frozen=True, kw_only=True, eq=False)
class Analysis:
    """Comparisons among the rows of a grid.

    Args:
        fields: Primary metric -> estimates of the ranked rows.
        rankings: Primary metric -> rank sets; empty below two ranked rows, and for several tracks.
        crossed: Primary metric -> for several tracks, the comparisons of all pairs. Ranks among
            them mean nothing.
        checkpoints: Primary metric -> for one track, the comparisons of all pairs when single runs
            are among them; empty when none is.
    """

    fields: Mapping[str, Field]
    rankings: Mapping[str, Ranking]
    crossed: Mapping[str, Ranking]
    checkpoints: Mapping[str, Ranking]


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


def is_checkpoint(row: Row) -> bool:
    """Whether nothing tells how another training would do.

    So it is with one run of a system that seeds change, and with released weights, of which the
    release chose the seeds.
    """
    return row.released is not None or (len(row.runs) == 1 and not row.deterministic)


def unranked_because(row: Row) -> str:
    """Why a row has no rank; empty when it has one."""
    reason = _incomparable_because(row)
    if not reason and row.released is not None:
        return "released weights: seeds and selection are the release's"
    if not reason and is_checkpoint(row):
        return "one run of a system that seeds change"
    return reason


def _incomparable_because(row: Row) -> str:
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
    every = _fields(grid)
    ranked = [row.label for row in grid.rows if not unranked_because(row)]
    fields = {} if len(ranked) < 2 else {name: of.among(ranked) for name, of in every.items()}
    if len(grid.tracks) > 1:
        return Analysis(
            fields=fields,
            rankings={},
            crossed=rank_all(every, grid.alpha, tests=grid.tests),
            checkpoints={},
        )
    single = any(len(of.names) > len(ranked) for of in every.values())
    return Analysis(
        fields=fields,
        rankings=rank_all(fields, grid.alpha, tests=grid.tests),
        crossed={},
        checkpoints=rank_all(every, grid.alpha, tests=grid.tests) if single else {},
    )


def rank_all(
    fields: Mapping[str, Field], alpha: float = ALPHA, *, tests: Test = pair_tests
) -> dict[str, Ranking]:
    """Rank sets in every metric, side by side: NumPy computes without the interpreter's lock.

    Args:
        fields: Metric -> field.
        alpha: Level of the claims in each.
        tests: What compares the pairs of a field, or remembers it.
    """
    compare = partial(rank, alpha=alpha, tests=tests)
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_THREADS)) as pool:
        return dict(zip(fields, pool.map(compare, fields.values()), strict=True))


def has_videos(grid: Grid) -> bool:
    """Whether its clips are of two source videos or more, which any comparison takes."""
    return len(set(grid.truth.videos)) > 1


@once
def _fields(grid: Grid) -> Mapping[str, Field]:
    """Estimates of the complete rows; those of the whole for a part of one.

    None of fewer than two rows, nor where one source video tells nothing of others.
    """
    rows = [row for row in grid.rows if not _incomparable_because(row)]
    if len(rows) < 2 or not has_videos(grid):
        return {}
    if grid.whole is not None:
        labels = [row.label for row in rows]
        return {name: of.among(labels) for name, of in _fields(grid.whole).items()}
    return fields_of(
        {row.label: np.stack([run.pred for run in row.runs]) for row in rows},
        grid.truth.labels,
        grid.truth.videos,
        grid.metrics,
        dataset=grid.corpus.dataset,
    )


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
        rows=average_ranks(
            [analyse(grid).fields[metric] for grid in chosen],
            chosen[0].alpha,
            tests=chosen[0].tests,
        ),
    )


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
