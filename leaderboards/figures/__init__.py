"""Figures of a board: pure functions of its grids, saved as PNG and as SVG.

matplotlib is imported when something is drawn, not before, and its settings are left as they were.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import StoreError
from leaderboards.board import Board, Grid
from leaderboards.figures._save import save
from leaderboards.figures.gates import gate_map, telling
from leaderboards.figures.pareto import cost_pareto, pareto_front
from leaderboards.figures.ranks import rank_intervals
from leaderboards.figures.scatter import metric_scatter
from leaderboards.figures.seeds import seed_strip

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "cost_pareto",
    "draw",
    "gate_map",
    "metric_scatter",
    "pareto_front",
    "rank_intervals",
    "save",
    "seed_strip",
]


def draw(board: Board, folder: Path) -> list[Path]:
    """Write the figures of every corpus, ``<suite>.<corpus>.<kind>.{png,svg}``, into ``folder``.

    Kinds are ``seeds``, ``scatter``, ``cost``, from two ranked rows ``ranks``, and whatever systems
    tell of themselves (``routing``, ``gate``). All but
    ``cost`` depend on stored predictions alone. Rows that know different things stand in figures of
    their own, the second ones called ``<suite>.<corpus>.part-2.<kind>``.

    Raises:
        StoreError: When a file cannot be written.
    """
    try:
        return [
            file
            for grid in board.grids
            for place, part in enumerate(grid.parts, start=1)
            for kind, figure in _figures(part)
            for file in save(figure, folder / _name(board, part, place, kind))
        ]
    except OSError as error:
        raise StoreError(f"figures cannot be written: {error}") from error


def _name(board: Board, part: Grid, place: int, kind: str) -> str:
    which = "" if place == 1 else f".part-{place}"
    return f"{board.suite}.{part.corpus.name}{which}.{kind}"


def _figures(grid: Grid) -> Iterator[tuple[str, Figure]]:
    rankings = grid.analysis.rankings
    if grid.selection.name in rankings:
        yield "ranks", rank_intervals(grid, rankings[grid.selection.name])
    yield "seeds", seed_strip(grid)
    yield "scatter", metric_scatter(grid, rankings=rankings)
    yield "cost", cost_pareto(grid)
    for name, rows in telling(grid).items():
        yield name, gate_map(grid, name, rows)
