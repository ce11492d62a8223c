"""The tables in which rows are ranked, one per track, each with its comparisons."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from harness._util.canonical import Json
from harness.metrics import Metric, metrics, metrics_for
from harness.stats import Ranking
from leaderboards.document import (
    Block,
    Bullets,
    ByMetric,
    Heading,
    PerFormat,
    Results,
    Table,
    Text,
    bold,
    left,
    right,
    text,
)
from leaderboards.model import (
    PLAIN,
    Grid,
    Row,
    Summary,
    analyse,
    evaluation_noise,
    is_checkpoint,
    ordered,
    parts,
    passes_of,
    summarise,
    unranked_because,
)
from leaderboards.numbers import APART, EMPTY, EXPLORATORY, TIED, number, rank_set
from leaderboards.sections import _budgets as budgets
from leaderboards.sections._lines import lines_of
from leaderboards.sections._pairs import compared
from leaderboards.sections._rows import could_be_best, encoded, heading, noise, score, seeds
from leaderboards.sections.contract import CorpusSection

__all__ = ["SECTION", "SEPARATE", "detectable", "encoded", "metrics_of", "remarks", "table"]

SEPARATE = (
    "What rows know besides transcript, audio and vision of these clips sets them apart: rows of"
    f" different tables are never ranked together. Pairs marked {APART}, below the tables,"
    " compare what the rows know as much as the systems."
)


def _blocks(grid: Grid) -> Iterator[Block]:
    if len(parts(grid)) > 1:
        yield text(SEPARATE)
    for part in parts(grid):
        (track,) = part.tracks
        if part.whole is not None or track != PLAIN:
            yield Heading(3, text(track.title))
        yield from budgets.blocks(part)
        yield PerFormat(file=(table(part), *_flags(part)), page=(_results(part),))
        if ranking := analyse(part).rankings.get(grid.selection.name):
            yield from could_be_best(ranking, grid.selection.title)
        yield from _detectable(part)
        yield from compared(part)


def table(grid: Grid, shown: Sequence[Metric] = (), *, caption: str = "") -> Table:
    """Rank set and mean ± sample standard deviation of each row.

    Args:
        grid: Rows of one track.
        shown: In which metrics; empty for the primary ones.
        caption: Of the table.
    """
    shown = shown or grid.metrics
    tuned = budgets.is_tuned(grid)
    notes: list[str] = []
    rows = []
    for row in ordered(grid):
        scores = (_tied(row, metric, grid) + score(row, metric, notes) for metric in shown)
        said = (row.settings or EMPTY,) if tuned else ()
        rows.append((row.label, encoded(row), *said, seeds(row), _rank(row, grid), *scores))
    rank = f"Rank, {grid.selection.title}"
    settings = left("Settings") if tuned else ()
    return Table(
        columns=(*left("System", "Text"), *settings, *right("Seeds", rank, *map(heading, shown))),
        rows=tuple(rows),
        notes=tuple(notes),
        caption=caption,
    )


def _rank(row: Row, grid: Grid) -> str:
    """The row's rank set in the selection metric."""
    ranking = analyse(grid).rankings.get(grid.selection.name)
    if ranking is None or row.label not in ranking.names:
        return EMPTY
    return rank_set(ranking.rank_of(row.label))


def _tied(row: Row, metric: Metric, grid: Grid) -> str:
    """Among the best: a claim in the selection metric, exploration in any other one."""
    ranking = analyse(grid).rankings.get(metric.name)
    if ranking is None or row.label not in ranking.leaders:
        return ""
    return f"{TIED if metric.name == grid.selection.name else EXPLORATORY} "


def _flags(grid: Grid) -> Iterator[Bullets]:
    said = [text(bold(label), f": {flag}.") for label, flag in remarks(grid)]
    if said:
        yield Bullets(tuple(said))


def remarks(grid: Grid) -> Iterator[tuple[str, str]]:
    """What a reader must know of single rows: label, and half a sentence."""
    for row in grid.rows:
        for flag in (*row.flags, *noise(grid, row)):
            yield row.label, flag


def _results(grid: Grid) -> Results:
    facts, (track,) = grid.corpus, grid.tracks
    where = f"a SYNTHETIC TWIN of {facts.dataset.title}" if facts.twin else facts.dataset.title
    known = "" if track == PLAIN else f" ({track.title})"
    lines = lines_of(grid)
    return Results(
        caption=f"Test results on {where}{known}",
        lines=lines,
        metrics=grid.metrics,
        ranked=sum(not line.unranked for line in lines),
    )


def _detectable(grid: Grid) -> Iterator[Block]:
    """The smallest difference that one comparison of the table detects."""
    found = detectable(grid)
    rankings = analyse(grid).rankings
    of_each = {
        place: (_detectable_in(metric, rankings[metric.name]),)
        for place, metric in enumerate(grid.metrics)
        if metric.name in rankings
    }
    words = (
        " one comparison on this table finds a true difference with 80 % probability from about"
        f" {found} (median over pairs). Smaller gaps are noise unless the pairwise table says"
        " otherwise."
    )
    yield PerFormat(
        file=(text(bold("Resolution:"), words),) if found else (),
        page=(ByMetric(of_each),) if of_each else (text(_ALONE),),
    )


_ALONE = "Fewer than two rows can be ranked."


def detectable(grid: Grid) -> str:
    """The smallest difference a table detects, metric by metric; empty without pairs."""
    found = ((metrics[name], ranking) for name, ranking in analyse(grid).rankings.items())
    return ", ".join(
        f"{metric.title} {_points(metric, ranking)}"
        for metric, ranking in found
        if not math.isnan(ranking.resolution)
    )


def _points(metric: Metric, ranking: Ranking) -> str:
    return number(ranking.resolution, metric) + (" points" if metric.percent else "")


def _detectable_in(metric: Metric, ranking: Ranking) -> Text:
    if not ranking.pairs:
        return text("No two rows can be compared in this metric.")
    return text(
        bold("Resolution:"),
        f" one comparison finds a true difference in {metric.title} with 80 % probability from"
        " about ",
        bold(_points(metric, ranking)),
        " (median over pairs). Smaller gaps are noise unless the pairwise table says otherwise.",
    )


def _fields(grid: Grid, row: Row) -> Mapping[str, Json]:
    """Every metric of the dataset, numbers unrounded, None where undefined; ranks where it has."""
    part = next(part for part in parts(grid) if row in part.rows)
    ranking = analyse(part).rankings.get(grid.selection.name)
    ranked = ranking is not None and row.label in ranking.names
    return {
        "about": "checkpoints" if is_checkpoint(row) else "systems",
        "ranked_by": grid.selection.name,
        "rank": list(ranking.rank_of(row.label)) if ranking and ranked else None,
        "could_be_best": row.label in ranking.could_be_best if ranking and ranked else None,
        "unranked_because": unranked_because(row) or None,
        "collapse": _collapse(row),
        "badge": str(row.badge),
        "released": None if row.released is None else row.released.json(),
        "passes": passes_of(row),
        "evaluation_noise": _noise(grid, row),
        "settings": budgets.record(grid, row),
        "metrics": metrics_of(part, row),
    }


def metrics_of(grid: Grid, row: Row) -> dict[str, Json]:
    """Metric -> mean, deviation and value of each seed, and whether it leads; None if undefined."""
    rankings = analyse(grid).rankings
    return {
        metric.name: {
            **_metric(summarise(row, metric)),
            "leads": _leads(row, rankings.get(metric.name)),
            "exploratory": metric.name != grid.selection.name,
        }
        for metric in metrics_for(grid.corpus.dataset)
    }


def _collapse(row: Row) -> Json:
    """Which runs collapsed, and how often any does, with the 95 % interval; None for constants."""
    found = row.collapse
    if found is None:
        return None
    return {
        "seeds": list(row.collapsed),
        "probability": found.share,
        "low": found.low,
        "high": found.high,
    }


def _noise(grid: Grid, row: Row) -> Json:
    """Metric -> how far it moves from pass to pass; None where one pass is as good as many."""
    if passes_of(row) < 2:
        return None
    return {
        metric.name: _or_none(evaluation_noise(row, metric))
        for metric in metrics_for(grid.corpus.dataset)
    }


def _leads(row: Row, ranking: Ranking | None) -> bool | None:
    """Whether no other row is significantly better; None where that was not asked."""
    if ranking is None or row.label not in ranking.names:
        return None
    return row.label in ranking.leaders


def _metric(summary: Summary) -> dict[str, Json]:
    return {
        "mean": _or_none(summary.mean),
        "sd": _or_none(summary.sd),
        "values": [_or_none(value) for value in summary.values],
    }


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


SECTION = CorpusSection(name="results", blocks=_blocks, fields=_fields)
