"""Tables of results for a paper: what ranks, how sure, and what its marks mean."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterator

from harness.data.datasets import SPLITS
from harness.errors import SpecError
from harness.metrics import Metric, metrics_for
from leaderboards.document import Table
from leaderboards.model import PLAIN, Board, Grid, analyse, parts, shown
from leaderboards.numbers import EMPTY, EXPLORATORY, TIED, UNDEFINED
from leaderboards.rendering import latex_table
from leaderboards.sections import results

__all__ = ["corpora_of", "labelled", "tables"]


def tables(board: Board, *, corpora: Collection[str] = (), shows: Collection[str] = ()) -> str:
    """One ``table*`` for each corpus and each of its tracks.

    Args:
        board: Whose results.
        corpora: Those to show; empty for all.
        shows: Names of metrics, in order; empty for the primary ones. The one that ranks is shown
            whatever is asked for.

    Raises:
        SpecError: For a corpus that is not on the board, or a metric that a dataset has not.
    """
    return "\n".join(
        latex_table(
            _narrowed(results.table(part, _metrics(part, shows), caption=_caption(board, part))),
            label=labelled(board, part),
            remarks=tuple(f"{label}: {flag}." for label, flag in results.remarks(part)),
        )
        for grid in corpora_of(board, corpora)
        for part in parts(grid)
    )


def corpora_of(board: Board, names: Collection[str]) -> tuple[Grid, ...]:
    """The grids of these corpora in board order; all of them without a name.

    Raises:
        SpecError: For a corpus that is not on the board.
    """
    there = [grid.corpus.name for grid in shown(board)]
    for name in names:
        if name not in there:
            raise SpecError(
                f"{name} is not on the board of {board.suite}", hint=f"it has {', '.join(there)}"
            )
    return tuple(grid for grid in shown(board) if not names or grid.corpus.name in names)


def labelled(board: Board, part: Grid) -> str:
    r"""What ``\ref`` calls a table."""
    (track,) = part.tracks
    known = "" if track == PLAIN else f" {track.title}"
    return "tab:" + re.sub(r"[^a-z0-9]+", "-", f"{board.suite} {part.corpus.name}{known}".lower())


def _metrics(grid: Grid, names: Collection[str]) -> tuple[Metric, ...]:
    if not names:
        return grid.metrics
    known = {metric.name: metric for metric in metrics_for(grid.corpus.dataset)}
    for name in names:
        if name not in known:
            raise SpecError(
                f"{grid.corpus.dataset.title} has no metric {name!r}",
                hint=f"it has {', '.join(known)}",
            )
    ranks = grid.selection.name
    return tuple(known[name] for name in ((ranks,) if ranks not in names else ()) + tuple(names))


def _narrowed(table: Table) -> Table:
    """Without the column that says how text enters, which is a sentence among the methods."""
    kept = [i for i, column in enumerate(table.columns) if column.title != "Text"]
    return dataclasses.replace(
        table,
        columns=tuple(table.columns[i] for i in kept),
        rows=tuple(tuple(row[i] for i in kept) for row in table.rows),
    )


def _caption(board: Board, part: Grid) -> str:
    return " ".join(_sentences(board, part))


def _sentences(board: Board, part: Grid) -> Iterator[str]:
    facts, (track,) = part.corpus, part.tracks
    clips, videos = (
        " / ".join(str(counts[split]) for split in SPLITS) for counts in (facts.clips, facts.videos)
    )
    if facts.twin:
        yield f"SYNTHETIC TWIN: not a result on {facts.dataset.title}."
    if facts.trial:
        yield "TRIAL on a part of the clips: no result."
    own = "" if facts.official else " Own split, not comparable with the official one."
    yield (
        f"Test results on {facts.dataset.title} ({facts.name}; train / valid / test: {clips} clips"
        f" of {videos} source videos).{own}"
    )
    if track != PLAIN:
        yield f"{track.title}."
    if not any(row.runs for row in part.rows):
        return
    yield (
        "Mean ± sample standard deviation over training seeds; seeds: runs present / planned, det.:"
        " no seed changes the result."
    )
    if ranking := analyse(part).rankings.get(part.selection.name):
        n = len(ranking.pairs)
        pairs = f"all {n} pairs" if n > 1 else "one pair"
        level = f"{100 * part.alpha:.3g} %"
        yield (
            f"Rank: all ranks in {part.selection.title} that the data do not exclude. {TIED}: no"
            f" other row is significantly better ({level} over {pairs}, for new seeds and new"
            f" source videos). {EXPLORATORY}: the same in a metric that does not rank,"
            " exploratory."
        )
    yield f"{EMPTY}: no value. {UNDEFINED}: undefined in at least one run."
