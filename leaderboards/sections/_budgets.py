"""What the settings of rows cost: rows of different budgets are never shown as equals."""

from __future__ import annotations

from collections.abc import Iterator

from harness._util.canonical import Json
from leaderboards.document import Block, Bullets, Notice, Text, bold, code, text
from leaderboards.model import Grid, Row

__all__ = ["blocks", "is_tuned", "record"]


def is_tuned(grid: Grid) -> bool:
    """Whether some row's settings were searched for."""
    return any(row.tuned for row in (grid.whole or grid).rows)


def blocks(grid: Grid) -> Iterator[Block]:
    """What to know before rows are compared whose settings cost different budgets."""
    if not any(row.tuned for row in grid.rows):
        return
    if not _is_equal(grid):
        yield Notice(
            text(
                bold("Unequal budgets:"),
                " the settings of these rows cost different numbers of trials, or were drawn"
                " otherwise. A rank or a difference between them is one of system and budget"
                " together.",
            ),
            "caution",
        )
    yield Bullets(tuple(_told(row) for row in grid.rows if row.tuned))


def record(grid: Grid, row: Row) -> dict[str, Json] | None:
    """As JSON: ``kind``, and of a tuned row what the plan says; None where it is not known."""
    if not row.settings:
        return None
    kind = "tuned" if row.tuned else row.settings
    return {"kind": kind, "same_budget": _is_equal(grid), **row.tuned}


def _is_equal(grid: Grid) -> bool:
    """Whether all rows that could be ranked cost equally many trials by one sampler."""
    budgets = [row.budget for row in grid.rows if not row.reference and row.settings]
    return len({None if each is None else each[:2] for each in budgets}) < 2


def _told(row: Row) -> Text:
    tuned = row.tuned
    return text(
        bold(row.label),
        f": tuned, the best of {tuned['trials']} trials on validation clips (sampler"
        f" {tuned['sampler']}, seed {tuned['seed']}, space {tuned['space']}, trial {tuned['trial']}"
        " of plan ",
        code(str(tuned["plan"])),
        f"); protocol with this budget and space: {tuned['protocol']}.",
    )
