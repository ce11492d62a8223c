"""Figures of the reliability spectrum: curves of one corruption, maps of noise × missingness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.spec.conditions import RATES
from harness.spec.laws import laws
from leaderboards.figures._curves import look
from leaderboards.figures.style import FAINT, INK, axis_title, number, sheet, short, style
from leaderboards.model import Grid
from leaderboards.numbers import scaled
from leaderboards.sections.reliability import AREAS, Reliability, RowReliability

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["reliability_curves", "reliability_maps"]

_CURVES = ("noise", "element", "block", "modality", "lnln", "lnln@published")
_MAPS = ("noise × element", "noise × block", "noise × modality")
_MOST = 8  # rows in one figure
_HEIGHT, _MAP = 3.4, 1.75  # inches of a plot of curves, of a line of maps
_NAME = 24  # columns
_AXES = {"noise": "noise λ", "modality": "modalities gone η"}


def reliability_curves(grid: Grid, found: Reliability) -> Figure | None:
    """The metric against the strength of one corruption at a time; None without such curves.

    The best eight rows by the area that ranks; the best constant is a grey line.
    """
    names = [name for name in _CURVES if found.rows and name in found.rows[0].areas]
    if not names:
        return None
    rows = _best(found)
    subtitle = f"Test {axis_title(found.metric)} of one checkpoint, mean over seeds{_cut(found)}"
    notes = ["Dashed: trained on corrupted clips. Grey: the best constant predictor."]
    with style():
        figure, axes = sheet(_title(grid), subtitle, height=_HEIGHT, notes=notes)
        axes.remove()
        panels = np.atleast_1d(figure.subplots(1, len(names), sharey=True))
        for panel, name in zip(panels, names, strict=True):
            _curves(panel, found, rows, name)
        panels[0].set_ylabel(axis_title(found.metric), color=FAINT)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right center", frameon=False)
    described = (
        f"{one.row.label}: "
        + ", ".join(f"{name} {number(one.areas[name].value, found.metric)}" for name in names)
        for one in rows
    )
    figure.set_label(f"{subtitle}. Areas: {'; '.join(described)}.")
    return figure


def _title(grid: Grid) -> str:
    dataset = grid.corpus.dataset.title
    where = f"SYNTHETIC TWIN of {dataset}" if grid.corpus.twin else dataset
    return f"{where} ({grid.corpus.name})"


def _best(found: Reliability) -> list[RowReliability]:
    """Rows to draw: no constants, none trained for one condition, best area first."""
    return sorted(_drawable(found), key=lambda o: found.metric.cost(_area(found, o)))[:_MOST]


def _drawable(found: Reliability) -> list[RowReliability]:
    return [o for o in found.rows if not o.row.reference and o.row.training_corruption in laws]


def _cut(found: Reliability) -> str:
    """What a subtitle says of rows left out."""
    count = len(_drawable(found))
    return f"; the best {_MOST} of {count} rows" if count > _MOST else ""


def _area(found: Reliability, one: RowReliability) -> float:
    return one.areas[found.ranked_by].value


def _cells(found: Reliability, one: RowReliability, area: str) -> list[float]:
    """The metric in the cells of a curve or map, as axes show it."""
    at = {name: place for place, name in enumerate(found.conditions)}
    places = [at[condition.name] for condition in AREAS[area]]
    return [scaled(found.metric, float(one.values[place])) for place in places]


def _curves(axes: Axes, found: Reliability, rows: Sequence[RowReliability], name: str) -> None:
    constants = [one for one in found.rows if one.row.reference]
    if constants:
        best = min(constants, key=lambda one: found.metric.cost(one.clean))
        axes.axhline(scaled(found.metric, best.clean), color=FAINT, lw=1, label=best.row.label)
    for place, one in enumerate(rows):
        colour, turn = look(place)
        axes.plot(
            RATES,
            _cells(found, one, name),
            c=colour,
            ls="solid" if one.row.training_corruption == "none" else "dashed",
            marker="" if turn == "solid" else "o",  # dashes are taken, colours used up
            ms=3,
            lw=1.6,
            label=short(one.row.label, _NAME),
        )
    axes.set_title(name, size=9, color=INK, loc="left")
    axes.set_xlabel(_AXES.get(name, "missing η"))
    axes.set_xlim(RATES[0], RATES[-1])
    axes.set_xticks([0, 0.3, 0.6, 0.9])
    axes.grid(axis="y")
    axes.tick_params(length=0)


def reliability_maps(grid: Grid, found: Reliability) -> Figure | None:
    """One line of maps per row, noise upwards and missingness to the right; None without maps."""
    names = [name for name in _MAPS if found.rows and name in found.rows[0].areas]
    if not names:
        return None
    rows = _best(found)
    subtitle = (
        f"Test {axis_title(found.metric)} under noise λ (up) and missingness η (right){_cut(found)}"
    )
    with style():
        height = _MAP * len(rows) + 0.4
        figure, axes = sheet(_title(grid), subtitle, height=height)
        axes.remove()
        panels = figure.subplots(len(rows), len(names), squeeze=False)
        _paint(figure, panels, found, rows, names)
    described = (f"{one.row.label}: worst {one.worst_condition}" for one in rows)
    figure.set_label(f"{subtitle}. {'; '.join(described)}.")
    return figure


def _paint(
    figure: Figure,
    panels: np.ndarray,
    found: Reliability,
    rows: Sequence[RowReliability],
    names: Sequence[str],
) -> None:
    size = len(RATES)
    maps = [[np.reshape(_cells(found, one, n), (size, size)) for n in names] for one in rows]
    low, high = float(np.nanmin(maps)), float(np.nanmax(maps))
    colours = "viridis_r" if found.metric.higher_is_better else "viridis"
    image = None
    for line, one in enumerate(rows):
        for column, name in enumerate(names):
            axes = panels[line, column]
            image = axes.imshow(
                maps[line][column],
                origin="lower",
                aspect="auto",
                cmap=colours,
                vmin=low,
                vmax=high,
                extent=(-0.05, 0.95, -0.05, 0.95),
            )
            axes.set_title(f"{short(one.row.label, _NAME)} · {name[8:]}", size=8, loc="left")
            axes.set_xticks([0, 0.5, 0.9])
            axes.set_yticks([0, 0.5, 0.9])
            axes.tick_params(length=0, labelsize=7)
    if image is not None:
        bar = figure.colorbar(image, ax=panels, shrink=0.8, aspect=40, pad=0.01)
        bar.set_label(axis_title(found.metric))
        bar.outline.set_visible(False)
