"""What the figures share: palette, page, names and numbers.

Colours are those of Okabe and Ito, told apart by every common kind of colour vision. Names come
from strangers: they are never read as mathematics or markup, and long ones are shortened.
"""

from __future__ import annotations

import itertools
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from wcwidth import wcswidth, wcwidth

from harness.metrics import Metric
from leaderboards import numbers
from leaderboards.document import one_line
from leaderboards.model import PLAIN, Grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "CEILING",
    "CONSTANT",
    "DARK",
    "FAINT",
    "GRID",
    "INK",
    "OTHER",
    "PAGE",
    "SYSTEM",
    "TINT",
    "axis_title",
    "beside",
    "blank",
    "direction",
    "headline",
    "list_rows",
    "number",
    "point_to_better",
    "rows_height",
    "sheet",
    "short",
    "style",
]

INK, FAINT, GRID, PAGE = "#1f2328", "#59636e", "#d1d9e0", "#ffffff"
SYSTEM, CONSTANT, CEILING, OTHER = "#0072b2", "#d55e00", "#009e73", "#8c959f"
TINT = "#e3eff7"
"""Behind rows that stand out."""

DARK = {
    INK: "#e6edf3",
    FAINT: "#9198a1",
    GRID: "#3d444d",
    PAGE: "#0d1117",
    SYSTEM: "#56b4e9",
    CONSTANT: "#e69f00",
    OTHER: "#6e7681",
    TINT: "#14283a",
}
"""Colour on a dark page of each colour that changes."""

_STYLE: Mapping[Any, object] = {
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same everywhere
    "font.size": 9.0,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": GRID,
    "axes.labelcolor": FAINT,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": FAINT,
    "ytick.labelcolor": FAINT,
    "pdf.fonttype": 42,  # TrueType: publishers refuse the outlines that are the default
    "svg.fonttype": "none",
    "svg.hashsalt": "msa-harness",
}

_WIDTH, _TOP, _ROW, _LINE, _EDGE = 8.0, 0.66, 0.26, 0.145, 0.12  # inches
_ARROWS = {
    **{(1, 1): "↗", (-1, 1): "↖", (1, -1): "↘", (-1, -1): "↙"},
    **{(1, 0): "→", (-1, 0): "←", (0, 1): "↑", (0, -1): "↓"},
}
_NOTE = 125  # characters a line


@contextmanager
def style() -> Iterator[None]:
    """Draw and save under this module's settings, whatever the reader's own are."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the SVG still has it
        yield


def sheet(
    title: str, subtitle: str, *, height: float, notes: Sequence[str] = ()
) -> tuple[Figure, Axes]:
    """A page with a heading, one pair of axes and notes below; call inside ``style``.

    Args:
        title: First line.
        subtitle: Second line.
        height: Of the axes with their labels, inches.
        notes: Paragraphs below, wrapped.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    foot = [line for note in notes for line in textwrap.wrap(note, _NOTE)]
    bottom = _LINE * len(foot) + _EDGE * (2 if foot else 1)
    total = _TOP + height + bottom
    left = _EDGE / _WIDTH
    layout = ConstrainedLayoutEngine(rect=(left, bottom / total, 1 - 2 * left, height / total))
    figure = Figure(figsize=(_WIDTH, total), dpi=72, layout=layout)  # a pixel is a point
    heading = figure.suptitle(
        title, x=left, y=1 - _EDGE / total, ha="left", va="top", size=11, weight="bold"
    )
    second = figure.text(left, 1 - 0.36 / total, subtitle, va="top", color=FAINT)
    note = figure.text(
        left, (bottom - _EDGE) / total, "\n".join(foot), va="top", color=FAINT, size=8
    )
    for text in (heading, second, note):
        text.set_in_layout(False)  # room was made above
    return figure, figure.subplots()


def rows_height(rows: int) -> float:
    """Inches that a list of rows and its axis take."""
    return _ROW * max(rows, 1) + 0.4


def list_rows(axes: Axes, labels: Sequence[str]) -> None:
    """Name one line per label, first on top, and put vertical rules behind."""
    axes.set_yticks(range(len(labels)), [short(label) for label in labels], color=INK)
    axes.set_ylim(max(len(labels), 1) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")


def beside(axes: Axes, place: float, text: str) -> None:
    """A remark on a line of ``list_rows``, right of the axes."""
    where = axes.get_yaxis_transform()
    axes.text(1.03, place, text, transform=where, va="center_baseline", color=FAINT)


def blank(axes: Axes) -> None:
    """Say that there is nothing to show instead of inventing numbers for the axes."""
    axes.set_xticks([])
    axes.set_yticks([])
    where = axes.transAxes
    axes.text(0.5, 0.5, "no system to show", transform=where, ha="center", color=FAINT)


def point_to_better(axes: Axes, across: int, up: int) -> None:
    """Mark the direction of better values above the axes: 1, -1, or 0 for neither."""
    sign = _ARROWS.get((across, up))
    if sign:
        x, side = (1.0, "right") if across > 0 else (0.0, "left")
        where = axes.transAxes
        axes.text(x, 1.02, f"{sign} better", transform=where, ha=side, weight="bold", color=FAINT)


def direction(metric: Metric) -> int:
    """1 where higher is better, -1 where lower is, 0 where a value inside the range is best."""
    return 0 if metric.ideal is not None else 1 if metric.higher_is_better else -1


def axis_title(metric: Metric) -> str:
    """Metric, unit and direction."""
    return f"{metric.title}{' (%)' if metric.percent else ''} {numbers.arrow(metric)}"


def headline(grid: Grid) -> str:
    """The corpus, and what its rows know besides, in a figure's first line."""
    dataset = grid.corpus.dataset.title
    where = f"SYNTHETIC TWIN of {dataset}" if grid.corpus.twin else dataset
    known = "".join(f"; {track.title}" for track in grid.tracks if track != PLAIN)
    return f"{where} ({grid.corpus.name}){known}"


def number(value: float, metric: Metric) -> str:
    """The value as boards print it, without a percent sign; ``undefined`` for NaN."""
    return numbers.number(value, metric, undefined="undefined")


def short(label: str, columns: int = 36) -> str:
    """``label`` on one line, its middle left out where it is long: variants differ at the end.

    Example:
        >>> short("a system with a rather long name (text+audio)", 20)
        'a system with…audio)'
    """
    line = one_line(label)
    if wcswidth(line) <= columns:
        return line
    head = columns * 2 // 3
    tail = _cut(line[::-1], columns - head - 1)[::-1]
    return f"{_cut(line, head).rstrip()}…{tail.lstrip()}"


def _cut(text: str, columns: int) -> str:
    widths = itertools.accumulate(wcwidth(char) for char in text)
    return "".join(char for char, end in zip(text, widths, strict=True) if end <= columns)
