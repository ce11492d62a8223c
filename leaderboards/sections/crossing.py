"""Pairs of rows that stand in different tables, because they know different things."""

from __future__ import annotations

from collections.abc import Iterator

from harness.stats import Pairing
from leaderboards.document import Block, Table, left, right
from leaderboards.model import Grid, analyse
from leaderboards.numbers import APART, CONDITIONAL, EMPTY
from leaderboards.sections._pairs import by_both, checkpoints_of, folded, pair_cell, square
from leaderboards.sections._rows import numbered
from leaderboards.sections.contract import CorpusSection

__all__ = ["SECTION", "table"]


def _blocks(grid: Grid) -> Iterator[Block]:
    crossed = analyse(grid).crossed
    if not crossed:
        return
    known = {row.label: row.track for row in grid.rows}

    def apart(pair: Pairing) -> bool:
        return known[pair.a] != known[pair.b]

    page = {
        place: (
            square(
                crossed[metric.name],
                metric,
                f"{metric.title}, row minus column, of rows that know different things: no ranking",
                names=_by_track(grid, crossed[metric.name].names),
                mark=f"{APART} ",
                single=checkpoints_of(grid),
                kept=apart,
            ),
        )
        for place, metric in enumerate(grid.metrics)
        if metric.name in crossed
    }
    title = f"Pairwise across tables: {grid.selection.title}"
    yield folded(title, table(grid), "Pairwise comparisons across tables", page)


def _by_track(grid: Grid, names: tuple[str, ...]) -> tuple[str, ...]:
    known = {row.label: grid.tracks.index(row.track) for row in grid.rows if not row.reference}
    return tuple(sorted(names, key=lambda name: known[name]))


def table(grid: Grid) -> Table:
    """Row minus column in the selection metric; rows of one track are not compared here."""
    metric = grid.selection
    ranking = analyse(grid).crossed.get(metric.name)
    if ranking is None:
        return Table(columns=(), rows=())
    found = by_both(ranking)
    knows = {row.label: row.track for row in grid.rows}
    names = _by_track(grid, ranking.names)
    single = checkpoints_of(grid)
    notes: list[str] = []
    once = {row.label for row in grid.rows if row.zero_shot and row.label in ranking.conditional}
    marks = {name: numbered([CONDITIONAL] if name in once else [], notes) for name in names}

    def cell(a: str, b: str) -> str:
        if knows[a] == knows[b]:
            return EMPTY
        return f"{APART} {pair_cell(a, found.get((a, b)), metric, ranking.alpha, single)}"

    return Table(
        columns=(*left(f"{metric.title}: row - column", "Knows"), *right(*names)),
        rows=tuple((a + marks[a], knows[a].title, *(cell(a, b) for b in names)) for a in names),
        notes=tuple(notes),
    )


SECTION = CorpusSection(name="crossing", blocks=_blocks)
