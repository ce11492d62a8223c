"""Figures of the variance study: where variance comes from, what seeds buy, how choosing flatters.

Blue is what more seeds average away, orange what only more clips and videos do. Colours are those
of Okabe and Ito.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness._util.printed import with_spread
from harness.data.datasets import datasets
from harness.errors import StoreError
from harness.metrics import Metric
from harness.stats.selection import best_of_k
from harness.stats.spread import Spread, spread
from harness.submissions.tables.seeds import SeedGroup
from leaderboards.figures import save
from leaderboards.figures._curves import LINE, NAME, Curve, draw_curves, look
from leaderboards.figures.style import (
    FAINT,
    INK,
    OTHER,
    SYSTEM,
    axis_title,
    beside,
    list_rows,
    number,
    rows_height,
    sheet,
    short,
    style,
)
from leaderboards.numbers import scaled
from leaderboards.studies.variance import CorpusStudy, PairStudy, RowStudy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "best_of_seeds",
    "draw_groups",
    "draw_studies",
    "group_spread",
    "seeds_needed",
    "selection_optimism",
    "variance_bars",
]

_SOURCES: Mapping[str, tuple[str, str]] = {
    "seed": ("seed", "#0072b2"),
    "seed_video": ("seed × video", "#56b4e9"),
    "seed_clip": ("seed × clip", "#b3dcf5"),
    "video": ("video", "#d55e00"),
    "clip": ("clip", "#e69f00"),
}
"""Source -> its name and colour, in the order of the bars: what seeds average away comes first."""

_MOST_PAIRS = 5
_MOST_SEEDS = 100
_DOT = 0.02  # diameter of a dot as a part of the axis
_LANES = (0.0, -0.17, 0.17, -0.34, 0.34)  # heights of dots that would hide each other
_HEIGHT = 3.6  # inches of a plot of curves


def draw_studies(suite: str, studies: Sequence[CorpusStudy], folder: Path) -> list[Path]:
    """Write figures of every corpus, ``<suite>.<corpus>.<kind>.{pdf,png,svg}``, into ``folder``.

    Kinds are ``variance``, ``seeds-needed``, ``optimism`` and ``best-of-k``, each where there is
    something to show.

    Raises:
        StoreError: When a file cannot be written.
    """
    return _write(
        (folder / f"{suite}.{study.corpus.name}.{kind}", figure)
        for study in studies
        for kind, figure in _of_study(study)
    )


def draw_groups(file: str, groups: Sequence[SeedGroup], metric: Metric, folder: Path) -> list[Path]:
    """Write the figures of a table of results per seed, ``<file>.<dataset>.<kind>.{pdf,png,svg}``.

    Kinds are ``spread`` and ``best-of-k``.

    Raises:
        StoreError: When a file cannot be written.
    """
    by_dataset: dict[str, list[SeedGroup]] = {}
    for group in groups:
        by_dataset.setdefault(group.dataset, []).append(group)
    return _write(
        (folder / f"{file}.{dataset}.{kind}", figure)
        for dataset, own in by_dataset.items()
        for kind, figure in _of_groups(_title(dataset, file), own, metric)
    )


def _write(figures: Iterator[tuple[Path, Figure]]) -> list[Path]:
    try:
        return [file for path, figure in figures for file in save(figure, path)]
    except OSError as error:
        raise StoreError(f"figures cannot be written: {error}") from error


def _title(dataset: str, file: str) -> str:
    return f"{datasets[dataset].title if dataset in datasets else dataset} ({file})"


def _of_study(study: CorpusStudy) -> Iterator[tuple[str, Figure]]:
    name = study.metric.name
    if any(row.components for row in study.rows):
        yield "variance", variance_bars(study)
    if study.pairs:
        yield "seeds-needed", seeds_needed(study)
    if any(row.selections for row in study.rows):
        yield "optimism", selection_optimism(study)
    seeds = {row.row.label: row.row.values(name) for row in study.rows if row.best_of[name]}
    if seeds:
        yield "best-of-k", best_of_seeds(_headline(study), seeds, study.metric)


def _of_groups(
    title: str, groups: Sequence[SeedGroup], metric: Metric
) -> Iterator[tuple[str, Figure]]:
    named = {f"{group.model} {group.config}".strip(): group for group in groups}
    seeds = {name: group.values[metric.name] for name, group in named.items()}
    yield "spread", group_spread(title, seeds, metric)
    yield "best-of-k", best_of_seeds(title, seeds, metric)


def variance_bars(study: CorpusStudy) -> Figure:
    """Two stacked bars per row: of one clip's score, and of the mean over runs and test clips."""
    rows = [(row, row.components) for row in study.rows if row.components is not None]
    subtitle = f"Variance of {study.metric.title} by source, percent"
    notes = [
        "Thick: one run's score on one clip. Thin: the mean over the runs and clips there are, for"
        " new seeds and new clips; its standard error is on the right. More seeds shrink what is"
        " blue, only more clips and videos what is orange."
    ]
    with style():
        height = rows_height(len(rows)) + 0.22 * len(rows) + 0.4
        figure, axes = sheet(_headline(study), subtitle, height=height, notes=notes)
        list_rows(axes, [f"{short(row.row.label, 26)} ×{len(row.row.runs)}" for row, _ in rows])
        for place, (_, found) in enumerate(rows):
            _stack(axes, place - 0.12, found.shares, 0.36)
            _stack(axes, place + 0.24, found.shares_of_mean(), 0.18)
            beside(axes, place, f"± {number(found.standard_error(), study.metric)}")
        axes.set_xlim(0, 100)
        _name_sources(axes)
    figure.set_label(
        f"{subtitle}. {'; '.join(_described(row.row.label, c.shares) for row, c in rows)}."
    )
    return figure


def _stack(axes: Axes, place: float, shares: Mapping[str, float], height: float) -> None:
    left = 0.0
    for source, (_, colour) in _SOURCES.items():
        if shares[source] > 0:
            axes.barh(place, shares[source], height, left, color=colour, lw=0)
            left += shares[source]


def _name_sources(axes: Axes) -> None:
    from matplotlib.patches import Patch

    patches = [Patch(color=colour, label=name) for name, colour in _SOURCES.values()]
    axes.legend(
        handles=patches,
        ncols=len(patches),
        loc="lower left",
        bbox_to_anchor=(0, 1),
        frameon=False,
        handlelength=1,
        handleheight=1,
        borderaxespad=0.2,
        columnspacing=1.4,
    )


def _described(label: str, shares: Mapping[str, float]) -> str:
    parts = ", ".join(f"{name} {shares[source]:.1f} %" for source, (name, _) in _SOURCES.items())
    return f"{label}: {parts}"


def seeds_needed(study: CorpusStudy) -> Figure:
    """Detectable difference of pairs of rows against the number of seeds, and where it ends.

    Drawn are the pairs whose observed difference is closest to zero, at most five.
    """
    metric, seeds = study.metric, _seed_counts()
    pairs = sorted(study.pairs, key=lambda pair: abs(pair.components.mean))[:_MOST_PAIRS]
    curves = [
        Curve(
            _pair_name(pair),
            seeds,
            [scaled(metric, pair.components.detectable(n)) for n in seeds],
            *look(place),
        )
        for place, pair in enumerate(pairs)
    ]
    every = [*curves, *_margin(study, seeds)]
    points = ", in points," if metric.percent else ""
    subtitle = f"Smallest difference in {metric.title}{points} that is found with 80 % power"
    notes = ["Dotted: what clips and videos alone leave, however many seeds are run."]
    if len(study.pairs) > len(pairs):
        notes.append(f"The {len(pairs)} closest of {len(study.pairs)} pairs of systems.")
    with style():
        figure, axes = sheet(_headline(study), subtitle, height=_HEIGHT, notes=notes)
        axes.set_xscale("log")
        axes.set_xticks(ticks := [2, 3, 5, 10, 20, 50, 100], [str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.set_xlim(seeds[0], seeds[-1])
        axes.set_ylim(0, 1.06 * max(max(curve.y) for curve in every))
        axes.set_xlabel("seeds of each system")
        draw_curves(axes, every)
        for curve, pair in zip(curves, pairs, strict=True):
            floor = scaled(metric, pair.components.floor)
            axes.axhline(floor, color=curve.colour, lw=1, ls=":")
    figure.set_label(f"{subtitle}. {'; '.join(_limit_described(pair, metric) for pair in pairs)}.")
    return figure


def _seed_counts() -> list[int]:
    grid = np.unique(np.geomspace(2, _MOST_SEEDS, 60).round().astype(int))
    return [int(n) for n in grid]


def _pair_name(pair: PairStudy) -> str:
    half = (NAME - 3) // 2
    return f"{short(pair.a, half)} – {short(pair.b, half)}"


def _limit_described(pair: PairStudy, metric: Metric) -> str:
    found = pair.components
    return (
        f"{pair.a} and {pair.b}: {number(found.detectable(), metric)} now,"
        f" {number(found.floor, metric)} with any number of seeds"
    )


def _margin(study: CorpusStudy, seeds: Sequence[int]) -> Iterator[Curve]:
    if study.margin is not None:
        height = scaled(study.metric, study.margin)
        name = f"declared margin {number(study.margin, study.metric)}"
        yield Curve(name, seeds, [height] * len(seeds), INK, "solid")


def selection_optimism(study: CorpusStudy) -> Figure:
    """One dot per run: how much better its best test epoch looks than its selected epoch."""
    name = study.metric.name
    rows = [row for row in study.rows if row.selections]
    subtitle = f"{_unit(study.metric)} that the best test epoch gains over the selected one"
    with style():
        height = rows_height(len(rows)) + 0.2
        figure, axes = sheet(_headline(study), f"{subtitle}: one dot per run", height=height)
        list_rows(axes, [row.row.label for row in rows])
        gains = [_gains(row, study.metric) for row in rows]
        axes.set_xlim(*_limits([0.0, *(gain for own in gains for gain in own)]))
        axes.axvline(0, color=FAINT, lw=1)
        for place, own in enumerate(gains):
            _dots(axes, place, own)
            beside(axes, place, f"mean {number(_mean_gain(rows[place], name), study.metric)}")
    described = (f"{row.row.label}: {number(_mean_gain(row, name), study.metric)}" for row in rows)
    figure.set_label(f"{subtitle}, mean over runs. {'; '.join(described)}.")
    return figure


def _gains(row: RowStudy, metric: Metric) -> list[float]:
    return [scaled(metric, one.optimism) for one in row.selections[metric.name].values()]


def _mean_gain(row: RowStudy, metric: str) -> float:
    return statistics.fmean(one.optimism for one in row.selections[metric].values())


def _unit(metric: Metric) -> str:
    return f"Points of {metric.title}" if metric.percent else metric.title


def group_spread(title: str, seeds: Mapping[str, Sequence[float]], metric: Metric) -> Figure:
    """One dot per seed, the mean and its 95 % t interval: new seeds on the same test clips.

    Args:
        title: First line.
        seeds: Name of a group -> one value per seed.
        metric: What the values are.
    """
    found = {name: spread(values) for name, values in seeds.items()}
    subtitle = f"{axis_title(metric)}: one dot per seed, the mean and its 95 % interval over seeds"
    notes = [
        "Right: mean ± standard deviation. Variation over seeds alone: new test clips and videos"
        " would add theirs."
    ]
    order = sorted(found, key=lambda name: metric.cost(found[name].mean))
    ends = {
        name: [scaled(metric, group.mean + side * group.half_width) for side in (-1, 1)]
        for name, group in found.items()
    }
    dots = {name: [scaled(metric, value) for value in values] for name, values in seeds.items()}
    with style():
        figure, axes = sheet(title, subtitle, height=rows_height(len(order)) + 0.2, notes=notes)
        list_rows(axes, order)
        axes.set_xlim(*_limits([x for each in (dots, ends) for xs in each.values() for x in xs]))
        for place, name in enumerate(order):
            low, high = ends[name]
            if math.isfinite(low):
                axes.hlines(place, low, high, color=OTHER, lw=1.2)
            _dots(axes, place, dots[name])
            beside(axes, place, _spread_described(found[name], metric))
    described = (f"{name}: {_spread_described(found[name], metric)}" for name in order)
    figure.set_label(f"{subtitle}. {'; '.join(described)}.")
    return figure


def _spread_described(group: Spread, metric: Metric) -> str:
    return with_spread(group.mean, group.sd, partial(number, metric=metric))


def best_of_seeds(title: str, seeds: Mapping[str, Sequence[float]], metric: Metric) -> Figure:
    """How much better the best of k seeds is expected to look than the mean of all.

    Args:
        title: First line.
        seeds: Name -> one value per seed; those with one seed or an undefined value have no curve.
        metric: What the values are.
    """
    usable = {
        name: values
        for name, values in seeds.items()
        if len(values) > 1 and all(map(math.isfinite, values))
    }
    gains = {
        name: [scaled(metric, best_of_k(values, k, metric)) for k in range(1, len(values) + 1)]
        for name, values in usable.items()
    }
    curves = [
        Curve(name, range(1, len(gains[name]) + 1), gains[name], *look(place))
        for place, name in enumerate(sorted(gains, key=lambda name: -gains[name][-1]))
    ]
    subtitle = f"{_unit(metric)} that the best of k seeds is expected to gain over the mean"
    with style():
        height = max(_HEIGHT, LINE * len(curves) + 0.5)
        figure, axes = sheet(title, subtitle, height=height)
        most = max((len(curve.x) for curve in curves), default=2)
        axes.set_xticks(range(1, most + 1, math.ceil(most / 12)))
        axes.set_xlim(1, most)
        axes.set_ylim(0, 1.06 * max((curve.y[-1] for curve in curves), default=1.0) or 1.0)
        axes.set_xlabel("k, seeds among which the best is reported")
        draw_curves(axes, curves)
    described = [f"{curve.name}: {curve.y[-1]:.3g} with k = {len(curve.x)}" for curve in curves]
    figure.set_label(f"{subtitle}. {'; '.join(described)}.")
    return figure


def _dots(axes: Axes, place: int, values: Sequence[float]) -> None:
    """Dots on a line of ``list_rows``, with limits set; those that would hide others step aside.

    The bar at the mean is left out when a value is undefined.
    """
    low, high = axes.get_xlim()
    ascending = sorted(filter(math.isfinite, values))
    heights = []
    for rank, value in enumerate(ascending):
        close = sum(value - other < _DOT * (high - low) for other in ascending[:rank])
        heights.append(place + _LANES[close % len(_LANES)])
    axes.scatter(ascending, heights, s=34, c=SYSTEM, alpha=0.6, lw=0, clip_on=False, zorder=3)
    if len(ascending) == len(values):
        mean = statistics.fmean(values)
        axes.vlines(mean, place - 0.34, place + 0.34, color=INK, lw=1.6, zorder=4)


def _limits(values: Iterable[float]) -> tuple[float, float]:
    finite = list(filter(math.isfinite, values)) or [0.0, 1.0]
    low, high = min(finite), max(finite)
    margin = 0.05 * (high - low) or 0.1 * abs(high) or 0.5
    return low - margin, high + margin


def _headline(study: CorpusStudy) -> str:
    dataset = study.corpus.dataset.title
    where = f"SYNTHETIC TWIN of {dataset}" if study.corpus.twin else dataset
    return f"{where} ({study.corpus.name})"
