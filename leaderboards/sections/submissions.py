"""Submissions that are never ranked with the rows above, with what sets them apart."""

from __future__ import annotations

from collections.abc import Iterator

from leaderboards.document import (
    Block,
    Fold,
    Heading,
    PerFormat,
    Results,
    Table,
    code,
    left,
    right,
    text,
)
from leaderboards.model import Grid
from leaderboards.numbers import EMPTY
from leaderboards.sections._lines import line_of
from leaderboards.sections._rows import heading, numbered, score
from leaderboards.sections.contract import CorpusSection

__all__ = ["SECTION", "table"]

_ABOUT = text(
    "Predictions made elsewhere, scored here on the clips they cover. Never ranked with the"
    " rows above: ",
    code("msa compare"),
    " tests any two on their common clips.",
)


def _blocks(grid: Grid) -> Iterator[Block]:
    if not grid.submissions:
        return
    title = "Submissions that are not ranked with these rows"
    results = Results(
        caption=title,
        lines=tuple(line_of(grid, row) for row in grid.submissions),
        metrics=grid.metrics,
        ranked=0,
    )
    folded = Fold(title=f"{title}: {len(grid.submissions)}", blocks=(_ABOUT, results), opened=True)
    yield PerFormat(
        file=(Heading(3, text("Submissions")), _ABOUT, table(grid)),
        page=(folded,),
    )


def table(grid: Grid) -> Table:
    """One line per submission, its statements as columns."""
    shown = grid.metrics
    notes: list[str] = []
    rows = []
    for row in grid.submissions:
        name = row.label + numbered(row.flags, notes)
        stated = (row.badge, row.text, ", ".join(row.inputs) or EMPTY, row.side_info, row.selection)
        counts = (f"{row.clips}/{len(grid.truth)}", str(len(row.runs)))
        scores = (score(row, metric, notes) for metric in shown)
        rows.append((name, *stated, *counts, *scores, row.outside))
    stated_columns = ("Submission", "Badge", "Text", "Inputs", "Side information", "Selection")
    return Table(
        columns=(
            *left(*stated_columns),
            *right("Clips", "Runs", *map(heading, shown)),
            *left("Apart because it"),
        ),
        rows=tuple(rows),
        notes=tuple(notes),
    )


SECTION = CorpusSection(name="submissions", blocks=_blocks)
