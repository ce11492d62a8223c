"""Cost Pareto: what a better value costs, and who is beaten by something cheaper."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from harness.metrics import Metric
from leaderboards.figures._labels import Line, Point, label_points
from leaderboards.figures.style import (
    CONSTANT,
    FAINT,
    OTHER,
    SYSTEM,
    axis_title,
    blank,
    direction,
    headline,
    number,
    point_to_better,
    sheet,
    short,
    style,
)
from leaderboards.model import Grid, Row, ordered, summarise
from leaderboards.numbers import scaled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Cost", "cost_pareto", "pareto_front"]

Cost: TypeAlias = Literal["fit_seconds", "parameters"]

_TITLES = {"fit_seconds": "Training time, seconds per run", "parameters": "Parameters"}
_HEIGHT = 4.4  # inches
_SUFFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def cost_pareto(grid: Grid, metric: Metric | None = None, cost: Cost = "fit_seconds") -> Figure:
    """Mean cost on a logarithmic axis against a metric, with the front of what is not dominated.

    Constant predictors cost nothing; the best of them is a dashed line, the floor.

    Args:
        grid: The rows of a suite on one corpus.
        metric: Upwards; the selection metric when None.
        cost: Across. Seconds are measurements: unlike all else, they differ between equal runs.
    """
    shown = metric or grid.selection
    rows = [row for row in ordered(grid) if not row.reference and _has_place(row, shown, cost)]
    places = [(_cost(row, cost), summarise(row, shown).mean) for row in rows]
    best = pareto_front([(x, shown.cost(y)) for x, y in places])
    points = [(x, scaled(shown, y)) for x, y in places]
    with style():
        subtitle = f"{_TITLES[cost]}, against test {axis_title(shown)}"
        figure, axes = sheet(
            headline(grid), subtitle, height=_HEIGHT, notes=_notes(grid, rows, cost)
        )
        axes.set_ylabel(axis_title(shown))
        axes.set_xlabel(f"{_TITLES[cost]}, logarithmic")
        axes.grid()
        axes.margins(y=0.1)
        _scale_costs(axes, [x for x, _ in points], cost)
        lines = _draw_front(axes, [points[i] for i in best]) + _draw_constant(axes, grid, shown)
        colours = [SYSTEM if i in best else OTHER for i in range(len(rows))]
        axes.scatter(
            [x for x, _ in points], [y for _, y in points], s=42, c=colours, lw=0, zorder=3
        )
        if not rows:
            blank(axes)
        point_to_better(axes, -1, direction(shown))
        _name(axes, rows, points, best, lines)
    figure.set_label(f"{subtitle}. {'; '.join(_described(rows, places, best, shown))}.")
    return figure


def pareto_front(points: Sequence[tuple[float, float]]) -> tuple[int, ...]:
    """Positions of the points that no other one dominates, by ascending first coordinate.

    A point is dominated by one that is nowhere larger and somewhere smaller.

    Example:
        >>> pareto_front([(3, 1), (1, 2), (2, 2), (1, 2)])
        (1, 3, 0)
    """
    front: list[int] = []
    for i in sorted(range(len(points)), key=points.__getitem__):
        if not front or points[i][1] < points[front[-1]][1] or points[i] == points[front[-1]]:
            front.append(i)
    return tuple(front)


def _cost(row: Row, cost: Cost) -> float:
    return statistics.fmean(getattr(facts, cost) for facts in row.facts)


def _has_place(row: Row, metric: Metric, cost: Cost) -> bool:
    """Whether a logarithmic axis and the metric both have a place for the row."""
    if not row.facts or math.isnan(summarise(row, metric).mean):
        return False
    return 0 < _cost(row, cost) < math.inf


def _scale_costs(axes: Axes, costs: Sequence[float], cost: Cost) -> None:
    """A logarithmic axis of at least one decade, labelled at 1, or 1, 2 and 5, of each."""
    low, high = (min(costs), max(costs)) if costs else (1.0, 10.0)
    margin = max(1.8, math.sqrt(10 * low / high))
    low, high = low / margin, high * margin
    steps = (1, 2, 5) if high / low < 300 else (1,)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    axes.set_xscale("log")
    axes.set_xticks([], minor=True)
    axes.set_xticks(ticks, [_tick(tick) if cost == "parameters" else f"{tick:g}" for tick in ticks])
    axes.set_xlim(low, high)


def _tick(value: float) -> str:
    for size, suffix in _SUFFIXES:
        if value >= size:
            return f"{value / size:g}{suffix}"
    return f"{value:g}"


def _draw_front(axes: Axes, front: Sequence[tuple[float, float]]) -> list[Line]:
    """A staircase: between two systems, money buys no more than the cheaper one gives."""
    ends = [*front, *((axes.get_xlim()[1], y) for _, y in front[-1:])]
    lines: list[Line] = []
    for (x, y), (next_x, next_y) in itertools.pairwise(ends):
        lines += [((x, y), (next_x, y)), ((next_x, y), (next_x, next_y))]
    for line in lines:
        axes.plot(*zip(*line, strict=True), color=SYSTEM, lw=1.2, zorder=2)
    return lines


def _draw_constant(axes: Axes, grid: Grid, metric: Metric) -> list[Line]:
    constants = {row.label: summarise(row, metric).mean for row in grid.rows if row.reference}
    label = min(constants, key=lambda name: metric.cost(constants[name]), default=None)
    if label is None or math.isnan(constants[label]):
        return []
    value = scaled(metric, constants[label])
    axes.axhline(value, color=CONSTANT, lw=1.4, ls=(0, (4, 3)))
    where, text = axes.get_yaxis_transform(), f"best constant: {short(label)}"
    axes.text(0.99, value, text, transform=where, ha="right", va="bottom", color=CONSTANT, size=8)
    low, high = axes.get_xlim()
    return [((low, value), (high, value))]


def _name(
    axes: Axes,
    rows: Sequence[Row],
    points: Sequence[tuple[float, float]],
    best: Sequence[int],
    lines: Sequence[Line],
) -> None:
    """Names of the systems on the front first, for they choose their place first."""
    named = {i: Point(rows[i].label, *points[i], weight="bold") for i in best}
    for i, row in enumerate(rows):
        named.setdefault(i, Point(row.label, *points[i], colour=FAINT))
    label_points(axes, list(named.values()), lines)


def _notes(grid: Grid, shown: Sequence[Row], cost: Cost) -> list[str]:
    notes = [
        "Bold, on the line: no other system is both as cheap and better, or cheaper and as good."
    ]
    if shown and cost == "fit_seconds":
        where = sorted({f"{f.device}, {f.processor}" for row in shown for f in row.facts})
        notes.append(f"Mean over seeds, measured on: {'; '.join(short(w, 80) for w in where)}.")
    left = [row for row in grid.rows if row not in shown and not row.reference]
    if left:
        names = ", ".join(short(row.label) for row in left)
        notes.append(f"Not shown, without a run, a value or a cost: {names}.")
    return notes


def _described(
    rows: Sequence[Row],
    places: Sequence[tuple[float, float]],
    best: Sequence[int],
    metric: Metric,
) -> list[str]:
    return [
        f"{row.label}: {x:.3g}, {metric.title} {number(y, metric)}"
        + (", not dominated" if i in best else "")
        for i, (row, (x, y)) in enumerate(zip(rows, places, strict=True))
    ]
