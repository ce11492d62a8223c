"""A grid as tables of text: which columns, how rounded, what is said of an empty cell.

Numbers are averaged first and rounded last. Cells are plain text, not yet escaped for any format.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.metrics import Metric, metrics_for
from leaderboards.select import Facts, Grid, Row
from leaderboards.summary import Summary, ordered, summarise

__all__ = [
    "EMPTY",
    "UNDEFINED",
    "Column",
    "Table",
    "arrow",
    "ceilings",
    "costs",
    "holes",
    "making",
    "per_seed",
    "results",
]

EMPTY = "·"
"""Nothing to show: no run, or a question that does not arise."""

UNDEFINED = "–"
"""A run exists and its value is mathematically undefined."""

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
    """Mean ± sample standard deviation of every primary metric, with text encoder and seeds."""
    shown = metrics_for(grid.corpus.dataset, primary=True)
    notes: list[str] = []
    rows = []
    for row in ordered(grid):
        scores = (_score(row, metric, notes) for metric in shown)
        rows.append((row.label, _text(row), _seeds(row), *scores))
    return Table(
        columns=(*_left("System", "Text"), *_right("Seeds", *map(_heading, shown))),
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


def _score(row: Row, metric: Metric, notes: list[str]) -> str:
    """The cell; what cannot be averaged becomes a dash that refers to one of ``notes``."""
    if not row.runs:
        return EMPTY
    summary = summarise(row, metric)
    if summary.undefined:
        of = f"{summary.undefined} of {len(summary.values)}"
        note = f"{metric.title} is undefined in {of} runs ({metric.undefined})."
        if note not in notes:
            notes.append(note)
        return UNDEFINED + str(notes.index(note) + 1).translate(_SUPERSCRIPTS)
    mean = _number(summary.mean, metric)
    return mean if math.isnan(summary.sd) else f"{mean} ± {_number(summary.sd, metric)}"


def _number(value: float, metric: Metric) -> str:
    """Percentages with 2 decimals, everything else with 3; never a negative zero."""
    if math.isnan(value):
        return UNDEFINED
    return f"{100 * value:z.2f}" if metric.percent else f"{value:z.3f}"


def _seeds(row: Row) -> str:
    n = len(row.runs)
    if row.holes and all(hole.state == "not applicable" for hole in row.holes):
        return "n/a"
    if row.deterministic:
        return "det." if n else "det. 0/1"
    return f"{n}/{row.planned}" + (", n=1" if n == 1 else "")


def _text(row: Row) -> str:
    encoders = sorted({run.facts.encoder for run in row.runs if run.facts.encoder})
    return ": ".join(part for part in (row.text, ", ".join(encoders)) if part) or EMPTY


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
    facts = [run.facts for run in row.runs]
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
    shown = [f"{all_:,}" if some == all_ else f"{some:,} of {all_:,}" for some, all_ in sizes]
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
                _number(run.scores[metric.name], metric) for metric in first
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
    return UNDEFINED if value is None else _number(value, metric)


def costs(grid: Grid) -> Table:
    """Measured seconds and memory, mean ± sample standard deviation over seeds."""
    return Table(
        columns=(
            *_left("System"),
            *_right("Runs", "Fit, s", "Predict, s", "Peak memory, MiB"),
            *_left("Measured on"),
        ),
        rows=tuple(_costs_of(row) for row in ordered(grid) if row.runs),
    )


def _costs_of(row: Row) -> tuple[str, ...]:
    facts = [run.facts for run in row.runs]
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
    mean = format(summary.mean, form)
    return mean if math.isnan(summary.sd) else f"{mean} ± {format(summary.sd, form)}"
