"""Rows as the lines of a table of results, wherever they come from.

A run of this harness, a submission and a published number differ in what is known of them; each
becomes a ``Line``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.metrics import Metric
from harness.submissions import NOT_STATED, Badge
from leaderboards.document import Line, Score
from leaderboards.literature import PublishedRow
from leaderboards.model import (
    Grid,
    Row,
    analyse,
    has_videos,
    ordered,
    summarise,
    unranked_because,
)
from leaderboards.numbers import CONDITIONAL, ONCE
from leaderboards.sections._budgets import is_tuned
from leaderboards.sections._rows import encoded, noise, seeds

__all__ = ["line_of", "lines_of", "published_line"]


def lines_of(grid: Grid) -> tuple[Line, ...]:
    """The rows of a grid in board order."""
    return tuple(line_of(grid, row) for row in ordered(grid))


def line_of(grid: Grid, row: Row) -> Line:
    """A row of a grid, or one of its submissions."""
    alone = "" if analyse(grid).rankings else "nothing to compare with"
    if not has_videos(grid):
        alone = "its test clips are of one source video: nothing tells how results vary"
    return Line(
        label=row.label,
        about=(*_about(row), *([row.settings] if row.settings and is_tuned(grid) else [])),
        badge=row.badge,
        text=encoded(row),
        side_info=row.side_info,
        seeds=seeds(row),
        about_seeds=row.collapse.sentence(row.collapsed) if row.collapse and row.collapsed else "",
        runs=tuple(_run_name(row, run.seed) for run in row.runs),
        unranked=unranked_because(row) or alone,
        flags=(*row.flags, *noise(grid, row), *_flags(grid, row)),
        constant=row.reference,
        scores={metric.name: _score(grid, row, metric) for metric in grid.metrics if row.runs},
    )


def _run_name(row: Row, seed: int) -> str:
    if row.zero_shot:
        return ONCE
    return "det." if row.deterministic else str(seed)


def _about(row: Row) -> Iterator[str]:
    if row.reference:
        return
    if row.title != row.label:
        yield row.title
    said = {"none": "no text", NOT_STATED: f"encoder {NOT_STATED}"}
    yield said.get(row.text) or encoded(row)
    if row.side_info != "none":
        yield f"side information: {row.side_info}"
    if row.knowledge != "none":
        yield f"also learned from {row.knowledge}"
    if row.selection:
        yield f"selection: {row.selection}"


def _flags(grid: Grid, row: Row) -> tuple[str, ...]:
    """That another day a model may answer differently."""
    ranking = analyse(grid).rankings.get(grid.selection.name)
    if not row.zero_shot or ranking is None or row.label not in ranking.conditional:
        return ()
    return (CONDITIONAL,)


def _score(grid: Grid, row: Row, metric: Metric) -> Score:
    summary = summarise(row, metric)
    ranking = analyse(grid).rankings.get(metric.name)
    if ranking is None or row.label not in ranking.names:
        return Score(mean=summary.mean, sd=summary.sd, values=summary.values)
    place = ranking.names.index(row.label)
    return Score(
        mean=summary.mean,
        sd=summary.sd,
        values=summary.values,
        interval=ranking.intervals[place],
        rank=ranking.ranks[place],
        leads=row.label in ranking.leaders,
        exploratory=metric.name != grid.selection.name,
    )


def published_line(numbers: Sequence[PublishedRow]) -> Line:
    """The numbers on one printed line of a source."""
    first = numbers[0]
    about = (
        " ".join(filter(None, (first.source, str(first.year or "")))),
        first.text,
        first.features,
        f"side information: {first.side_info}" if first.side_info else "",
        f"selection: {first.selection or NOT_STATED}",
        f"metrics of {first.convention}" if first.convention else "",
        first.reliability,
        *dict.fromkeys(row.note for row in numbers),
    )
    return Line(
        label=first.title,
        about=tuple(filter(None, about)),
        badge=Badge.LITERATURE,
        text=first.text or NOT_STATED,
        side_info=first.side_info or "none",
        seeds=NOT_STATED if first.seeds is None else str(first.seeds),
        scores={row.metric: Score(mean=row.value, printed=row.shown) for row in numbers},
    )
