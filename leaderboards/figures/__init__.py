"""Figures of a board: pure functions of its grids, saved as PDF, PNG and SVG.

matplotlib is imported when something is drawn, not before, and its settings are left as they were.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import StoreError
from leaderboards.figures._save import save
from leaderboards.figures.gates import diagnostic_rows, gate_map
from leaderboards.figures.pareto import cost_pareto, pareto_front
from leaderboards.figures.ranks import rank_intervals
from leaderboards.figures.reliability import reliability_curves, reliability_maps
from leaderboards.figures.scatter import metric_scatter
from leaderboards.figures.seeds import seed_strip
from leaderboards.model import Board, Grid, analyse, parts
from leaderboards.sections.reliability import reliability

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "cost_pareto",
    "draw",
    "gate_map",
    "metric_scatter",
    "pareto_front",
    "rank_intervals",
    "reliability_curves",
    "reliability_maps",
    "save",
    "seed_strip",
    "style",
    "tuning",
    "variance",
]


def draw(board: Board, folder: Path) -> list[Path]:
    """Write figures of every corpus, ``<suite>.<corpus>.<kind>.{pdf,png,svg}``, into ``folder``.

    Kinds are ``seeds``, ``scatter``, ``cost``, from two ranked rows ``ranks``, each diagnostic of
    systems (``routing``, ``gate``), and under a grid of conditions ``curves`` and ``maps``. All but
    ``cost`` depend on stored predictions alone. Rows of different tracks stand in figures of their
    own, the second ones called ``<suite>.<corpus>.part-2.<kind>``; curves and maps show all rows.

    Raises:
        StoreError: When a file cannot be written.
    """
    try:
        return [
            file
            for name, figure in _named(board)
            for file in save(figure, folder / f"{board.suite}.{name}")
        ]
    except OSError as error:
        raise StoreError(f"figures cannot be written: {error}") from error


def _named(board: Board) -> Iterator[tuple[str, Figure]]:
    for grid in board.grids:
        for place, part in enumerate(parts(grid), start=1):
            which = "" if place == 1 else f".part-{place}"
            for kind, figure in _figures(part):
                yield f"{grid.corpus.name}{which}.{kind}", figure
        for kind, figure in _under_conditions(grid):
            yield f"{grid.corpus.name}.{kind}", figure


def _under_conditions(grid: Grid) -> Iterator[tuple[str, Figure]]:
    """Figures of all rows of a corpus together: what they were trained on is what they show."""
    found = reliability(grid)
    if found is None:
        return
    for kind, draws in (("curves", reliability_curves), ("maps", reliability_maps)):
        figure = draws(grid, found)
        if figure is not None:
            yield kind, figure


def _figures(grid: Grid) -> Iterator[tuple[str, Figure]]:
    rankings = analyse(grid).rankings
    if grid.selection.name in rankings:
        yield "ranks", rank_intervals(grid, rankings[grid.selection.name])
    yield "seeds", seed_strip(grid)
    yield "scatter", metric_scatter(grid, rankings=rankings)
    yield "cost", cost_pareto(grid)
    for name, rows in diagnostic_rows(grid).items():
        yield name, gate_map(grid, name, rows)
