"""What commands share for output: tables, JSON, complaints.

What is printed may be of others: ids, names, answers of servers. ``harness._util.streams`` makes
everything harmless that ``main`` prints; what is drawn past it is made so here.
"""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from harness._util.redaction import redacted
from harness._util.shown import LONGEST_LINE, bounded, shown, visible
from harness._util.streams import drawing
from harness.cli._tables import drawn, terminal_width
from harness.errors import StoreError

__all__ = ["JsonFlag", "complain", "echo_json", "echo_table", "echo_text", "write_file", "writing"]

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON with unrounded numbers.")]


def complain(text: str, *, colour: str | None = None) -> None:
    """Print an error or a warning on standard error, its lines no longer than anyone reads.

    In a terminal they wrap between words, but for the next step, which may be copied.
    """
    width = shutil.get_terminal_size().columns if sys.stderr.isatty() else None
    lines = (visible(bounded(line, LONGEST_LINE)) for line in redacted(text).split("\n"))
    shown_lines = (
        line if width is None or line.startswith("next: ") else textwrap.fill(line, width)
        for line in lines
    )
    typer.secho("\n".join(shown_lines), file=drawing(sys.stderr), fg=colour)


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
    """Print rows as a plain aligned table that fits the terminal, if there is one.

    Columns in ``right`` are right-aligned.
    """
    if not rows:
        typer.echo("(none)")
        return
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    typer.echo(drawn(columns, cells, right=right, width=terminal_width()))


def echo_text(text: str) -> None:
    """Print sentences, wrapped between words where standard output is a terminal."""
    width = terminal_width()
    lines = text.split("\n")
    typer.echo(text if width is None else "\n".join(textwrap.fill(line, width) for line in lines))


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file where the user wants it, whole or not at all.

    Raises:
        StoreError: Where it cannot be written.
    """
    from harness._util.atomic import write_atomic

    with writing(path):
        write_atomic(path, content)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say of a file that the block cannot write what ``write_file`` says."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error}") from error


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        from harness._util.printed import defined

        return defined(value, ".4f")
    return shown(value, LONGEST_LINE)
