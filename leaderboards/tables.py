"""A grid as tables of text: which columns, how rounded, what is said of an empty cell.

Numbers are averaged first and rounded last. Cells are plain text, not yet escaped for any format.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from harness._util.printed import defined, with_spread
from harness.data.datasets import Dataset
from harness.metrics import Metric, metrics, metrics_for
from harness.stats import Pairing
from harness.submissions import NOT_STATED
from leaderboards.analysis import Across
from leaderboards.board import Facts, Grid, Row
from leaderboards.published_numbers import for_board, lines
from leaderboards.summary import Summary, ordered, summarise

__all__ = [
    "APART",
    "CONDITIONAL",
    "EMPTY",
    "ONCE",
    "TIED",
    "UNDEFINED",
    "Column",
    "Table",
    "arrow",
    "average_ranks",
    "ceilings",
    "costs",
    "crossing",
    "holes",
    "literature",
    "making",
    "number",
    "pairwise",
    "per_seed",
    "resolution",
    "results",
    "seeds",
    "submissions",
    "text",
]

APART = "≠"
"""Marks a comparison of rows that know different things."""

EMPTY = "·"
"""Nothing to show: no run, or a question that does not arise."""

UNDEFINED = "–"
"""A run exists and its value is mathematically undefined."""

ONCE = "once"
"""Stands where seeds are counted, for a model that was asked one time."""

TIED = "●"
"""Marks values of the tie group at the top: no other row is significantly better."""

CONDITIONAL = "conditional on one run: how much another run differs is unseen"
"""Said of comparisons with a row that ran once and could differ the next time."""

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_VIEWS = ("text", "audio", "vision", "all")


@dataclass(frozen=True)
class Column:
    """A heading and the side its cells stand on."""

    title: str
    align: Literal["left", "right"] = "right"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Headings, rows of cells, and numbered notes that cells refer to by superscript."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def arrow(metric: Metric) -> str:
    """``↑`` or ``↓``, or the value to come close to."""
    if metric.ideal is not None:
        return f"→ {metric.ideal:g}"
    return "↑" if metric.higher_is_better else "↓"


def results(grid: Grid) -> Table:
    """Rank set and mean ± sample standard deviation of every primary metric of each row."""
    shown = metrics_for(grid.corpus.dataset, primary=True)
    notes: list[str] = []
    rows = []
    for row in ordered(grid):
        scores = (_tied(row, metric, grid) + _score(row, metric, notes) for metric in shown)
        rows.append((row.label, text(row), seeds(row), _rank(row, grid), *scores))
    rank = f"Rank, {grid.selection.title}"
    return Table(
        columns=(*_left("System", "Text"), *_right("Seeds", rank, *map(_heading, shown))),
        rows=tuple(rows),
        notes=tuple(notes),
    )


def _left(*titles: str) -> tuple[Column, ...]:
    return tuple(Column(title, "left") for title in titles)


def _right(*titles: str) -> tuple[Column, ...]:
    return tuple(Column(title, "right") for title in titles)


def _heading(metric: Metric) -> str:
    unit = " (%)" if metric.percent else ""
    return f"{metric.title}{unit} {arrow(metric)}"


def _rank(row: Row, grid: Grid) -> str:
    """The row's rank set in the selection metric: ``2`` or ``1–3``."""
    ranking = grid.analysis.rankings.get(grid.selection.name)
    if ranking is None or row.label not in ranking.names:
        return EMPTY
    best, worst = ranking.rank_of(row.label)
    return str(best) if best == worst else f"{best}–{worst}"


def _tied(row: Row, metric: Metric, grid: Grid) -> str:
    ranking = grid.analysis.rankings.get(metric.name)
    return f"{TIED} " if ranking is not None and row.label in ranking.leaders else ""


def resolution(grid: Grid) -> str:
    """The smallest difference this table can detect, metric by metric; empty without pairs."""
    found = (
        (metrics[name], ranking.resolution) for name, ranking in grid.analysis.rankings.items()
    )
    return ", ".join(
        f"{metric.title} {number(value, metric)}" + (" points" if metric.percent else "")
        for metric, value in found
        if not math.isnan(value)
    )


def pairwise(grid: Grid) -> Table:
    """Row minus column in the selection metric, with what the Holm-adjusted test says."""
    metric = grid.selection
    ranking = grid.analysis.rankings.get(metric.name)
    if ranking is None:
        return Table(columns=(), rows=())
    found = {(pair.a, pair.b): pair for pair in ranking.pairs}
    rows = [
        (a, *(_pair(a, found.get((a, b)) or found.get((b, a)), metric) for b in ranking.names))
        for a in ranking.names
    ]
    return Table(
        columns=(*_left(f"{metric.title}: row - column"), *_right(*ranking.names)),
        rows=tuple(rows),
    )


def crossing(grid: Grid) -> Table:
    """As ``pairwise``, for the pairs whose rows know different things; these are not ranked."""
    metric = grid.selection
    ranking = grid.analysis.crossed.get(metric.name)
    if ranking is None:
        return Table(columns=(), rows=())
    found = {(pair.a, pair.b): pair for pair in ranking.pairs}
    knows = {row.label: row.stratum for row in grid.rows}
    names = sorted(ranking.names, key=lambda name: grid.strata.index(knows[name]))
    notes: list[str] = []
    once = {row.label for row in grid.rows if row.asked and row.label in ranking.conditional}
    marks = {name: _numbered([CONDITIONAL] if name in once else [], notes) for name in names}

    def cell(a: str, b: str) -> str:
        pair = found.get((a, b)) or found.get((b, a))
        return EMPTY if knows[a] == knows[b] else f"{APART} {_pair(a, pair, metric)}"

    return Table(
        columns=(*_left(f"{metric.title}: row - column", "Knows"), *_right(*names)),
        rows=tuple((a + marks[a], knows[a].title, *(cell(a, b) for b in names)) for a in names),
        notes=tuple(notes),
    )


def _pair(row: str, pair: Pairing | None, metric: Metric) -> str:
    """Effect of ``row`` minus the other of the pair, adjusted p and verdict."""
    if pair is None:
        return EMPTY
    effect, _, _, verdict = pair.seen_from(row)
    shown = f"{100 * effect:+.2f}" if metric.percent else f"{effect:+.3f}"
    p = "p < .001" if pair.p_holm < 0.001 else f"p = {defined(pair.p_holm, '.3f', UNDEFINED)}"
    return f"{shown}, {p}: {verdict}"


def average_ranks(found: Across) -> Table:
    """Average rank over datasets with its interval, and the rank on each."""
    return Table(
        columns=(*_left("System"), *_right("Average rank", "95 % interval", *found.corpora)),
        rows=tuple(
            (
                row.name,
                f"{row.mean:.2f}",
                f"{row.low:.2f} – {row.high:.2f}",
                *(f"{rank:g}" for rank in row.ranks),
            )
            for row in found.rows
        ),
    )


def _score(row: Row, metric: Metric, notes: list[str]) -> str:
    """The cell; what cannot be averaged becomes a dash that refers to one of ``notes``."""
    if not row.runs:
        return EMPTY
    summary = summarise(row, metric)
    if summary.undefined:
        of = f"{summary.undefined} of {len(summary.values)}"
        note = f"{metric.title} is undefined in {of} runs ({metric.undefined})."
        return UNDEFINED + _numbered([note], notes)
    return with_spread(summary.mean, summary.sd, partial(number, metric=metric))


def number(value: float, metric: Metric) -> str:
    """Percentages with 2 decimals, everything else with 3; never a negative zero."""
    if math.isnan(value):
        return UNDEFINED
    return f"{100 * value:z.2f}" if metric.percent else f"{value:z.3f}"


def seeds(row: Row) -> str:
    """Runs present of runs planned: ``3/5``, ``det.`` or ``n/a``."""
    n = len(row.runs)
    if row.holes and all(hole.state == "not applicable" for hole in row.holes):
        return "n/a"
    if row.deterministic:
        done = ONCE if row.asked else "det."
        return done if n else f"{done} 0/1"
    return f"{n}/{row.planned}" + (", n=1" if n == 1 else "")


def text(row: Row) -> str:
    """How text enters, with the encoder."""
    encoders = sorted({fact.encoder for fact in row.facts if fact.encoder})
    return ": ".join(part for part in (row.text, ", ".join(encoders)) if part) or EMPTY


def submissions(grid: Grid) -> Table:
    """Submissions that are never ranked with the rows above, with what sets them apart."""
    shown = metrics_for(grid.corpus.dataset, primary=True)
    notes: list[str] = []
    rows = []
    for row in grid.submissions:
        name = row.label + _numbered(row.flags, notes)
        stated = (row.badge, row.text, ", ".join(row.inputs) or EMPTY, row.side_info, row.selection)
        counts = (f"{row.clips}/{len(grid.truth.ids)}", str(len(row.runs)))
        scores = (_score(row, metric, notes) for metric in shown)
        rows.append((name, *stated, *counts, *scores, row.outside))
    stated_columns = ("Submission", "Badge", "Text", "Inputs", "Side information", "Selection")
    return Table(
        columns=(
            *_left(*stated_columns),
            *_right("Clips", "Runs", *map(_heading, shown)),
            *_left("Apart because it"),
        ),
        rows=tuple(rows),
        notes=tuple(notes),
    )


def literature(dataset: Dataset) -> Table:
    """Published numbers as printed, one line per system and source; nobody here measured them."""
    shown = metrics_for(dataset, primary=True)
    notes: list[str] = []
    rows = []
    for line in lines(for_board(dataset.name)):
        first = line[0]
        printed = {row.metric: row.shown for row in line}
        stated = (first.text, first.features, first.side_info or "none", first.selection)
        rows.append(
            (
                first.title + _numbered(dict.fromkeys(row.note for row in line if row.note), notes),
                *(text or NOT_STATED for text in stated),
                NOT_STATED if first.seeds is None else str(first.seeds),
                *(printed.get(metric.name, EMPTY) for metric in shown),
                first.convention or NOT_STATED,
                first.source,
                first.reliability,
            )
        )
    return Table(
        columns=(
            *_left("System", "Text", "Features", "Side information", "Selection"),
            *_right("Runs", *map(_heading, shown)),
            *_left("Convention", "Source", "Vouched for by"),
        ),
        rows=tuple(rows),
        notes=tuple(notes),
    )


def _numbered(said: Iterable[str], notes: list[str]) -> str:
    """Superscripts that refer to ``notes``, to which new sentences are added."""
    numbers = []
    for text in said:
        note = f"{text[:1].upper()}{text[1:].rstrip('.')}."
        if note not in notes:
            notes.append(note)
        numbers.append(str(notes.index(note) + 1).translate(_SUPERSCRIPTS))
    return " ".join(numbers)


def making(grid: Grid) -> Table:
    """How each row came about: inputs, selection rule, size, epochs and training clips seen."""
    return Table(
        columns=(
            *_left("System", "Registered as", "Changed", "Inputs", "Selection"),
            *_right("Parameters", "Epochs, selected", "Epochs, run", "Training clips seen"),
        ),
        rows=tuple(_making_of(row, grid.selection) for row in ordered(grid)),
    )


def _making_of(row: Row, selection: Metric) -> tuple[str, ...]:
    changed = ", ".join(f"{name}={value}" for name, value in sorted(row.changed.items()))
    facts = row.facts
    trained = [fact for fact in facts if fact.epochs]
    return (
        row.label,
        row.system,
        changed or EMPTY,
        ", ".join(row.inputs) or EMPTY,
        f"validation {selection.title}" if trained else EMPTY,
        _sizes(facts),
        _mean((fact.selected_epoch for fact in trained), ".1f"),
        _mean((fact.epochs for fact in trained), ".1f"),
        _mean((fact.epochs * fact.train_clips for fact in trained), ",.0f"),
    )


def _sizes(facts: Sequence[Facts]) -> str:
    sizes = sorted({(fact.trainable, fact.parameters) for fact in facts})
    shown = [
        f"{all_:,}" if some == all_ else f"{some:,} of {all_:,}" for some, all_ in sizes if all_
    ]
    return "; ".join(shown) or EMPTY


def _mean(values: Iterable[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    return format(statistics.fmean(known), form) if known else EMPTY


def holes(grid: Grid) -> Table:
    """Cells without a run, seeds of equal fate on one line."""
    lines = []
    for row in ordered(grid):
        fates: dict[tuple[str, str], list[str]] = {}
        for hole in row.holes:
            fates.setdefault((hole.state, hole.reason), []).append(str(hole.seed))
        for (state, reason), seeds in fates.items():
            which = "all" if len(seeds) == row.planned else ", ".join(seeds)
            lines.append((row.label, which, state, reason or EMPTY))
    return Table(columns=_left("System", "Seeds", "State", "Reason"), rows=tuple(lines))


def per_seed(grid: Grid) -> Table:
    """The dataset's first two metrics (MAE / Corr) of every run."""
    first = metrics_for(grid.corpus.dataset, primary=True)[:2]
    rows = ordered(grid)
    seeds = sorted({run.seed for row in rows for run in row.runs if not row.deterministic})
    lines = []
    for row in rows:
        cells: dict[int | None, str] = {
            None if row.deterministic else run.seed: " / ".join(
                number(run.scores[metric.name], metric) for metric in first
            )
            for run in row.runs
        }
        lines.append((row.label, *(cells.get(seed, EMPTY) for seed in (None, *seeds))))
    return Table(columns=(*_left("System"), *_right("det.", *map(str, seeds))), rows=tuple(lines))


def ceilings(grid: Grid) -> Table:
    """For twins: the best any system could do given each view of the planted signals."""
    planted = grid.corpus.ceilings
    views = [*(v for v in _VIEWS if v in planted), *sorted(planted.keys() - set(_VIEWS))]
    shown = [
        m for m in metrics_for(grid.corpus.dataset) if any(m.name in planted[v] for v in views)
    ]
    return Table(
        columns=(*_left("Signals seen"), *_right(*map(_heading, shown))),
        rows=tuple(
            (view, *(_ceiling(planted[view].get(metric.name), metric) for metric in shown))
            for view in views
        ),
    )


def _ceiling(value: float | None, metric: Metric) -> str:
    return UNDEFINED if value is None else number(value, metric)


def costs(grid: Grid) -> Table:
    """Measured seconds and memory, mean ± sample standard deviation over seeds."""
    return Table(
        columns=(
            *_left("System"),
            *_right("Runs", "Fit, s", "Predict, s", "Peak memory, MiB"),
            *_left("Measured on"),
        ),
        rows=tuple(_costs_of(row) for row in ordered(grid) if row.facts),
    )


def _costs_of(row: Row) -> tuple[str, ...]:
    facts = row.facts
    return (
        row.label,
        str(len(facts)),
        _spread([fact.fit_seconds for fact in facts], ".2f"),
        _spread([fact.predict_seconds for fact in facts], ".3f"),
        _spread([fact.peak_memory_bytes / 2**20 for fact in facts], ",.0f"),
        "; ".join(sorted({f"{fact.device}, {fact.processor}" for fact in facts})),
    )


def _spread(values: Sequence[float], form: str) -> str:
    summary = Summary(tuple(values))
    return with_spread(summary.mean, summary.sd, partial(defined, form=form, undefined=UNDEFINED))
