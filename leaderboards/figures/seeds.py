"""Per-seed strip: every run of every row on one axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from harness._util.printed import with_spread
from harness.metrics import Metric
from leaderboards.figures.style import (
    CEILING,
    CONSTANT,
    INK,
    SYSTEM,
    axis_title,
    beside,
    headline,
    list_rows,
    number,
    rows_height,
    sheet,
    style,
)
from leaderboards.model import Grid, Row, ordered, summarise
from leaderboards.numbers import scaled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["seed_strip"]

_VIEWS = ("text", "all")  # the two questions a board on a twin answers
_DOT = 0.019  # diameter of a dot as a part of the axis
_LANES = (0.0, -0.27, 0.27)  # of a row, for dots that would hide each other


def seed_strip(grid: Grid, metric: Metric | None = None) -> Figure:
    """One line per system, one dot per seed, a bar at the mean; for twins, the planted ceilings.

    Args:
        grid: The rows of a suite on one corpus.
        metric: What the axis shows; the selection metric when None.
    """
    shown = metric or grid.selection
    rows = ordered(grid)
    ceilings = _ceilings(grid, shown)
    finite = [v for row in rows for v in row.values(shown.name) if math.isfinite(v)]
    low, high = _limits([scaled(shown, value) for value in (*finite, *ceilings.values())])
    with style():
        subtitle = f"Test {axis_title(shown)}: one dot per seed, a bar at the mean"
        figure, axes = sheet(headline(grid), subtitle, height=rows_height(len(rows)) + 0.2)
        list_rows(axes, [row.label for row in rows])
        axes.set_xlim(low, high)
        if not finite:
            axes.set_xticks([])
        for place, row in enumerate(rows):
            _dots(axes, place, row, shown)
            beside(axes, place, _remark(row, shown))
        _mark_ceilings(axes, {name: scaled(shown, v) for name, v in ceilings.items()})
    described = [f"{row.label}: {_remark(row, shown)}" for row in rows]
    described += [
        f"best possible, {name}: {number(value, shown)}" for name, value in ceilings.items()
    ]
    figure.set_label(f"{subtitle}. {'; '.join(described)}.")
    return figure


def _ceilings(grid: Grid, metric: Metric) -> dict[str, float]:
    views = {name: grid.corpus.ceilings.get(name, {}).get(metric.name) for name in _VIEWS}
    return {name: value for name, value in views.items() if value is not None}


def _limits(values: Sequence[float]) -> tuple[float, float]:
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    margin = 0.05 * (high - low) or 0.1 * abs(high) or 0.5
    return low - margin, high + margin


def _dots(axes: Axes, place: int, row: Row, metric: Metric) -> None:
    values = sorted(scaled(metric, v) for v in row.values(metric.name) if math.isfinite(v))
    low, high = axes.get_xlim()
    lanes = _lanes(values, _DOT * (high - low))
    colour = CONSTANT if row.reference else SYSTEM
    axes.scatter(values, [place + lane for lane in lanes], s=27, c=colour, alpha=0.7, lw=0)
    mean = scaled(metric, summarise(row, metric).mean)
    if math.isfinite(mean):
        axes.vlines(mean, place - 0.38, place + 0.38, color=INK, lw=1.6, zorder=0.9)


def _lanes(values: Sequence[float], apart: float) -> list[float]:
    """Height of each of the ascending ``values``: the first lane whose last dot is far enough."""
    last = dict.fromkeys(_LANES, -math.inf)
    lanes = []
    for value in values:
        free = (lane for lane, end in last.items() if value - end >= apart)
        lanes.append(next(free, min(last, key=last.__getitem__)))
        last[lanes[-1]] = value
    return lanes


def _remark(row: Row, metric: Metric) -> str:
    """Mean and spread, and what is missing."""
    if not row.runs:
        return ", ".join(sorted({one.state for one in row.missing_runs}))
    summary = summarise(row, metric)
    n = len(summary.values)
    parts = [with_spread(summary.mean, summary.sd, partial(number, metric=metric))]
    if 0 < summary.undefined < n:
        parts.append(f"in {summary.undefined}/{n}")
    if row.reference:
        parts.append("(floor)")
    if row.missing_runs:
        parts.append(f"({n} of {row.planned} seeds)")
    return " ".join(parts)


def _mark_ceilings(axes: Axes, ceilings: dict[str, float]) -> None:
    """Dashed lines, named above on their outer sides."""
    sides = ((-2, "right"), (2, "left"))
    ascending = sorted(ceilings.items(), key=lambda item: item[1])
    for (name, value), (step, side) in zip(ascending, sides, strict=False):
        axes.axvline(value, color=CEILING, lw=1.4, ls=(0, (4, 3)))
        axes.annotate(
            f"best possible: {name}",
            (value, 1),
            (step, 3),
            xycoords=axes.get_xaxis_transform(),
            textcoords="offset points",
            ha=side,
            color=CEILING,
            size=8,
        )
