"""Published numbers on the datasets of a board; nobody here measured them."""

from __future__ import annotations

from collections.abc import Iterator

from harness.data.datasets import Dataset
from harness.metrics import metrics_for
from harness.submissions import NOT_STATED
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
from leaderboards.literature import for_board, lines
from leaderboards.model import Board
from leaderboards.numbers import EMPTY
from leaderboards.sections._lines import published_line
from leaderboards.sections._rows import heading, numbered
from leaderboards.sections.contract import BoardSection

__all__ = ["SECTION", "table"]


def _blocks(board: Board) -> Iterator[Block]:
    shown = {
        grid.corpus.dataset.name: grid.corpus.dataset
        for grid in board.grids
        if grid.corpus.official and not grid.corpus.twin and not grid.corpus.dataset.target
    }
    if not shown:
        return
    yield Heading(2, text("Literature"))
    yield text(
        "Numbers as printed by their sources, which nobody here measured and no rank above counts."
        " Another convention, selection rule or text encoder makes them another quantity: ",
        code("msa reproduce"),
        " sets them beside what was run here.",
    )
    for dataset in shown.values():
        found = table(dataset, readouts=board.protocol.get("kind") == "zero_shot")
        if found.rows:
            content = PerFormat(file=(found,), page=(_results(dataset),))
            yield Fold(title=f"{dataset.title}: published", blocks=(content,))


def _results(dataset: Dataset) -> Results:
    return Results(
        caption=f"Published numbers on {dataset.title}, which nobody can check here",
        lines=tuple(map(published_line, lines(for_board(dataset.name)))),
        metrics=metrics_for(dataset, primary=True),
        ranked=0,
    )


def table(dataset: Dataset, *, readouts: bool = False) -> Table:
    """Published numbers as printed, one line per system and source.

    Args:
        dataset: What they are on.
        readouts: Whether it is said how language models were read.
    """
    shown = metrics_for(dataset, primary=True)
    notes: list[str] = []
    rows = []
    for line in lines(for_board(dataset.name)):
        first = line[0]
        printed = {row.metric: row.shown for row in line}
        stated = (first.text, first.features, first.side_info or "none", first.selection)
        rows.append(
            (
                first.title + numbered(dict.fromkeys(row.note for row in line if row.note), notes),
                *(words or NOT_STATED for words in stated),
                *([first.readout or EMPTY] if readouts else []),
                NOT_STATED if first.seeds is None else str(first.seeds),
                *(printed.get(metric.name, EMPTY) for metric in shown),
                first.convention or NOT_STATED,
                first.source,
                first.reliability,
            )
        )
    return Table(
        columns=(
            *left("System", "Text", "Features", "Side information", "Selection"),
            *(left("Readout") if readouts else ()),
            *right("Runs", *map(heading, shown)),
            *left("Convention", "Source", "Vouched for by"),
        ),
        rows=tuple(rows),
        notes=tuple(notes),
    )


SECTION = BoardSection(name="literature", title="Literature", blocks=_blocks)
