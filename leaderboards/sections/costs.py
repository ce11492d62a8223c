"""Measured costs: a document of its own, for equal runs differ in seconds and memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from harness._util.printed import defined, with_spread
from leaderboards.document import Block, Document, Heading, Part, Table, left, right, text
from leaderboards.model import Board, Grid, Row, Summary, ordered
from leaderboards.numbers import UNDEFINED
from leaderboards.sections import corpus, zero_shot

__all__ = ["costs", "table"]


def costs(board: Board) -> Document:
    """Measured costs of the whole suite."""
    titles = corpus.titles_of([grid.corpus for grid in board.grids])
    return Document(
        title=f"Measured costs: {board.title}",
        about="As measured: equal runs differ here, even on one machine.",
        parts=tuple(
            Part(
                name=f"corpus-{place}",
                title=title,
                blocks=tuple(_blocks(grid)),
            )
            for place, (grid, title) in enumerate(zip(board.grids, titles, strict=True), start=1)
        ),
    )


def _blocks(grid: Grid) -> Iterator[Block]:
    yield corpus.heading(grid.corpus)
    yield table(grid)
    waited = zero_shot.latencies(grid)
    if waited.rows:
        yield Heading(3, text("Zero-shot models"))
        yield waited


def table(grid: Grid) -> Table:
    """Measured seconds and memory, mean ± sample standard deviation over seeds."""
    return Table(
        columns=(
            *left("System"),
            *right("Runs", "Fit, s", "Predict, s", "Peak memory, MiB"),
            *left("Measured on"),
        ),
        rows=tuple(_row(row) for row in ordered(grid) if row.facts),
        caption="Measured costs",
    )


def _row(row: Row) -> tuple[str, ...]:
    facts = row.facts
    return (
        row.label,
        str(len(facts)),
        _spread([fact.fit_seconds for fact in facts], ".2f"),
        _spread([fact.predict_seconds for fact in facts], ".3f"),
        _spread([fact.peak_memory_bytes / 2**20 for fact in facts], ",.0f"),
        "; ".join(sorted({f"{fact.device}, {fact.processor}" for fact in facts})),
    )


def _spread(values: Sequence[float], form: str) -> str:
    summary = Summary(tuple(values))
    return with_spread(summary.mean, summary.sd, partial(defined, form=form, undefined=UNDEFINED))
