"""What a suite names and a board has no table or no row for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leaderboards.document import Block, Heading, Table, left, text
from leaderboards.model import Board
from leaderboards.sections.contract import BoardSection, Record

__all__ = ["SECTION"]

_NAMED = 4  # rows or corpora that a line names


def _blocks(board: Board) -> Iterator[Block]:
    if not board.absent:
        return
    yield Heading(2, text("Not here"))
    yield text(
        "The suite asks for these too. They were not here when it was planned; nothing stands for"
        " them on this board."
    )
    yield Table(
        columns=left("What", "Rows", "Corpora", "Reason"),
        rows=tuple(
            (one.what, _counted(one.rows), _counted(one.corpora), one.reason)
            for one in board.absent
        ),
        caption="Parts of the suite that are not here",
    )


def _counted(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _records(board: Board) -> Iterator[Record]:
    for one in board.absent:
        yield {
            "absent": one.what,
            "reason": one.reason,
            "rows": list(one.rows),
            "corpora": list(one.corpora),
        }


SECTION = BoardSection(name="absent", title="Not here", blocks=_blocks, records=_records)
