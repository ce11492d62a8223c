"""Lines whose names stand at their right ends, moved apart where they would overlap."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leaderboards.figures.style import INK, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LINE", "NAME", "Curve", "apart", "draw_curves", "look"]

LINE = 0.17
"""Inches from one name to the next."""
NAME = 38
"""Columns that a name may take."""

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", INK)
_DASHES = ("solid", "dashed", "dotted", "dashdot")


@dataclass(frozen=True)
class Curve:
    """A line with its name.

    Args:
        name: Shown at its right end.
        x: Abscissae.
        y: Ordinates.
        colour: Of the line.
        dashes: Of the line.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: str
    dashes: str


def look(place: int) -> tuple[str, str]:
    """Colour and dashes of the curve with this place: no two of 28 are alike."""
    turn, colour = divmod(place, len(_COLOURS))
    return _COLOURS[colour], _DASHES[turn % len(_DASHES)]


def draw_curves(axes: Axes, curves: Sequence[Curve]) -> None:
    """Draw lines and their names; the axes have their labels and limits, from 0 upwards."""
    axes.grid(axis="y")
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    figure = axes.figure
    figure.draw_without_rendering()  # type: ignore[union-attr]  # lays the page out
    gap = LINE * figure.dpi / axes.get_window_extent().height
    ends = [curve.y[-1] / axes.get_ylim()[1] for curve in curves]
    across = axes.transAxes
    for curve, end, place in zip(curves, ends, apart(ends, gap), strict=True):
        tie = [1.005, 1.035], [end, place]
        axes.plot(curve.x, curve.y, c=curve.colour, ls=curve.dashes, lw=1.8, clip_on=False)
        axes.plot(*tie, c=curve.colour, ls=curve.dashes, lw=1, clip_on=False, transform=across)
        axes.text(1.045, place, short(curve.name, NAME), transform=across, va="center", size=8)


def apart(wanted: Sequence[float], gap: float) -> list[float]:
    """Heights in [0, 1] close to ``wanted``, in the same order and ``gap`` apart where they fit.

    Least squares: names that would overlap share one centre.

    Example:
        >>> [round(height, 3) for height in apart([0.5, 0.51, 0.9], 0.1)]
        [0.455, 0.555, 0.9]
    """
    order = sorted(range(len(wanted)), key=lambda place: wanted[place])
    blocks: list[list[float]] = []  # of heights less the gaps below them
    for rank, place in enumerate(order):
        blocks.append([wanted[place] - rank * gap])
        while len(blocks) > 1 and statistics.fmean(blocks[-2]) > statistics.fmean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    highest = max(0.0, 1.0 - gap * (len(wanted) - 1))
    found = [0.0] * len(wanted)
    levels = (statistics.fmean(block) for block in blocks for _ in block)
    for rank, (place, level) in enumerate(zip(order, levels, strict=True)):
        found[place] = min(max(level, 0.0), highest) + rank * gap
    return found
