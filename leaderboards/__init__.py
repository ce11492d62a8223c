"""Boards: pure functions of the run store, rebuilt in seconds, without a model or a tracker.

A board is a Markdown file and an HTML page of the same content, whose bytes depend on stored
predictions, labels and plans alone; what differs between equal runs (seconds, memory) goes into a
file beside it. Nothing heavy is imported before a board is asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness._util.lazy import lazily

if TYPE_CHECKING:
    from harness._util.canonical import Json
    from harness.runs.store import RunStore
    from leaderboards.view import board
else:
    __getattr__ = lazily(__name__, view=("board",))

__all__ = [
    "as_records",
    "board",
    "check",
    "document",
    "draw",
    "files_of",
    "frames",
    "render",
    "write",
]


def render(store: RunStore, suite: str) -> str:
    """The board of a suite as Markdown.

    Raises:
        StoreError: When the suite was never run here, or a stored record is damaged.
    """
    from leaderboards.model import gather
    from leaderboards.rendering import render_markdown
    from leaderboards.sections import compose

    return render_markdown(compose(gather(store, suite)))


def write(store: RunStore, suite: str, path: Path) -> Path:
    """Write the board to ``path``, and beside it the others of ``files_of``.

    Raises:
        StoreError: As ``render``, or when the files cannot be written.
    """
    from leaderboards.files import write_board
    from leaderboards.model import gather

    return write_board(gather(store, suite), path)


def files_of(path: Path) -> tuple[Path, ...]:
    """The files of a board: the Markdown, ``<name>.html`` and its costs, ``<name>.cost.md``."""
    return (path, path.with_suffix(".html"), path.with_suffix(".cost.md"))


def draw(store: RunStore, suite: str, folder: Path) -> list[Path]:
    """Write figures of every corpus, ``<suite>.<corpus>.<kind>.{pdf,png,svg}``, into ``folder``.

    Raises:
        StoreError: As ``write``.
    """
    from leaderboards import figures
    from leaderboards.model import gather

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
    from leaderboards.files import check_board
    from leaderboards.model import gather

    return check_board(gather(store, suite), path)


def as_records(store: RunStore, suite: str) -> list[dict[str, Json]]:
    """The board as data: one record per row, in board order, numbers unrounded.

    Each record has ``corpus, data, twin, protocol, row, system, reference, deterministic, inputs,
    side_info, knowledge, supervision, n, N, seeds, runs, holes, about, ranked_by, rank,
    could_be_best, unranked_because, metrics``. ``rank`` (first and last) and ``could_be_best`` are
    claims in the metric ``ranked_by``; ``about`` is ``checkpoints`` for one run of a system that
    seeds change and for released weights, else ``systems``. ``metrics`` maps every metric of the
    dataset to ``mean``, ``sd`` and ``values`` (one per seed), null where undefined, with ``leads``,
    whether no other row is significantly better, and ``exploratory``, true for all metrics but the
    one that ranks.
    Rows on a trial, a few clips of each split, have ``trial``, true. Parts of a suite that are not
    here have a record of their own: ``absent, reason, rows, corpora``.
    Zero-shot models have ``zero_shot`` too: model, prompts, date, counts, and ``policies``, the
    metrics under every policy, of single prompts, and calibrated.

    ``badge`` says where numbers come from; ``released`` has the files, digests, seeds and selection
    of released weights, ``passes`` how many passes over the same clips are stored, and
    ``evaluation_noise`` by metric how far scores move between them, null where they do not.

    ``settings`` says where hyper-parameters come from, and of tuned rows with which budget: then
    ``protocol`` is the digest with that budget and space. ``same_budget`` in it is false where rows
    of other budgets are ranked beside.

    ``collapse`` has the seeds of collapsed runs and the probability of collapse with its interval;
    ``carried``, of rows with runs of an earlier source that count by evidence, has ``runs``, the
    row's ``replayed`` ``of`` so many, the ``largest`` difference and the ``records``;
    ``look`` the looks, the one reached and its level where seeds are added until it is decided.

    Suites that ask for slices add a record per row and part of the test clips: ``slicing, part,
    clips, videos, metric, too_small, row, value, low, high, row_clips, rank, cost,
    cost_beyond_floor``, costs as ``difference, low, high, p_holm``, null where there are none.

    Boards of transfers have further records, one per algorithm and family of transfers: ``family,
    algorithm, bound, stratum, settings, rank, mean, worst, worst_target, transfers, recalibrated,
    rules, versus``, errors as ``value, low, high``.

    Raises:
        StoreError: As ``render``.
    """
    from leaderboards.model import gather
    from leaderboards.sections import records

    return records(gather(store, suite))
