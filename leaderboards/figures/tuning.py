"""Figures of a search: what the best of k trials has, rows side by side, settings and scores.

Colours are those of Okabe and Ito.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import StoreError
from harness.metrics import Metric
from harness.spec import Scalar
from harness.stats.search import BestOf
from leaderboards.figures import save
from leaderboards.figures._curves import LINE, NAME, apart, look
from leaderboards.figures.style import (
    CONSTANT,
    FAINT,
    GRID,
    INK,
    OTHER,
    PAGE,
    SYSTEM,
    axis_title,
    number,
    sheet,
    short,
    style,
)
from leaderboards.numbers import scaled
from leaderboards.studies.tuning import SearchStudy, TrialPoint, TuningStudy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["best_of_trials", "draw_searches", "parallel_coordinates", "search_curves"]

_HEIGHT = 3.4  # inches of a plot
_TICKS = 5  # at most so many values along an axis of settings
_BEST = 3  # settings drawn in front


def draw_searches(studies: Sequence[TuningStudy], folder: Path) -> list[Path]:
    """Write the figures of searches, ``<plan>.<kind>.{pdf,png,svg}``, into ``folder``.

    Kinds are ``best-of-k`` with all rows, and per row, by its place, ``row-n.curves`` and
    ``row-n.settings``, each where there is something to show.

    Raises:
        StoreError: When a file cannot be written.
    """
    try:
        return [
            file
            for study in studies
            for kind, figure in _of_study(study)
            for file in save(figure, folder / f"{study.plan}.{kind}")
        ]
    except OSError as error:
        raise StoreError(f"figures cannot be written: {error}") from error


def _of_study(study: TuningStudy) -> Iterator[tuple[str, Figure]]:
    if any(search.curves for search in study.searches):
        yield "best-of-k", best_of_trials(study)
    for place, search in enumerate(study.searches, start=1):
        if search.curves:
            yield f"row-{place}.curves", search_curves(study, search)
        if search.finished and search.planned.dimensions:
            yield f"row-{place}.settings", parallel_coordinates(study, search)


def best_of_trials(study: TuningStudy) -> Figure:
    """Expected test score of the best of k trials of every row, chosen on validation clips."""
    found = {s.label: s.curves["test"] for s in study.searches if s.curves}
    curves = {name: (points, *look(place)) for place, (name, points) in enumerate(found.items())}
    subtitle = f"Expected test {axis_title(study.metric)} of the best of k trials on validation"
    notes = [f"{_budget(study)} Bands: 95 % bootstrap intervals over the trials of a row."]
    return _plot(study, subtitle, curves, notes, banded=frozenset(curves))


def search_curves(study: TuningStudy, search: SearchStudy) -> Figure:
    """The best of k trials of one row: on validation, on test, and chosen on test."""
    curves = {
        "validation": (search.curves["validation"], OTHER, "dotted"),
        "test, chosen on validation": (search.curves["test"], SYSTEM, "solid"),
        "test, oracle": (search.curves["oracle"], CONSTANT, "dashed"),
    }
    subtitle = f"{search.label}: expected {axis_title(study.metric)} of the best of k trials"
    notes = [
        f"{_budget(study)} Oracle: chosen on test clips, which flatters; never a result. Band: 95 %"
        " bootstrap interval over the trials.",
    ]
    shown = frozenset({"test, chosen on validation"})
    return _plot(study, subtitle, curves, notes, banded=shown)


def _plot(
    study: TuningStudy,
    subtitle: str,
    curves: Mapping[str, tuple[Sequence[BestOf], str, str]],
    notes: Sequence[str],
    *,
    banded: frozenset[str],
) -> Figure:
    metric = study.metric
    with style():
        height = max(_HEIGHT, LINE * len(curves) + 0.6)
        figure, axes = sheet(_headline(study), subtitle, height=height, notes=notes)
        axes.grid(axis="y")
        axes.tick_params(length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("k, trials")
        axes.set_xlim(1, max(2, max(points[-1].k for points, _, _ in curves.values())))
        for name, (points, colour, dashes) in curves.items():
            x = [point.k for point in points]
            y = [scaled(metric, point.value) for point in points]
            axes.plot(x, y, c=colour, ls=dashes, lw=1.8)
            if name in banded:
                low = [scaled(metric, point.low) for point in points]
                high = [scaled(metric, point.high) for point in points]
                axes.fill_between(x, low, high, color=colour, alpha=0.13, lw=0)
        figure.draw_without_rendering()  # lays the page out
        _name_ends(axes, curves, metric)
    said = (
        f"{name}: {number(points[-1].value, metric)} with k = {points[-1].k}"
        for name, (points, _, _) in curves.items()
    )
    figure.set_label(f"{subtitle}. {'; '.join(said)}.")
    return figure


def _name_ends(
    axes: Axes, curves: Mapping[str, tuple[Sequence[BestOf], str, str]], metric: Metric
) -> None:
    """Names at the right ends of curves, moved apart."""
    low, high = axes.get_ylim()
    gap = LINE * axes.figure.dpi / axes.get_window_extent().height
    values = [scaled(metric, points[-1].value) for points, _, _ in curves.values()]
    ends = [0.5 if not math.isfinite(v) else (v - low) / (high - low) for v in values]
    where = axes.transAxes
    for name, end, place in zip(curves, ends, apart(ends, gap), strict=True):
        _, colour, dashes = curves[name]
        axes.plot(
            [1.005, 1.03], [end, place], c=colour, ls=dashes, lw=1, clip_on=False, transform=where
        )
        axes.text(1.04, place, short(name, NAME), transform=where, va="center", size=8)


def parallel_coordinates(study: TuningStudy, search: SearchStudy) -> Figure:
    """Every trial as a line through its settings to its validation score, the best in front."""
    metric = study.metric
    names = list(search.planned.dimensions)
    trials = sorted(search.finished, key=lambda trial: -metric.cost(trial.valid))
    scales = {name: _Scale.of(search, name) for name in names}
    title = f"Validation {axis_title(metric)}"
    last = _Scale.of_scores([scaled(metric, t.valid) for t in trials], metric)
    subtitle = f"{search.label}: settings that were tried, and what they gave on validation clips"
    notes = [f"{_budget(study)} Blue: the {_BEST} best; orange: the one chosen."]
    with style():
        figure, axes = sheet(_headline(study), subtitle, height=_HEIGHT, notes=notes)
        axes.set_xlim(-0.15, len(names) + 0.15)
        axes.set_ylim(-0.06, 1.06)
        axes.set_yticks([])
        axes.set_xticks(range(len(names) + 1), [*map(_under, names), title], size=7.5, color=INK)
        axes.tick_params(length=0)
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
        for place, trial in enumerate(trials):
            heights = [scales[name](trial.setting[name]) for name in names]
            score = last(scaled(metric, trial.valid))
            _line(axes, [*heights, score], rank=len(trials) - 1 - place)
        for place, scale in enumerate([*scales.values(), last]):
            scale.draw(axes, place)
    figure.set_label(f"{subtitle}. {_described(search.chosen, metric)}")
    return figure


def _line(axes: Axes, heights: Sequence[float], *, rank: int) -> None:
    colour = CONSTANT if rank == 0 else SYSTEM if rank < _BEST else OTHER
    strong = rank < _BEST
    axes.plot(
        range(len(heights)),
        heights,
        c=colour,
        lw=1.8 if strong else 0.8,
        alpha=0.95 if strong else 0.45,
        zorder=3 if strong else 2,
        marker="o",
        ms=2.5,
    )


def _described(chosen: TrialPoint | None, metric: Metric) -> str:
    if chosen is None:
        return "No trial gave a score."
    setting = ", ".join(f"{name} {_short(value)}" for name, value in chosen.setting.items())
    return f"Chosen: {setting}; {number(chosen.valid, metric)}."


def _under(dimension: str) -> str:
    return "\n".join(dimension.split("+"))


def _short(value: Scalar) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


class _Scale:
    """Heights in [0, 1] of the values of one axis, and its marks."""

    def __init__(self, marks: Mapping[float, str], *, log: bool = False) -> None:
        self._log = log
        self._marks = marks
        ends = [self._bent(value) for value in marks]
        self._low, self._high = min(ends), max(ends)
        self._places: dict[Scalar, float] = {}

    @classmethod
    def of(cls, search: SearchStudy, name: str) -> _Scale:
        """Of a dimension: its range, or its choices at equal distances."""
        found: object = search.planned.dimensions[name]
        assert isinstance(found, dict)  # as the plan has it
        if "choices" not in found:
            low, high, log = float(found["low"]), float(found["high"]), bool(found["log"])
            made = cls({low: _short(low), high: _short(high)}, log=log)
            middle = math.sqrt(low * high) if log else (low + high) / 2
            made._marks = {**made._marks, middle: _short(middle)}
            return made
        rows = found["choices"]
        named = [row[0] if len(row) == 1 else " ".join(map(str, row)) for row in rows]
        if all(isinstance(value, int | float) for value in named):
            named = sorted(named)
        made = cls({float(place): _short(value) for place, value in enumerate(named)})
        made._places = {value: float(place) for place, value in enumerate(named)}
        return made

    @classmethod
    def of_scores(cls, scores: Sequence[float], metric: Metric) -> _Scale:
        """Of the scores themselves."""
        marks = np.linspace(min(scores), max(scores), _TICKS) if scores else [0.0, 1.0]
        digits = 1 if metric.percent else 3
        return cls({float(mark): f"{mark:.{digits}f}" for mark in marks})

    def __call__(self, value: Scalar) -> float:
        """Height of a value; the middle where all are equal."""
        at = self._bent(self._places.get(value, value))
        return 0.5 if self._high == self._low else (at - self._low) / (self._high - self._low)

    def draw(self, axes: Axes, place: int) -> None:
        """The axis and its marks."""
        axes.vlines(place, 0, 1, color=GRID, lw=1.2, zorder=1)
        for value, words in self._marks.items():
            height = self(value) if not self._places else self._height(value)
            axes.text(
                *(place + 0.03, height, words),
                size=7,
                color=FAINT,
                va="center",
                zorder=4,
                bbox={"facecolor": PAGE, "alpha": 0.7, "lw": 0, "pad": 0.6},
            )

    def _height(self, place: float) -> float:
        return 0.5 if self._high == self._low else (place - self._low) / (self._high - self._low)

    def _bent(self, value: Scalar) -> float:
        number = float(value)
        return math.log(number) if self._log else number


def _budget(study: TuningStudy) -> str:
    tuning = study.tuning
    return f"{tuning.trials} trials a row, sampler {tuning.sampler}, one training seed."


def _headline(study: TuningStudy) -> str:
    where = f"SYNTHETIC TWIN of {study.dataset.title}" if study.twin else study.dataset.title
    return f"{where} ({study.tuning.corpus})"
