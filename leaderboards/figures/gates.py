"""What systems say of themselves: mean gates and expert loads, by the sentiment of the clip."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from leaderboards.figures.style import INK, headline, rows_height, sheet, short, style
from leaderboards.model import Grid, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["diagnostic_rows", "gate_map", "loads"]

_SENTIMENTS = ("negative", "neutral", "positive")
_PLACE = re.compile(r"(?P<name>.+)_(?P<place>[0-9]+)")


def loads(row: Row) -> Mapping[str, NDArray[np.float64]]:
    """What a row's runs tell, averaged over seeds: name -> (values, sentiments).

    The sentiments are negative, neutral, positive; NaN for one that no test clip has.
    """
    columns: dict[str, list[list[float]]] = {}
    for facts in row.facts:
        for column, means in facts.diagnostics.items():
            cells = [means.get(sentiment, np.nan) for sentiment in _SENTIMENTS]
            columns.setdefault(column, []).append(cells)
    gathered: dict[str, dict[int, NDArray[np.float64]]] = {}
    for column, runs in columns.items():
        parts = _PLACE.fullmatch(column)
        name, place = (parts["name"], int(parts["place"])) if parts else (column, 0)
        gathered.setdefault(name, {})[place] = np.mean(runs, axis=0)
    return {
        name: np.stack([places[place] for place in sorted(places)])
        for name, places in gathered.items()
    }


def diagnostic_rows(grid: Grid) -> dict[str, list[Row]]:
    """Name of each diagnostic -> the rows that have it."""
    found: dict[str, list[Row]] = {}
    for row in grid.rows:
        for name in loads(row):
            found.setdefault(name, []).append(row)
    return found


def gate_map(grid: Grid, name: str, rows: list[Row]) -> Figure:
    """One block of three lines per row: mean of each value over clips of each sentiment.

    Args:
        grid: The rows of a suite on one corpus.
        name: A diagnostic, such as ``routing``.
        rows: Those of ``grid`` that have it.
    """
    tables = [loads(row)[name] for row in rows]
    width = max(len(table) for table in tables)
    cells = np.full((len(_SENTIMENTS) * len(rows), width), np.nan)
    for place, table in enumerate(tables):
        block = slice(len(_SENTIMENTS) * place, len(_SENTIMENTS) * (place + 1))
        cells[block, : len(table)] = table.T
    labels = [f"{short(row.label, 26)} · {mood}" for row in rows for mood in _SENTIMENTS]
    with style():
        subtitle = f"{name}: mean over test clips and seeds, by sentiment of the label"
        figure, axes = sheet(headline(grid), subtitle, height=rows_height(len(labels)) + 0.3)
        _paint(axes, name, cells, labels, len(rows))
    described = [
        f"{label}: {', '.join(f'{v:.2f}' for v in line if not np.isnan(v))}"
        for label, line in zip(labels, cells, strict=True)
    ]
    figure.set_label(f"{subtitle}. {'; '.join(described)}.")
    return figure


def _paint(axes: Axes, name: str, cells: NDArray[np.float64], labels: list[str], rows: int) -> None:
    highest = float(np.nanmax(cells)) or 1.0
    axes.imshow(cells, cmap="Blues", vmin=0.0, vmax=highest, aspect="auto")
    axes.set_yticks(range(len(labels)), labels, color=INK)
    axes.set_xticks(range(cells.shape[1]), [str(place) for place in range(cells.shape[1])])
    axes.tick_params(length=0)
    axes.set_xlabel(name)
    for (line, place), value in np.ndenumerate(cells):
        if not np.isnan(value):
            dark = value > 0.6 * highest
            colour = "#ffffff" if dark else "#1f2329"  # not INK, which turns light at night
            axes.text(place, line, f"{value:.2f}", ha="center", va="center", color=colour)
    for row in range(1, rows):
        axes.axhline(row * len(_SENTIMENTS) - 0.5, color=INK, lw=0.8)
