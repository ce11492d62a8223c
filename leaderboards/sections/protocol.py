"""What must be equal for two numbers to share a table."""

from __future__ import annotations

from collections.abc import Iterator

from leaderboards.document import Block, Heading, Table, left, text
from leaderboards.model import Board
from leaderboards.sections.contract import BoardSection

__all__ = ["SECTION"]

_FIRST = ("title", "name", "digest")


def _blocks(board: Board) -> Iterator[Block]:
    yield Heading(2, text("Protocol"))
    yield text("Results under another protocol (another digest) cannot be compared with these.")
    names = [*_FIRST, *(name for name in board.protocol if name not in _FIRST)]
    yield Table(
        columns=left("Field", "Value"),
        rows=tuple((name, str(board.protocol[name])) for name in names),
        caption="Protocol",
    )
    if longer := _longer(board):
        yield text(
            f"Epochs: rows whose own schedule is longer than max_epochs train it whole: {longer}."
        )


def _longer(board: Board) -> str:
    """Rows with a ceiling of their own, and what it is on each corpus."""
    found: dict[str, dict[int, None]] = {}
    for row in (row for grid in board.grids for row in grid.rows if row.max_epochs is not None):
        found.setdefault(row.label, {})[int(row.max_epochs or 0)] = None
    return ", ".join(f"{label} {' or '.join(map(str, caps))}" for label, caps in found.items())


SECTION = BoardSection(name="protocol", title="Protocol", blocks=_blocks, reference=True)
