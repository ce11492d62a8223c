"""How each row came about: inputs, selection rule, size, epochs and training clips seen."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence

from harness.metrics import Metric
from leaderboards.document import Block, Fold, Heading, PerFormat, Table, left, right, text
from leaderboards.model import Facts, Grid, Row, ordered
from leaderboards.numbers import EMPTY
from leaderboards.sections.contract import CorpusSection

__all__ = ["SECTION", "table"]

_TITLE = "How the rows were made"


def _blocks(grid: Grid) -> Iterator[Block]:
    found = table(grid)
    if found.rows:
        yield PerFormat(
            file=(Heading(3, text(_TITLE)), found), page=(Fold(title=_TITLE, blocks=(found,)),)
        )


def table(grid: Grid) -> Table:
    """One line per row."""
    return Table(
        columns=(
            *left("System", "Registered as", "Changed", "Inputs", "Selection"),
            *right("Parameters", "Epochs, selected", "Epochs, run", "Training clips seen"),
        ),
        rows=tuple(_row(row, grid.selection) for row in ordered(grid)),
        caption=_TITLE,
    )


def _row(row: Row, selection: Metric) -> tuple[str, ...]:
    changed = ", ".join(f"{name}={value}" for name, value in sorted(row.changed.items()))
    facts = row.facts
    trained = [fact for fact in facts if fact.epochs]
    return (
        row.label,
        row.system,
        changed or EMPTY,
        ", ".join(row.inputs) or EMPTY,
        _selection(row, selection) if trained or row.released else EMPTY,
        _sizes(facts),
        _mean((fact.selected_epoch for fact in trained), ".1f"),
        _mean((fact.epochs for fact in trained), ".1f"),
        _mean((fact.epochs * fact.train_clips for fact in trained), ",.0f"),
    )


def _selection(row: Row, selection: Metric) -> str:
    """What chose the checkpoints; of released weights, as the release states it."""
    if row.rule:
        return f"as released: {row.rule}"
    if row.released is None:
        return f"validation {selection.title}"
    return f"{row.released.selection}, by the release"


def _sizes(facts: Sequence[Facts]) -> str:
    sizes = sorted({(fact.trainable, fact.parameters) for fact in facts})
    shown = [
        f"{all_:,}" if some == all_ else f"{some:,} of {all_:,}" for some, all_ in sizes if all_
    ]
    return "; ".join(shown) or EMPTY


def _mean(values: Iterable[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    return format(statistics.fmean(known), form) if known else EMPTY


SECTION = CorpusSection(name="making", blocks=_blocks)
