"""Sections of a board: one file or folder per topic, with its blocks and its records.

``ORDER`` lists them as they stand on every board. A new section is a file that ends in a
``BoardSection`` or a ``CorpusSection``, and its line in ``ORDER``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TypeAlias

from harness._util.canonical import Json
from harness.runs.looks import Look
from leaderboards.document import Document, Part
from leaderboards.model import Board, Grid, Row, ordered, shown
from leaderboards.sections import (
    absent,
    across,
    ceilings,
    common_clips,
    convention,
    corpus,
    crossing,
    legend,
    literature,
    making,
    missing,
    per_seed,
    protocol,
    reliability,
    results,
    slices,
    submissions,
    transfer,
    zero_shot,
)
from leaderboards.sections.contract import BoardSection, CorpusSection, Record
from leaderboards.sections.costs import costs

__all__ = [
    "ORDER",
    "BoardSection",
    "CorpusSection",
    "Section",
    "compose",
    "costs",
    "records",
    "results",
]

Section: TypeAlias = BoardSection | CorpusSection

ORDER: tuple[Section, ...] = (
    protocol.SECTION,
    absent.SECTION,
    transfer.SECTION,
    corpus.SECTION,
    results.SECTION,
    slices.SECTION,
    crossing.SECTION,
    reliability.SECTION,
    zero_shot.SECTION,
    submissions.SECTION,
    common_clips.SECTION,
    ceilings.SECTION,
    making.SECTION,
    missing.SECTION,
    per_seed.SECTION,
    across.SECTION,
    convention.SECTION,
    literature.SECTION,
    legend.SECTION,
)
"""Neighbouring sections of corpora share chapters, one per corpus."""


def compose(board: Board, order: Sequence[Section] = ORDER) -> Document:
    """The document of a board.

    Args:
        board: What to show.
        order: Its sections.
    """
    return Document(
        title=board.title,
        about=f"Suite {board.suite}, seeds {', '.join(map(str, board.seeds))}.",
        parts=tuple(_parts(board, order)),
    )


def _parts(board: Board, order: Sequence[Section]) -> Iterator[Part]:
    for kind, group in groupby(order, key=type):
        sections = list(group)
        if kind is CorpusSection:
            own = [section for section in sections if isinstance(section, CorpusSection)]
            titles = corpus.titles_of([grid.corpus for grid in shown(board)])
            for place, (grid, title) in enumerate(zip(shown(board), titles, strict=True), start=1):
                yield _of_corpus(grid, own, f"corpus-{place}", title)
        for section in sections:
            if isinstance(section, BoardSection) and (blocks := tuple(section.blocks(board))):
                yield Part(
                    name=section.name,
                    title=section.title,
                    blocks=blocks,
                    reference=section.reference,
                )


def _of_corpus(grid: Grid, sections: Sequence[CorpusSection], name: str, title: str) -> Part:
    return Part(
        name=name,
        title=title,
        blocks=tuple(block for section in sections for block in section.blocks(grid)),
        metrics=grid.metrics,
        chosen=grid.metrics.index(grid.selection),
        twin=grid.corpus.twin,
    )


def records(board: Board, order: Sequence[Section] = ORDER) -> list[Record]:
    """One record per row in board order, then what sections add; None where undefined."""
    of_rows = [section for section in order if isinstance(section, CorpusSection)]
    of_board = [section for section in order if isinstance(section, BoardSection)]
    return [
        *(_record(board, grid, row, of_rows) for grid in board.grids for row in ordered(grid)),
        *(r for grid in board.grids for section in of_rows for r in section.records(grid)),
        *(record for section in of_board for record in section.records(board)),
    ]


def _look(look: Look) -> dict[str, Json]:
    """At how many seeds it is looked, which look was reached, and the level of claims at it."""
    return {
        "looks": list(look.looks),
        "seeds": look.seeds,
        "level": look.level,
        "decide": look.decide,
    }


def _carried(row: Row) -> dict[str, Json]:
    """Where runs are of an earlier source: how many, and how many of the row were replayed."""
    if row.carried is None:
        return {}
    return {"carried": dataclasses.asdict(row.carried) | {"records": list(row.carried.records)}}


def _record(board: Board, grid: Grid, row: Row, sections: Sequence[CorpusSection]) -> Record:
    return {
        "corpus": grid.corpus.name,
        "data": grid.corpus.data,
        "twin": grid.corpus.twin,
        **({"trial": True} if grid.corpus.trial else {}),
        "protocol": row.tuned.get("protocol", board.protocol["digest"]),
        "look": None if board.look is None else _look(board.look),
        "row": row.label,
        "system": row.system,
        "reference": row.reference,
        "deterministic": row.deterministic,
        "inputs": list(row.inputs),
        "side_info": row.side_info,
        "knowledge": row.knowledge,
        "supervision": row.supervision,
        "n": len(row.runs),
        "N": row.planned,
        "seeds": [run.seed for run in row.runs],
        "runs": [run.key for run in row.runs],
        "holes": [
            {"seed": one.seed, "state": one.state, "reason": one.reason} for one in row.missing_runs
        ],
        **_carried(row),
        **{key: value for section in sections for key, value in section.fields(grid, row).items()},
    }
