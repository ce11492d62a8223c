"""Rank intervals: how far the data can tell systems apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.metrics import metrics
from harness.stats import Ranking
from leaderboards.figures.style import (
    OTHER,
    PAGE,
    SYSTEM,
    TINT,
    axis_title,
    beside,
    headline,
    list_rows,
    number,
    rows_height,
    sheet,
    style,
)
from leaderboards.model import Grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["rank_intervals"]

_BAR = 8  # points
_TICKS = 12  # at most


def rank_intervals(grid: Grid, ranking: Ranking) -> Figure:
    """One bar per system from its best to its worst possible rank; the leaders' group is tinted.

    Bars of systems with a single run are hollow: how their seeds vary is not known.

    Args:
        grid: The rows of a suite on one corpus.
        ranking: Their rank sets.
    """
    metric = metrics[ranking.metric]
    with style():
        subtitle = (
            f"Ranks by test {axis_title(metric)} that the data do not exclude; mean [95 % interval]"
        )
        height = rows_height(len(ranking.names)) + 0.2
        figure, axes = sheet(headline(grid), subtitle, height=height, notes=_notes(ranking))
        list_rows(axes, ranking.names)
        for place in range(len(ranking.names)):
            _bar(axes, place, ranking)
            beside(axes, place, _value(ranking, place))
        _number_ranks(axes, len(ranking.names))
    figure.set_label(f"{subtitle}. {'; '.join(_described(ranking))}.")
    return figure


def _bar(axes: Axes, place: int, ranking: Ranking) -> None:
    name, (best, worst) = ranking.names[place], ranking.ranks[place]
    leads = name in ranking.leaders
    if leads:
        axes.axhspan(place - 0.5, place + 0.5, color=TINT, lw=0)
        axes.get_yticklabels()[place].set_fontweight("bold")
    layers = [(SYSTEM if leads else OTHER, _BAR)]
    if name in ranking.conditional:
        layers.append((PAGE, _BAR - 3))
    shape = "o" if best == worst else "-"  # a line without length would not be drawn
    for colour, size in layers:
        axes.plot(
            [best, worst],
            [place, place],
            shape,
            color=colour,
            linewidth=size,
            markersize=size,
            markeredgewidth=0,
            solid_capstyle="round",
        )


def _number_ranks(axes: Axes, count: int) -> None:
    step = math.ceil(count / _TICKS)
    axes.set_xticks(range(1, count + 1, step))
    axes.set_xlim(0.5, count + 0.5)
    axes.set_xlabel("rank, 1 is best")


def _value(ranking: Ranking, place: int) -> str:
    metric, value = metrics[ranking.metric], ranking.values[place]
    if math.isnan(value):
        return "undefined"
    low, high = (number(bound, metric) for bound in ranking.intervals[place])
    return f"{number(value, metric)}  [{low}, {high}]"


def _notes(ranking: Ranking) -> list[str]:
    metric = metrics[ranking.metric]
    notes = [
        "Tinted, bold: no other system is significantly better"
        f" (all pairs together, α = {ranking.alpha:g})."
    ]
    if ranking.conditional:
        notes.append("Hollow: one run, so that variation over seeds, if any, is left out.")
    if ranking.resolution > 0:
        notes.append(
            "Resolution: a typical pair is told apart, with 80 % power, from a difference of"
            f" {number(ranking.resolution, metric)}{' points' if metric.percent else ''} on."
        )
    return notes


def _described(ranking: Ranking) -> list[str]:
    return [
        f"{name}: rank {best} to {worst}" + (", among the leaders" * (name in ranking.leaders))
        for name, (best, worst) in zip(ranking.names, ranking.ranks, strict=True)
    ]
