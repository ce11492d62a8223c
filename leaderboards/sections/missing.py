"""Planned runs that are not there, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator

from leaderboards.document import Block, Heading, Table, left, text
from leaderboards.model import Grid, ordered
from leaderboards.numbers import EMPTY
from leaderboards.sections.contract import CorpusSection

__all__ = ["SECTION", "table"]


def _blocks(grid: Grid) -> Iterator[Block]:
    found = table(grid)
    if found.rows:
        yield Heading(3, text("Holes"))
        yield found


def table(grid: Grid) -> Table:
    """Seeds missing for the same reason on one line."""
    lines = []
    for row in ordered(grid):
        reasons: dict[tuple[str, str], list[str]] = {}
        for one in row.missing_runs:
            reasons.setdefault((one.state, one.reason), []).append(str(one.seed))
        for (state, reason), seeds in reasons.items():
            which = "all" if len(seeds) == row.planned else ", ".join(seeds)
            lines.append((row.label, which, state, reason or EMPTY))
    return Table(
        columns=left("System", "Seeds", "State", "Reason"),
        rows=tuple(lines),
        caption="Planned runs that are missing",
    )


SECTION = CorpusSection(name="missing", blocks=_blocks)
