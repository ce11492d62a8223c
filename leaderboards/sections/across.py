"""Average ranks over the datasets of a board."""

from __future__ import annotations

from collections.abc import Iterator

from harness.metrics import metrics
from harness.stats import AverageRank
from leaderboards.document import (
    Block,
    Bullets,
    Drawing,
    Heading,
    Table,
    left,
    right,
    text,
)
from leaderboards.model import PLAIN, Across, Board, across
from leaderboards.sections.contract import BoardSection

__all__ = ["SECTION", "table"]


def _blocks(board: Board) -> Iterator[Block]:
    for found in across(board):
        yield from _of_track(found)


def _of_track(found: Across) -> Iterator[Block]:
    known = "" if found.track == PLAIN else f": {found.track.title}"
    yield Heading(2, text(f"Across datasets{known}"))
    yield text(
        f"Average rank in {metrics[found.metric].title}, equal weights. The interval runs between"
        " the averages of the ends of rank sets, which share 5 % over the datasets: with 95 %"
        " probability every true average rank lies in its interval. No critical-difference diagram:"
        " on so few datasets nothing could differ."
    )
    yield table(found)
    if found.left_out:
        said = (f"{name} is left out: {why}." for name, why in found.left_out.items())
        yield Bullets(tuple(map(text, said)))


def table(found: Across) -> Table:
    """Average rank over datasets with its interval, and the rank on each."""
    return Table(
        columns=(*left("System"), *right("Average rank", "95 % interval", *found.corpora)),
        rows=tuple(
            (
                row.name,
                f"{row.mean:.2f}",
                _interval(row, len(found.rows)),
                *(f"{rank:g}" for rank in row.ranks),
            )
            for row in found.rows
        ),
        caption=f"Average ranks in {metrics[found.metric].title}",
    )


def _interval(row: AverageRank, ranked: int) -> Drawing:
    words = f"{row.low:.2f} – {row.high:.2f}"
    return Drawing(words=words, value=row.mean, low=row.low, high=row.high, last=ranked)


SECTION = BoardSection(name="across", title="Across datasets", blocks=_blocks)
