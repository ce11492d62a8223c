"""The files of a board: written together, and compared with what the store gives now."""

from __future__ import annotations

import difflib
from pathlib import Path

from harness._util.atomic import write_atomic
from harness.errors import StoreError
from leaderboards.model import Board
from leaderboards.rendering import render_html, render_markdown
from leaderboards.sections import compose, costs

__all__ = ["check_board", "write_board"]


def write_board(board: Board, path: Path) -> Path:
    """Write Markdown to ``path``, beside it ``<name>.html`` and ``<name>.cost.md``.

    Raises:
        StoreError: When the files cannot be written.
    """
    document = compose(board)
    try:
        write_atomic(path, render_markdown(document))
        write_atomic(path.with_suffix(".html"), render_html(document))
        write_atomic(path.with_suffix(".cost.md"), render_markdown(costs(board)))
    except OSError as error:
        raise StoreError(f"board {path.name} cannot be written: {error}") from error
    return path


def check_board(board: Board, path: Path) -> list[str]:
    """Lines of a unified diff from the written Markdown and page to those of ``board``.

    Raises:
        StoreError: When a file cannot be read.
    """
    document = compose(board)
    return [
        *_drift(path, render_markdown(document), board.suite),
        *_drift(path.with_suffix(".html"), render_html(document), board.suite),
    ]


def _drift(path: Path, now: str, suite: str) -> list[str]:
    try:
        shown = path.read_bytes().decode("utf-8", errors="backslashreplace")
    except OSError as error:
        raise StoreError(
            f"board {path.name} cannot be read: {error}", hint=f"msa board {suite}"
        ) from error
    old, new = shown.splitlines(keepends=True), now.splitlines(keepends=True)
    diff = difflib.unified_diff(old, new, path.name, "from the run store")
    return [line.removesuffix("\n") for line in diff]
