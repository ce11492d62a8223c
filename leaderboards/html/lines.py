"""What a table of results shows of one row, wherever the row comes from.

A run of this harness, a submission and a published number differ in what is known of them; each
becomes a ``Line``, and one function draws them all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from harness.metrics import Metric, metrics_for
from harness.submissions import NOT_STATED, Badge
from leaderboards import published_numbers, tables
from leaderboards.analysis import unranked_because
from leaderboards.board import Grid, Row
from leaderboards.published_numbers import PublishedRow
from leaderboards.summary import ordered, summarise

__all__ = ["Line", "Lines", "Score", "lines_of"]


@dataclass(frozen=True, kw_only=True)
class Score:
    """A line in one metric.

    Args:
        mean: NaN when undefined for at least one value.
        printed: How the mean is written where its source decides on the digits.
        sd: Sample standard deviation; NaN when there is none.
        values: One per run, in the order of the line's ``runs``; empty when only a mean is known.
        interval: 95 % interval of the mean, where it was compared.
        rank: Rank set, where it was ranked.
        leads: Whether no other line is significantly better.
    """

    mean: float
    printed: str = ""
    sd: float = math.nan
    values: tuple[float, ...] = ()
    interval: tuple[float, float] | None = None
    rank: tuple[int, int] | None = None
    leads: bool = False


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of a table of results.

    Args:
        label: Its name.
        about: What it is, in short phrases.
        badge: Where its numbers come from.
        text: How text enters, with the encoder.
        side_info: What it knew besides transcript, audio and vision.
        seeds: Runs present of runs planned, as shown.
        runs: Names of its runs: seeds, or ``det.``.
        unranked: Why it takes part in no comparison; empty when it does.
        flags: What a reader must know, a sentence each.
        floor: Whether it is a constant predictor.
        scores: Metric -> score; metrics nobody knows are absent.
    """

    label: str
    about: tuple[str, ...] = ()
    badge: Badge = Badge.REPLAYED
    text: str = tables.EMPTY
    side_info: str = "none"
    seeds: str = tables.EMPTY
    runs: tuple[str, ...] = ()
    unranked: str = ""
    flags: tuple[str, ...] = ()
    floor: bool = False
    scores: Mapping[str, Score] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Lines:
    """The lines of one corpus: what may be compared, and what stands apart."""

    parts: tuple[tuple[Line, ...], ...]
    """Those of each table, constants in every one."""
    submissions: tuple[Line, ...]
    literature: tuple[Line, ...]

    @property
    def rows(self) -> tuple[Line, ...]:
        """What may be compared, each line once."""
        first, *others = self.parts
        return first + tuple(line for part in others for line in part if not line.floor)

    @property
    def every(self) -> tuple[Line, ...]:
        """All of them."""
        return self.rows + self.submissions + self.literature


def lines_of(grid: Grid) -> Lines:
    """The rows of a grid in board order, its other submissions, and the literature."""
    facts = grid.corpus
    comparable = facts.official and not facts.twin
    published = published_numbers.for_board(facts.dataset.name) if comparable else ()
    return Lines(
        parts=tuple(tuple(_line(part, row) for row in ordered(part)) for part in grid.parts),
        submissions=tuple(_line(grid, row) for row in grid.submissions),
        literature=tuple(map(_published, published_numbers.lines(published))),
    )


def _line(grid: Grid, row: Row) -> Line:
    alone = "" if grid.analysis.rankings else "nothing to compare with"
    return Line(
        label=row.label,
        about=tuple(_about(row)),
        badge=row.badge,
        text=tables.text(row),
        side_info=row.side_info,
        seeds=tables.seeds(row),
        runs=tuple(_run_name(row, run.seed) for run in row.runs),
        unranked=unranked_because(row) or alone,
        flags=(*row.flags, *_flags(grid, row)),
        floor=row.reference,
        scores={
            metric.name: _score(grid, row, metric)
            for metric in metrics_for(grid.corpus.dataset, primary=True)
            if row.runs
        },
    )


def _run_name(row: Row, seed: int) -> str:
    if row.asked:
        return tables.ONCE
    return "det." if row.deterministic else str(seed)


def _about(row: Row) -> Iterator[str]:
    if row.reference:
        return
    if row.title != row.label:
        yield row.title
    said = {"none": "no text", NOT_STATED: f"encoder {NOT_STATED}"}
    yield said.get(row.text) or tables.text(row)
    if row.side_info != "none":
        yield f"side information: {row.side_info}"
    if row.knowledge != "none":
        yield f"also learned from {row.knowledge}"
    if row.selection:
        yield f"selection: {row.selection}"


def _flags(grid: Grid, row: Row) -> tuple[str, ...]:
    """What submissions are flagged with already."""
    ranking = grid.analysis.rankings.get(grid.selection.name)
    varies = row.badge is Badge.REPLAYED and (row.asked or not row.deterministic)
    if not varies or ranking is None or row.label not in ranking.conditional:
        return ()
    return (tables.CONDITIONAL,)


def _score(grid: Grid, row: Row, metric: Metric) -> Score:
    summary = summarise(row, metric)
    ranking = grid.analysis.rankings.get(metric.name)
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
    )


def _published(numbers: Sequence[PublishedRow]) -> Line:
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
        scores={
            row.metric: Score(mean=row.value, printed=row.shown.replace("-", "−"))
            for row in numbers
        },
    )
