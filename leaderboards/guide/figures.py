"""The guide's figures, in the style of the boards' own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.stats.calibration import CANDIDATES, Finding, Rate
from leaderboards.figures.style import (
    CONSTANT,
    FAINT,
    INK,
    OTHER,
    PAGE,
    SYSTEM,
    beside,
    list_rows,
    rows_height,
    sheet,
    style,
)
from leaderboards.guide.conventions import PRED, TRUTH, WORDLESS, ConventionReading, Dead
from leaderboards.guide.resolution import NOMINAL, SHOWN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_acc2", "draw_dead_models", "draw_false_positives"]

_CELL = 210  # square points


@dataclass(frozen=True)
class _Look:
    colour: str
    marker: str
    shift: float  # points between a line's end and its name


_LOOKS = dict(
    zip(
        SHOWN, (_Look(CONSTANT, "o", 6), _Look(FAINT, "s", -13), _Look(SYSTEM, "D", 6)), strict=True
    )
)


def draw_acc2(found: Sequence[ConventionReading]) -> Figure:
    """Which of the ten clips each rule calls right, wrong, or leaves out."""
    title = f"One prediction vector, {len({reading.value for reading in found})} values of “Acc-2”"
    subtitle = f"Ten clips, one prediction each: what {len(found)} rules in use make of them"
    notes = [
        f"✓ right, ✗ wrong, · left out. Clip {WORDLESS + 1} is taken to have an empty transcript."
    ]
    rules = [f"{reading.positive} is positive; {reading.clips}" for reading in found]
    with style():
        height = rows_height(len(found) + 2) + 0.5
        figure, axes = sheet(title, subtitle, height=height, notes=notes)
        list_rows(axes, ["label y", "prediction p", *rules])
        _number_clips(axes)
        for line, values in enumerate((TRUTH, PRED)):
            for place, value in enumerate(values):
                _write(axes, place, line, f"{value:g}", INK)
        for line, reading in enumerate(found, start=2):
            _verdicts(axes, line, reading.verdicts)
            beside(axes, line, f"{reading.right} of {reading.counted} = {reading.value:.3f}")
    said = (f"{rule}: {reading.value:.3f}" for rule, reading in zip(rules, found, strict=True))
    figure.set_label(f"{subtitle}. {'; '.join(said)}.")
    return figure


def _number_clips(axes: Axes) -> None:
    places = range(len(TRUTH))
    axes.grid(visible=False)
    axes.set_xlim(-0.6, len(TRUTH) - 0.4)
    axes.set_xticks(places, [str(place + 1) for place in places])
    axes.tick_params(axis="x", length=0)
    axes.spines["bottom"].set_visible(False)
    axes.set_xlabel("clip")


def _write(axes: Axes, place: float, line: float, text: str, colour: str) -> None:
    axes.text(place, line, text, ha="center", va="center_baseline", color=colour)


def _verdicts(axes: Axes, line: int, verdicts: Sequence[bool | None]) -> None:
    for place, right in enumerate(verdicts):
        if right is None:
            _write(axes, place, line, "·", FAINT)
        else:
            colour = SYSTEM if right else CONSTANT
            axes.scatter([place], [line], s=_CELL, c=colour, marker="s", lw=0)
            _write(axes, place, line, "✓" if right else "✗", PAGE)


def draw_dead_models(found: Sequence[Dead]) -> Figure:
    """Both kinds of weighted F1 of one constant answer, per test set."""
    subtitle = "Weighted F1 (%) of a model that gives every test clip the same answer"
    notes = ["Grey stroke: its accuracy. Computed from the official counts of test labels."]
    names = [f"{dead.dataset}, {dead.clips}: “{dead.answer}”" for dead in found]
    with style():
        height = rows_height(len(found)) + 0.4
        title = "What swapped arguments do for a dead model"
        figure, axes = sheet(title, subtitle, height=height, notes=notes)
        list_rows(axes, names)
        axes.set_xlim(30, 94)
        for place, dead in enumerate(found):
            _dumbbell(axes, place, dead)
        _above(axes, found[0].f1, "weighted by labels", SYSTEM)
        _above(axes, found[0].swapped, "arguments swapped", CONSTANT)
    said = (
        f"{name} {100 * dead.f1:.1f} and {100 * dead.swapped:.1f}"
        for name, dead in zip(names, found, strict=True)
    )
    figure.set_label(f"{subtitle}: weighted by labels, and swapped. {'; '.join(said)}.")
    return figure


def _dumbbell(axes: Axes, place: int, dead: Dead) -> None:
    f1, swapped, accuracy = (100 * value for value in (dead.f1, dead.swapped, dead.accuracy))
    axes.plot([f1, swapped], [place, place], color=OTHER, lw=1.2, zorder=1)
    axes.plot([accuracy, accuracy], [place - 0.22, place + 0.22], color=OTHER, lw=2)
    axes.scatter([f1, swapped], [place, place], s=42, c=[SYSTEM, CONSTANT], lw=0, zorder=3)
    beside(axes, place, f"{f1:.1f} → {swapped:.1f}")


def _above(axes: Axes, value: float, text: str, colour: str) -> None:
    axes.text(100 * value, -0.62, text, ha="center", weight="bold", color=colour)


def draw_false_positives(found: Mapping[int, Finding]) -> Figure:
    """How often each test declares one of two equal systems the winner, by number of seeds."""
    subtitle = "Share of comparisons of two equal systems that end with a winner, percent"
    last = max(found)
    rates = {test: _rates_of(test, found) for test in SHOWN}
    notes = [
        f"{rates[SHOWN[0]][last].of:,} simulated comparisons per point, on a test set of MOSI's"
        " size. Upright lines: ± two Monte-Carlo standard errors."
    ]
    with style():
        figure, axes = sheet("A winner where there is none", subtitle, height=3.4, notes=notes)
        axes.set_xscale("log")
        axes.set_xticks(list(found), [str(seeds) for seeds in found])
        axes.minorticks_off()
        axes.set_xlabel("seeds of each system")
        axes.set_xlim(min(found) * 0.94, last * 2.6)
        axes.set_ylim(-3, 72)
        axes.grid(axis="y")
        axes.plot([min(found), last], [NOMINAL, NOMINAL], color=INK, lw=1, ls="--")
        _name(axes, last, NOMINAL, -6, f"{NOMINAL} %, as promised", INK)
        for test, look in _LOOKS.items():
            _curve(axes, CANDIDATES[test].title, look, rates[test])
    said = (
        f"{CANDIDATES[test].title} "
        + ", ".join(f"{100 * rate.share:.1f}" for rate in rates[test].values())
        for test in SHOWN
    )
    seeds = ", ".join(map(str, found))
    figure.set_label(f"{subtitle}. With {seeds} seeds: {'; '.join(said)}. Promised: {NOMINAL} %.")
    return figure


def _rates_of(test: str, found: Mapping[int, Finding]) -> dict[int, Rate]:
    rates = {seeds: finding.rate("mae", test, "missed") for seeds, finding in found.items()}
    return {seeds: rate for seeds, rate in rates.items() if rate is not None}


def _curve(axes: Axes, title: str, look: _Look, rates: Mapping[int, Rate]) -> None:
    shares = [100 * rate.share for rate in rates.values()]
    axes.plot(list(rates), shares, color=look.colour, marker=look.marker, lw=1.6, ms=5)
    for (seeds, rate), share in zip(rates.items(), shares, strict=True):
        reach = 200 * rate.error
        axes.vlines(seeds, share - reach, share + reach, color=look.colour, lw=1.2)
    _name(axes, max(rates), shares[-1], look.shift, title, look.colour)


def _name(axes: Axes, x: float, y: float, shift: float, text: str, colour: str) -> None:
    """A name right of the end of a line, so many points above it."""
    axes.annotate(
        text,
        (x, y),
        (10, shift),
        textcoords="offset points",
        va="center_baseline",
        color=colour,
        weight="bold",
    )
