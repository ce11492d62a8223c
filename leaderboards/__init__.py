"""Boards: pure functions of the run store, rebuilt in seconds, without a model or a tracker.

The board of a suite is a Markdown file and an HTML page of the same content, whose bytes depend on
stored predictions, labels and plans alone.
What differs between equal runs (seconds, memory) goes into a file of its own beside it.
"""

from __future__ import annotations

import difflib
from pathlib import Path

from harness._util.atomic import write_atomic
from harness._util.canonical import Json
from harness.errors import StoreError
from harness.runs.store import RunStore
from leaderboards import figures, transfer_records
from leaderboards.html import render_html
from leaderboards.markdown import render_board, render_costs
from leaderboards.select import gather
from leaderboards.summary import records

__all__ = ["as_records", "check", "draw", "render", "write"]


def render(store: RunStore, suite: str) -> str:
    """The board of a suite as Markdown.

    Raises:
        StoreError: When the suite was never run here, or a stored record is damaged.
    """
    return render_board(gather(store, suite))


def write(store: RunStore, suite: str, path: Path) -> Path:
    """Write the board to ``path``, beside it ``<name>.html`` and its costs, ``<name>.cost.md``.

    Raises:
        StoreError: As ``render``, or when the files cannot be written.
    """
    board = gather(store, suite)
    try:
        write_atomic(path, render_board(board))
        write_atomic(path.with_suffix(".html"), render_html(board))
        write_atomic(path.with_suffix(".cost.md"), render_costs(board))
    except OSError as error:
        raise StoreError(f"board {path.name} cannot be written: {error}") from error
    return path


def draw(store: RunStore, suite: str, folder: Path) -> list[Path]:
    """Write the figures of every corpus, ``<suite>.<corpus>.<kind>.{png,svg}``, into ``folder``.

    Raises:
        StoreError: As ``write``.
    """
    return figures.draw(gather(store, suite), folder)


def check(store: RunStore, suite: str, path: Path) -> list[str]:
    """Lines of a unified diff from the written board to what the store gives now.

    Args:
        store: Where the runs are.
        suite: Whose board.
        path: The Markdown file; the page is looked for beside it.

    Returns:
        Nothing when Markdown and page are both identical to the last byte.

    Raises:
        StoreError: As ``render``, or when a file cannot be read.
    """
    board = gather(store, suite)
    return [
        *_drift(path, render_board(board), suite),
        *_drift(path.with_suffix(".html"), render_html(board), suite),
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


def as_records(store: RunStore, suite: str) -> list[dict[str, Json]]:
    """The board as data: one record per row, in board order, numbers unrounded.

    Each record has ``corpus, data, twin, protocol, row, system, reference, deterministic, inputs,
    side_info, knowledge, supervision, n, N, seeds, runs, holes, metrics``; ``metrics`` maps every
    metric of the dataset to ``mean``, ``sd`` and ``values`` (one per seed), null where undefined.
    Models that were asked have ``zero_shot`` too: who, what, when, counts, and ``policies``, the
    metrics under every policy, of single prompts, and calibrated.

    Boards of transfers have further records, one per algorithm and family of transfers: ``family,
    algorithm, bound, stratum, settings, rank, mean, worst, worst_target, transfers, recalibrated,
    rules, versus``, errors as ``value, low, high``.

    Raises:
        StoreError: As ``render``.
    """
    board = gather(store, suite)
    return [*records(board), *transfer_records.records(board)]
