"""Metric scatter: whether two metrics agree on who is good."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.metrics import Metric
from harness.stats import Ranking
from leaderboards.figures._labels import Line, Point, label_points
from leaderboards.figures.style import (
    CONSTANT,
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

__all__ = ["metric_scatter"]

_HEIGHT = 4.8  # inches


def metric_scatter(
    grid: Grid,
    x: Metric | None = None,
    y: Metric | None = None,
    rankings: Mapping[str, Ranking] | None = None,
) -> Figure:
    """One point per system at its means, a small one per seed, whiskers where intervals are given.

    Args:
        grid: The rows of a suite on one corpus.
        x: Across; the dataset's first primary metric when None.
        y: Upwards; its second when None.
        rankings: Metric -> ranking, whose intervals become whiskers.
    """
    first, second = grid.metrics[:2]
    both = (x or first, y or second)
    rows = [row for row in ordered(grid) if all(map(math.isfinite, _means(row, both)))]
    known = rankings or {}
    with style():
        subtitle = f"Test {axis_title(both[0])} against {axis_title(both[1])}"
        figure, axes = sheet(
            headline(grid), subtitle, height=_HEIGHT, notes=_notes(grid, rows, both, known)
        )
        axes.set_xlabel(axis_title(both[0]))
        axes.set_ylabel(axis_title(both[1]))
        axes.grid()
        axes.margins(0.08)
        lines = [line for row in rows for line in _mark(axes, row, both)]
        for axis, metric in enumerate(both):
            if metric.name in known:
                lines += _whiskers(axes, rows, both, axis, known[metric.name])
        if not rows:
            blank(axes)
        point_to_better(axes, *map(direction, both))
        shown = sorted(rows, key=lambda row: row.reference)  # systems choose their place first
        label_points(axes, [Point(row.label, *_place(row, both)) for row in shown], lines)
    figure.set_label(f"{subtitle}. {'; '.join(_described(row, both) for row in rows)}.")
    return figure


def _means(row: Row, both: tuple[Metric, Metric]) -> tuple[float, float]:
    return summarise(row, both[0]).mean, summarise(row, both[1]).mean


def _place(row: Row, both: tuple[Metric, Metric]) -> tuple[float, float]:
    across, up = _means(row, both)
    return scaled(both[0], across), scaled(both[1], up)


def _mark(axes: Axes, row: Row, both: tuple[Metric, Metric]) -> list[Line]:
    """Draw a row's mean and, joined to it, its seeds; returns the seeds' marks."""
    x, y = _place(row, both)
    colour = CONSTANT if row.reference else SYSTEM
    seeds = [
        (scaled(both[0], run.scores[both[0].name]), scaled(both[1], run.scores[both[1].name]))
        for run in row.runs
        if len(row.runs) > 1
    ]
    for seed in seeds:
        axes.plot(*zip((x, y), seed, strict=True), color=colour, alpha=0.35, lw=0.7)
    if seeds:
        across, up = zip(*seeds, strict=True)
        axes.scatter(across, up, s=9, c=colour, alpha=0.6, lw=0)
    axes.scatter([x], [y], s=42, c=colour, lw=0, zorder=3)
    return [(seed, seed) for seed in seeds]


def _whiskers(
    axes: Axes, rows: list[Row], both: tuple[Metric, Metric], axis: int, ranking: Ranking
) -> list[Line]:
    """Draw the intervals of one axis and return them."""
    intervals = dict(zip(ranking.names, ranking.intervals, strict=True))
    lines: list[Line] = []
    for row in rows:
        if row.label in intervals:
            low, high = (scaled(both[axis], bound) for bound in intervals[row.label])
            x, y = _place(row, both)
            lines.append(((x, low), (x, high)) if axis else ((low, y), (high, y)))
            axes.plot(*zip(*lines[-1], strict=True), color=OTHER, lw=0.9, zorder=1)
    return lines


def _notes(
    grid: Grid, shown: list[Row], both: tuple[Metric, Metric], known: Mapping[str, Ranking]
) -> list[str]:
    notes = ["Large: mean over seeds; small: one seed."]
    if any(metric.name in known for metric in both):
        notes[0] += " Lines: 95 % interval of the mean, over seeds and videos."
    if any(row.reference for row in shown):
        notes[0] += " Orange: constant predictors, the floor."
    left = [row for row in grid.rows if row not in shown]
    undefined = ", ".join(short(row.label) for row in left if row.runs)
    absent = ", ".join(short(row.label) for row in left if not row.runs)
    if undefined:
        notes.append(f"Not shown, a metric undefined in at least one seed: {undefined}.")
    if absent:
        notes.append(f"Not shown, without a run: {absent}.")
    return notes


def _described(row: Row, both: tuple[Metric, Metric]) -> str:
    shown = (f"{m.title} {number(v, m)}" for m, v in zip(both, _means(row, both), strict=True))
    return f"{row.label}: {', '.join(shown)}"
