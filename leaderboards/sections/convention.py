"""Scores as the benchmark states them whose protocol a board follows.

A protocol that is a benchmark's has a convention of the same name. Rows are told apart and ranked
by the metrics of this harness; here the same predictions are in the benchmark's own units, for who
holds a paper beside the board.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from harness._util.printed import with_spread
from harness.data.datasets import Dataset
from harness.metrics import CONVENTIONS, Convention, Metric, metrics
from leaderboards.document import Block, Heading, Table, left, right, text
from leaderboards.model import Board, Grid, Row, ordered
from leaderboards.numbers import EMPTY, number
from leaderboards.sections._rows import heading, seeds
from leaderboards.sections.contract import BoardSection

__all__ = ["SECTION", "table"]

_CONVENTIONS = {convention.name: convention for convention in CONVENTIONS}
_CANONICAL = CONVENTIONS[0].name


def _blocks(board: Board) -> Iterator[Block]:
    convention = _CONVENTIONS.get(str(board.protocol["name"]))
    if convention is None or convention.name == _CANONICAL:
        return
    scored = [grid for grid in board.grids if grid.corpus.dataset.family in convention.rules]
    if scored:
        yield Heading(2, text(f"As {convention.title} scores"))
        yield text(
            f"Mean ± standard deviation over seeds, by the convention of {convention.title}:"
            f" {convention.note}. The same predictions as above; nothing here is ranked."
        )
        yield table(convention, scored)


def table(convention: Convention, grids: list[Grid]) -> Table:
    """A line for each row of each corpus that has runs."""
    columns = _columns(convention, grids[0].corpus.dataset)
    return Table(
        columns=(*left("Corpus", "System"), *right("Seeds", *map(heading, columns.values()))),
        rows=tuple(
            (grid.corpus.name, row.label, seeds(row), *_cells(convention, grid, row, columns))
            for grid in grids
            for row in ordered(grid)
            if row.runs
        ),
        caption=f"As {convention.title} scores",
    )


def _columns(convention: Convention, dataset: Dataset) -> dict[str, Metric]:
    """Column of the convention -> the metric whose title and form it has."""
    return {name: metrics[name] for name in convention.functions(dataset)}


def _cells(
    convention: Convention, grid: Grid, row: Row, columns: dict[str, Metric]
) -> Iterator[str]:
    functions = convention.functions(grid.corpus.dataset)
    for name, metric in columns.items():
        if name not in functions:
            yield EMPTY
            continue
        found = np.array([functions[name](run.pred, grid.truth.labels) for run in row.runs])
        spread = float(found.std(ddof=1)) if found.size > 1 else float("nan")
        yield with_spread(float(found.mean()), spread, partial(number, metric=metric))


SECTION = BoardSection(name="convention", title="As its benchmark scores", blocks=_blocks)
