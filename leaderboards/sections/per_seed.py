"""Every run of every row by itself."""

from __future__ import annotations

from collections.abc import Iterator

from leaderboards.document import Block, Fold, PerFormat, Table, left, right
from leaderboards.model import Grid, ordered, parts
from leaderboards.numbers import EMPTY, number
from leaderboards.sections._lines import line_of, lines_of
from leaderboards.sections.contract import CorpusSection

__all__ = ["SECTION", "full", "table"]


def _blocks(grid: Grid) -> Iterator[Block]:
    titles = " / ".join(m.title for m in grid.metrics[:2])
    brief = table(grid)
    yield PerFormat(
        file=(Fold(title=f"Every seed: {titles}", blocks=(brief,)),) if brief.rows else (),
        page=(Fold(title="Every seed", blocks=(full(grid),)),),
    )


def table(grid: Grid) -> Table:
    """The dataset's first two metrics (MAE / Corr) of every run."""
    first = grid.metrics[:2]
    rows = ordered(grid)
    seeds = sorted({run.seed for row in rows for run in row.runs if not row.deterministic})
    lines = []
    for row in rows:
        cells: dict[int | None, str] = {
            None if row.deterministic else run.seed: " / ".join(
                number(run.scores[metric.name], metric) for metric in first
            )
            for run in row.runs
        }
        lines.append((row.label, *(cells.get(seed, EMPTY) for seed in (None, *seeds))))
    return Table(columns=(*left("System"), *right("det.", *map(str, seeds))), rows=tuple(lines))


def full(grid: Grid) -> Table:
    """Every primary metric of every run, constants once, submissions last."""
    shown = grid.metrics
    titles = (f"{metric.title}{' (%)' if metric.percent else ''}" for metric in shown)
    first, *others = (lines_of(part) for part in parts(grid))
    lines = (
        *first,
        *(line for part in others for line in part if not line.constant),
        *(line_of(grid, row) for row in grid.submissions),
    )
    return Table(
        columns=(*left("System"), *right("Seed", *titles)),
        rows=tuple(
            (line.label, run, *(number(line.scores[m.name].values[i], m) for m in shown))
            for line in lines
            for i, run in enumerate(line.runs)
        ),
        caption="Every seed",
    )


SECTION = CorpusSection(name="per_seed", blocks=_blocks)
