"""What commands share for output: tables, JSON, complaints, progress.

What is printed may be of others: ids, names, answers of servers. ``harness._util.streams`` makes
everything harmless that ``main`` prints; what is drawn past it is made so here.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from harness._util.redaction import redacted
from harness._util.shown import LONGEST_LINE, bounded, shown, visible
from harness._util.streams import drawing
from harness.errors import RunFailed

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from harness.runs.executors import Done

__all__ = ["JsonFlag", "ProgressLine", "complain", "echo_json", "echo_table", "progress"]

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON with unrounded numbers.")]


def complain(text: str, *, colour: str | None = None) -> None:
    """Print an error or a warning on standard error, its lines no longer than anyone reads."""
    lines = (bounded(line, LONGEST_LINE) for line in redacted(text).split("\n"))
    typer.secho(visible("\n".join(lines)), file=drawing(sys.stderr), fg=colour)


def echo_json(value: object) -> None:
    """Print JSON; undefined numbers become null."""
    typer.echo(json.dumps(_defined(value), indent=1, ensure_ascii=False, allow_nan=False))


def _defined(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _defined(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_defined(item) for item in value]
    return value


def echo_table(
    rows: Sequence[Mapping[str, object]], *, right: frozenset[str] = frozenset()
) -> None:
    """Print rows as a plain aligned table; columns in ``right`` are right-aligned."""
    from tabulate import tabulate

    if not rows:
        typer.echo("(none)")
        return
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    align = ["right" if column in right else "left" for column in columns]
    typer.echo(tabulate(cells, columns, tablefmt="simple", disable_numparse=True, colalign=align))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        from harness._util.printed import defined

        return defined(value, ".4f")
    return shown(value, LONGEST_LINE)


class ProgressLine:
    """Counts finished cells on standard error: a bar in a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self._bar: Bar | None = None
        self.total = self.count = 0

    def start(self, total: int) -> None:
        """Announce how many cells will run, now or after those announced before."""
        self.stop()
        self._bar, self.total, self.count = None, total, 0
        if total and sys.stderr.isatty():
            self._bar = _bar(total)
        else:
            typer.echo(f"{total} cells to run", err=True)

    def advance(self, done: Done) -> None:
        """Report one finished cell."""
        self.count += 1
        spec = done.job.spec
        cell = f"{spec.system} on {spec.corpus}, seed {spec.seed}"
        outcome = f"failed: {done.failure}"
        if done.record is not None:
            outcome = f"{done.record.manifest.cost.fit_seconds:.1f} s"
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], advance=1, description=shown(cell))
            if done.failure:
                line = shown(redacted(f"{cell}: {outcome}"), LONGEST_LINE)
                self._bar.console.print(line, markup=False)
        else:
            width = len(str(self.total))
            typer.echo(f"[{self.count:{width}}/{self.total}] {cell}: {outcome}", err=True)

    def stop(self) -> None:
        """Take the bar down."""
        if self._bar is not None:
            self._bar.stop()


def _bar(total: int) -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    description = TextColumn("{task.description}", markup=False)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), description)
    bar = Bar(*columns, console=Console(file=drawing(sys.stderr)))
    bar.add_task("", total=total)
    bar.start()
    return bar


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
