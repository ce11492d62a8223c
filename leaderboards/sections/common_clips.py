"""Submissions that leave out clips, ranked with the rows above on the clips common to all."""

from __future__ import annotations

from collections.abc import Iterator

from leaderboards.document import Block, Bullets, Heading, bold, text
from leaderboards.model import Grid, analyse, on_common_clips
from leaderboards.sections import results
from leaderboards.sections.contract import CorpusSection, Record

__all__ = ["SECTION"]


def _blocks(grid: Grid) -> Iterator[Block]:
    small = on_common_clips(grid)
    if small is None:
        return
    common, whole = len(small.truth), len(grid.truth)
    yield Heading(3, text(f"On the {common} of {whole} clips that all of these predict"))
    yield text(
        "Scores and ranks of this table are of these clips alone and stand beside none of the"
        " tables above: who leaves out clips may leave out hard ones.",
    )
    yield Bullets(
        items=tuple(
            text(bold(row.label), f" predicts {row.clips} of {whole} clips.")
            for row in small.rows
            if row.partial
        )
    )
    yield results.table(small)


def _records(grid: Grid) -> Iterator[Record]:
    small = on_common_clips(grid)
    for row in () if small is None else small.rows:
        assert small is not None
        ranking = analyse(small).rankings.get(small.selection.name)
        ranked = ranking is not None and row.label in ranking.names
        yield {
            "corpus": grid.corpus.name,
            "row": row.label,
            "common_clips": len(small.truth),
            "of": len(grid.truth),
            "partial": row.partial,
            "ranked_by": small.selection.name,
            "rank": list(ranking.rank_of(row.label)) if ranking and ranked else None,
            "metrics": results.metrics_of(small, row),
        }


SECTION = CorpusSection(name="common_clips", blocks=_blocks, records=_records)
