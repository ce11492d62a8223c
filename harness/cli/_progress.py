"""How far cells are, on standard error: bars in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from harness._util.printed import duration
from harness._util.redaction import redacted
from harness._util.shown import LONGEST_LINE, shown
from harness._util.streams import drawing
from harness.errors import RunFailed

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from harness.runs.cell import Job
    from harness.runs.events import CellEvent, Trained
    from harness.runs.executors import Done

__all__ = ["ProgressLine", "progress"]

_EVERY = 60.0  # seconds between two lines about a cell where there is no terminal
_BAR = 10  # columns


class ProgressLine:
    """Counts finished cells and shows how far those under way are."""

    def __init__(self) -> None:
        self._bars: Progress | None = None
        self._cells: dict[str, _Cell] = {}
        self._logs = contextlib.ExitStack()
        self.total = self.count = 0

    def start(self, total: int) -> None:
        """Announce how many cells will run, now or after those announced before."""
        self.stop()
        self.total, self.count = total, 0
        if total and sys.stderr.isatty():
            self._bars = _bars(total)
            self._logs.enter_context(_logs_above(self._bars))
        else:
            typer.echo(f"{total} cells to run", err=True)

    def hear(self, job: Job, event: CellEvent) -> None:
        """Show what a worker says of its cell."""
        from harness.runs.events import Began, Trained

        key = job.spec.key
        if isinstance(event, Began):
            self._close(key)
            self._cells[key] = _Cell(None if self._bars is None else _line(self._bars, job))
        elif isinstance(event, Trained) and (cell := self._cells.get(key)) is not None:
            cell.learn(event)
            self._show(job, event, cell)

    def _show(self, job: Job, event: Trained, cell: _Cell) -> None:
        from harness.runs.cell_logs import figures_of, place_of

        figures = figures_of(job, event)
        if self._bars is not None and cell.bar is not None:
            self._bars.update(
                cell.bar,
                total=event.of,
                completed=event.epoch.epoch,
                left=f"≤ {cell.left}" if cell.left else "",
                figures=figures,
            )
        elif self._bars is None and time.monotonic() - cell.shown >= _EVERY:
            cell.shown = time.monotonic()
            left = f", at most {cell.left} to go" if cell.left else ""
            typer.echo(f"  {shown(job.title)}: {place_of(event)}, {figures}{left}", err=True)

    def advance(self, done: Done) -> None:
        """Report one finished cell."""
        self.count += 1
        self._close(done.job.spec.key)
        outcome = f"failed: {done.failure}"
        if done.record is not None:
            outcome = duration(done.record.manifest.cost.fit_seconds)
        line = shown(redacted(f"{done.job.title}: {outcome}"), LONGEST_LINE)
        if self._bars is not None:
            self._bars.update(self._bars.task_ids[0], advance=1, description="all cells")
            if done.failure:
                self._bars.console.print(line, markup=False, highlight=False)
        else:
            width = len(str(self.total))
            typer.echo(f"[{self.count:{width}}/{self.total}] {line}", err=True)

    def _close(self, key: str) -> None:
        cell = self._cells.pop(key, None)
        if cell is not None and cell.bar is not None and self._bars is not None:
            self._bars.remove_task(cell.bar)

    def stop(self) -> None:
        """Take the bars down."""
        if self._bars is not None:
            self._logs.close()
            self._bars.stop()
        self._bars = None
        self._cells.clear()


class _Cell:
    """A cell under way.

    Args:
        bar: Its line in a terminal.
    """

    def __init__(self, bar: TaskID | None) -> None:
        self.bar, self.shown, self.left = bar, time.monotonic(), ""  # what is left, in words
        self._seconds, self._epochs = 0.0, 0

    def learn(self, event: Trained) -> None:
        """Reckon what is left of the stage from the epochs heard of so far."""
        self._seconds += event.epoch.seconds
        self._epochs += 1
        left = (event.of - event.epoch.epoch) * self._seconds / self._epochs
        self.left = duration(left) if left else ""


def _line(bars: Progress, job: Job) -> TaskID:
    bars.update(bars.task_ids[0], description="all cells")
    return bars.add_task(shown(job.title), total=None, left="", figures="")


def _bars(total: int) -> Progress:
    """The bar of all cells, above those of the ones under way."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.table import Column

    from harness.cli._titles import TitleColumn

    bars = Progress(
        BarColumn(_BAR),
        MofNCompleteColumn(),
        TextColumn("{task.fields[left]}", markup=False),
        TitleColumn(table_column=Column(ratio=1, no_wrap=True)),
        TextColumn("{task.fields[figures]}", markup=False, table_column=Column(no_wrap=True)),
        console=Console(file=drawing(sys.stderr)),
        refresh_per_second=4,
        expand=True,
    )
    bars.add_task("workers start", total=total, left="", figures="")
    bars.start()
    return bars


@contextmanager
def _logs_above(bars: Progress) -> Iterator[None]:
    """Print log lines above the bars instead of through them."""
    root, above = logging.getLogger(), _Above(bars)
    printers = [one for one in root.handlers if type(one) is logging.StreamHandler]
    for one in printers:
        root.removeHandler(one)
    root.addHandler(above)
    try:
        yield
    finally:
        root.removeHandler(above)
        for one in printers:
            root.addHandler(one)


class _Above(logging.Handler):
    def __init__(self, bars: Progress) -> None:
        super().__init__()
        self._console = bars.console

    def emit(self, record: logging.LogRecord) -> None:
        for line in redacted(record.getMessage()).splitlines():
            self._console.print(shown(line, LONGEST_LINE), markup=False, highlight=False)


@contextmanager
def progress() -> Iterator[ProgressLine]:
    """A ``ProgressLine`` that is taken down however the block ends.

    Raises:
        RunFailed: When the block is interrupted once cells run; before that, nothing is lost.
    """
    shown = ProgressLine()
    try:
        yield shown
    except KeyboardInterrupt:
        if not shown.total:
            raise
        raise RunFailed(
            f"interrupted after {shown.count} of {shown.total} cells; what finished is stored",
            hint="the same command continues",
        ) from None
    finally:
        shown.stop()
