"""Small drawings inside cells: a rank set on its axis, the seeds of a row, an average rank.

A drawing is hidden from screen readers; the words beside it say the same.

Shapes: M ranked rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from harness.metrics import Metric
from leaderboards.document import Drawing, Line, Score
from leaderboards.rendering.html.markup import Html, tag
from leaderboards.rendering.html.numbers import defined, typeset

__all__ = ["Axis", "axis_of", "draw_average", "draw_axis", "draw_rank", "draw_ranks", "draw_seeds"]

_RANKS, _SEEDS, _MARGIN = 76, 168, 7  # widths and margin, pixels
_TALL = 20  # widths and height also stand in page.css, once for all drawings
_MIDDLE, _INTERVAL = 10, 15  # heights from the top; dots stand at 6, by page.css
_LABELS = 3  # at most so many numbers along an axis


@dataclass(frozen=True)
class Axis:
    """A linear axis from ``low`` to ``high``, ``width`` pixels with its margins."""

    low: float
    high: float
    width: int = _SEEDS

    def __call__(self, value: float) -> str:
        """Position of a value, pixels."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return f"{_MARGIN + share * (self.width - 2 * _MARGIN):.1f}".removesuffix(".0")

    def ticks(self) -> tuple[float, ...]:
        """Round values inside the axis, a handful of them."""
        reach = self.high - self.low
        if not reach > 0:
            return (self.low,)
        coarse = 10.0 ** math.ceil(math.log10(reach))
        steps = (coarse * part for part in (0.5, 0.2, 0.1, 0.05))
        return next(found for step in steps if len(found := self._multiples(step)) >= 2)

    def _multiples(self, step: float) -> tuple[float, ...]:
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return tuple(i * step for i in range(first, last + 1))


def axis_of(lines: Iterable[Line], metric: Metric) -> Axis | None:
    """The common axis of the seeds and intervals of a table, None without any.

    Ranked rows span it where there are some, for rows that failed would squeeze them together.
    """
    every = tuple(lines)
    found = [
        value
        for line in [line for line in every if not line.unranked] or every
        if (score := line.scores.get(metric.name)) is not None
        for value in (*score.values, score.mean, *(score.interval or ()))
        if math.isfinite(value)
    ]
    return Axis(min(found), max(found)) if found else None


def draw_axis(axis: Axis, metric: Metric, name: str) -> Html:
    """Numbers above a column of seeds, and the grid lines that its cells refer to by ``name``."""
    scale = 100 if metric.percent else 1
    ticks = axis.ticks()[:: math.ceil(len(axis.ticks()) / _LABELS)]
    return _numbers(axis, ticks, _grid(axis, name=name), scale)


def draw_ranks(ranked: int, name: str) -> Html:
    """The first and the last rank above a column of rank sets, and their grid lines."""
    axis = Axis(1, ranked, _RANKS)
    return _numbers(axis, (1, ranked), _grid(axis, range(1, ranked + 1), name))


def _numbers(axis: Axis, ticks: Sequence[float], grid: Html, scale: int = 1) -> Html:
    labels = (tag("text", typeset(f"{scale * tick:.6g}"), x=axis(tick), y=10) for tick in ticks)
    return _svg("axis", tag("defs", grid), *labels)


def draw_seeds(score: Score, axis: Axis, grid: str) -> Html:
    """One dot per run, the interval as a line, the mean as a stroke.

    Args:
        score: What to draw.
        axis: Of the column.
        grid: Name of the column's grid lines.
    """
    return _svg("seeds", _lines(grid), *_seeds(score, axis))


def _lines(grid: str) -> Html:
    """Grid lines drawn once for a whole column."""
    return tag("use", href=f"#{grid}")


def _seeds(score: Score, axis: Axis) -> Iterator[Html]:
    for value in filter(math.isfinite, score.values):
        if axis.low <= value <= axis.high:
            yield tag("circle", cx=axis(value))
    if score.interval is not None and defined(score.interval):
        yield _interval(score.interval, axis, _INTERVAL)
    if axis.low <= score.mean <= axis.high:
        yield _mean(score.mean, axis, _INTERVAL)
    elif math.isfinite(score.mean):
        yield _beyond(axis, 1 if score.mean > axis.high else -1)


def _interval(bounds: tuple[float, float], axis: Axis, height: int) -> Html:
    low, high = map(axis, bounds)
    return tag("path", class_="interval", d=f"M{low} {height}H{high}")


def _mean(value: float, axis: Axis, height: int) -> Html:
    return tag("path", class_="mean", d=f"M{axis(value)} {height - 4}v8")


def _beyond(axis: Axis, side: int) -> Html:
    """A mark at the end of the axis: the mean lies farther out."""
    x = axis.width - 5 if side > 0 else 5
    return tag("path", class_="beyond", d=f"M{x} {_INTERVAL - 4}l{5 * side} 4l{-5 * side} 4z")


def draw_rank(rank: tuple[int, int], ranked: int, grid: str) -> Html:
    """A bar from the best to the worst rank on an axis from 1 to ``ranked``."""
    axis = Axis(1, ranked, _RANKS)
    best, worst = map(axis, rank)
    bar = tag("path", class_="set", d=f"M{best} {_MIDDLE}H{worst}")
    return _svg("ranks", _lines(grid), bar)


def draw_average(drawing: Drawing) -> Html:
    """A value and its interval on an axis from 1."""
    axis = Axis(1, drawing.last)
    return _svg(
        "average",
        _grid(axis, range(1, drawing.last + 1)),
        _interval((drawing.low, drawing.high), axis, _MIDDLE),
        _mean(drawing.value, axis, _MIDDLE),
    )


def _grid(axis: Axis, ticks: Sequence[float] = (), name: str | None = None) -> Html:
    lines = (f"M{axis(tick)} 0V{_TALL}" for tick in ticks or axis.ticks())
    return tag("path", class_="grid", d="".join(lines), id=name)


def _svg(kind: str, *parts: Html) -> Html:
    return tag("svg", *parts, class_=kind, aria_hidden="true")
