"""Titles of cells in a bar: where there is little room, their middle goes and not their seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.measure import Measurement
from rich.progress import ProgressColumn
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.progress import Task

__all__ = ["TitleColumn", "without_its_middle"]

_GAP = " … "


class TitleColumn(ProgressColumn):
    """What a task is called, in the room that is left."""

    def render(self, task: Task) -> _Title:
        """A title that is cut when it is known how wide it may be."""
        return _Title(task.description)


class _Title:
    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(without_its_middle(self._text, options.max_width), no_wrap=True)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        width = min(cell_len(self._text), options.max_width)
        return Measurement(min(width, 1), width)


def without_its_middle(title: str, width: int) -> str:
    """A title in at most so many columns: its begin, and what follows its last comma.

    Example:
        >>> without_its_middle("TFN on mosi@small, seed 1111", 28)
        'TFN on mosi@small, seed 1111'
        >>> without_its_middle("TFN on mosi@small, seed 1111", 20)
        'TFN on m … seed 1111'
        >>> without_its_middle("TFN on mosi@small, seed 1111", 9)
        'TFN on m…'
    """
    if cell_len(title) <= width:
        return title
    begin, _, end = title.rpartition(", ")
    room = width - cell_len(_GAP + end)
    if not begin or room < 1:
        return set_cell_size(title, max(width - 1, 0)).rstrip() + "…"[:width]
    return set_cell_size(begin, room).rstrip() + _GAP + end
