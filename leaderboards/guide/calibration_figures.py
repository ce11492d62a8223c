"""Figures of the page "Are the tests honest?", in the style of the boards' own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from harness.stats.calibration import BEFORE, CURVE, PRIMARY, Finding, Rate, Results
from leaderboards.figures.style import (
    CONSTANT,
    INK,
    SYSTEM,
    list_rows,
    rows_height,
    sheet,
    short,
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_boards", "draw_nulls", "draw_power"]

_ALPHA = 5
_NOTE = "Lines: ± two Monte-Carlo standard errors. Dashed: 5 %, as promised."
_COLUMNS = 62  # of a row's name
_PANELS = 4  # in a line
_SHORT = 24  # letters above a panel
_APART = 0.12  # of a row: both dots are seen where they agree
_LOOKS = (
    (BEFORE, CONSTANT, "s", "percentile bootstrap (before)"),
    (PRIMARY, SYSTEM, "D", "crossed variance"),
)


def draw_nulls(found: Results) -> Figure:
    """False positives in MAE by design, now and before."""
    rows = {
        part.design.title: (
            finding.rate("mae", PRIMARY, "missed"),
            finding.rate("mae", BEFORE, "missed"),
        )
        for part, finding in found.of("null").items()
    }
    return _dots(
        "Two equal systems: how often there is a winner",
        "Share of comparisons in MAE at nominal 5 %, percent",
        rows,
        ("crossed variance", "percentile bootstrap (before)"),
    )


def draw_boards(found: Results) -> Figure:
    """Boards of equal systems with a false claim, now and before."""
    rows = {
        f"{part.design.title}: {part.systems}": (
            finding.rate("joint", "false"),
            finding.rate("percentile", "false"),
        )
        for part, finding in found.of("equal").items()
    }
    return _dots(
        "Boards of equal systems: how often there is any claim",
        "Share of boards in MAE at nominal 5 %, percent; last number: systems on a board",
        rows,
        ("resampled together", "Holm, percentile bootstrap (before)"),
    )


def _dots(
    title: str,
    subtitle: str,
    rows: Mapping[str, tuple[Rate | None, Rate | None]],
    names: tuple[str, str],
) -> Figure:
    with style():
        height = rows_height(len(rows)) + 0.4
        figure, axes = sheet(title, subtitle, height=height, notes=[_NOTE])
        list_rows(axes, list(rows))
        axes.set_yticks(range(len(rows)), [short(name, _COLUMNS) for name in rows], color=INK)
        axes.axvline(_ALPHA, color=INK, lw=1, ls="--")
        for place, (now, before) in enumerate(rows.values()):
            _dot(axes, before, place + _APART, CONSTANT, "s")
            _dot(axes, now, place - _APART, SYSTEM, "D")
        axes.set_xlim(left=0)
        for colour, marker, name in zip((SYSTEM, CONSTANT), "Ds", names, strict=True):
            axes.plot([], [], color=colour, marker=marker, ls="", ms=5, label=name)
        _explain(axes.legend, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    said = (f"{name} {_said(now)}, {_said(before)}" for name, (now, before) in rows.items())
    figure.set_label(f"{subtitle}. {names[0]}, and {names[1]}: {'; '.join(said)}.")
    return figure


def _explain(legend: Callable[..., object], *args: object, **where: object) -> None:
    """Names of the two procedures, in their colours, on one line."""
    legend(*args, ncols=2, frameon=False, labelcolor="linecolor", borderaxespad=0.0, **where)


def _dot(axes: Axes, rate: Rate | None, place: float, colour: str, marker: str) -> None:
    if rate is None:
        return
    share, reach = 100 * rate.share, 200 * rate.error
    ends = max(0.0, share - reach), min(100.0, share + reach)
    axes.plot(ends, [place, place], color=colour, lw=1.2)
    axes.plot([share], [place], color=colour, marker=marker, ms=5, clip_on=False)


def _said(rate: Rate | None) -> str:
    return "none" if rate is None else f"{100 * rate.share:.1f}"


def draw_power(found: Results) -> Figure:
    """Power against the true difference in MAE, one panel per design."""
    subtitle = "Share of comparisons with p < .05 (%) by true difference in MAE"
    curves = found.curves()
    lines = -(-len(curves) // _PANELS)
    notes = [
        "Left end of each curve: two equal systems. A curve that starts above 5 % (dashed) buys its"
        " power with false winners."
    ]
    with style():
        figure, axes = sheet("Power", subtitle, height=1.9 * lines + 0.3, notes=notes)
        axes.remove()
        panels = figure.subplots(lines, _PANELS, sharey=True, squeeze=False).ravel()
        for panel, (title, of) in zip(panels, curves.items(), strict=False):
            _curve(panel, title, of)
        for panel in panels[len(curves) :]:
            panel.remove()
        handles, labels = panels[0].get_legend_handles_labels()
        _explain(figure.legend, handles, labels, loc="upper right", bbox_to_anchor=(0.99, 0.98))
    said = (
        f"{title} {_powers(of, PRIMARY)}, {_powers(of, BEFORE)}" for title, of in curves.items()
    )
    times = ", ".join(f"{times:g}" for times in (0.0, *CURVE))
    figure.set_label(
        f"{subtitle}, at {times} times a difference; crossed variance, percentile bootstrap:"
        f" {'; '.join(said)}."
    )
    return figure


def _curve(axes: Axes, title: str, of: Mapping[float, Finding]) -> None:
    gaps = [finding.numbers["mae difference"] for finding in of.values()]
    axes.axhline(_ALPHA, color=INK, lw=1, ls="--")
    for name, colour, marker, label in _LOOKS:
        powers = [_power(finding, name) for finding in of.values()]
        axes.plot(gaps, powers, color=colour, marker=marker, ms=3.5, lw=1.4, label=label)
    axes.set_title(_broken(title), size=8, color=INK, loc="left")
    axes.set_xlim(left=0)
    axes.set_ylim(0, 103)
    axes.set_yticks([0, 25, 50, 75, 100])
    axes.grid(axis="y")
    axes.tick_params(length=0, labelsize=8)


def _broken(title: str) -> str:
    """On two lines where it is long."""
    if len(title) < _SHORT:
        return title
    words, half = title.split(), len(title) / 2
    ends = [len(" ".join(words[: place + 1])) for place in range(len(words))]
    cut = min(range(len(words)), key=lambda place: abs(ends[place] - half)) + 1
    return " ".join(words[:cut]) + "\n" + " ".join(words[cut:])


def _power(finding: Finding, name: str) -> float:
    rate = finding.rate("mae", name, "rejected")
    return 100 * rate.share if rate is not None else float("nan")


def _powers(of: Mapping[float, Finding], name: str) -> str:
    return ", ".join(f"{_power(finding, name):.1f}" for finding in of.values())
