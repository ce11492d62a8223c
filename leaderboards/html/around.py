"""What stands around the corpora: average ranks, the protocol, and how to read it all."""

from __future__ import annotations

from collections.abc import Iterator

from harness.metrics import metrics
from harness.submissions import Badge
from leaderboards import markdown, tables, transfer_page
from leaderboards.analysis import Across
from leaderboards.board import Board
from leaderboards.html.drawings import draw_average
from leaderboards.html.markup import Html, join, tag
from leaderboards.html.parts import plain_table
from leaderboards.html.prose import block

__all__ = ["across", "legend", "protocol", "transfers"]

_DRAWN = """\
- Choose above a table in which metric ranks and seeds are drawn. The bar is the rank set, on an
  axis from 1 to the number of ranked rows. A dot is a seed, the stroke their mean, the line the
  95 % interval of the mean on new seeds and new videos; a triangle points to what lies beyond the
  axis. Rows are compared in pairs, on the same videos: overlapping intervals do not say that rows
  cannot be told apart.
- Headings sort: best first, then worst first, then the first order again. Undefined values come
  last either way."""


def across(board: Board) -> Iterator[Html]:
    """Average ranks over datasets, one section per stratum that has any."""
    for place, found in enumerate(board.across, start=1):
        yield _across(found, "across" if place == 1 else f"across-{place}")


def _across(found: Across, name: str) -> Html:
    heading, intro, _, *left_out = markdown.across(found)
    table = tables.average_ranks(found)
    drawn = (draw_average(row.mean, (row.low, row.high), len(found.rows)) for row in found.rows)
    rows = (
        (name, mean, join((svg, interval)), *ranks)
        for (name, mean, interval, *ranks), svg in zip(table.rows, drawn, strict=True)
    )
    caption = f"Average ranks in {metrics[found.metric].title}"
    shown = plain_table(tables.Table(columns=table.columns, rows=tuple(rows)), caption)
    parts = (block(heading), block(intro), shown, *map(block, left_out))
    return tag("section", join(parts, "\n"), id=name)


def transfers(board: Board) -> Iterator[Html]:
    """All transfers together, one section."""
    parts = [tag("h2", "All transfers", id="transfers-title")]
    for said in transfer_page.blocks(board):
        if said.title:
            parts.append(tag("h3", said.title))
        if said.words:
            parts.append(tag("p", said.words))
        if said.table is not None:
            parts.append(plain_table(said.table, said.title or "MAE on every transfer"))
    if board.contests:
        yield tag("section", join(parts, "\n"), id="transfers", aria_labelledby="transfers-title")


def protocol(board: Board) -> Html:
    """What must be equal for two numbers to share a table."""
    names = [*markdown._FIRST, *(n for n in board.protocol if n not in markdown._FIRST)]
    fields = tables.Table(
        columns=(tables.Column("Field", "left"), tables.Column("Value", "left")),
        rows=tuple((name, str(board.protocol[name])) for name in names),
    )
    words = "Results under another protocol (another digest) cannot be compared with these."
    parts = (tag("h2", "Protocol"), tag("p", words), plain_table(fields, "Protocol"))
    return tag("section", join(parts, "\n"), id="protocol")


def legend(board: Board) -> Html:
    """How to read the page: the words of the Markdown board, and what only a page has."""
    heading, *said = map(block, markdown.legend(board))
    badges = (
        tag("li", tag("span", badge, class_="badge"), f" {badge.meaning}.") for badge in Badge
    )
    parts = (heading, block(_DRAWN), tag("ul", *badges), *said)
    return tag("section", join(parts, "\n"), id="reading")
