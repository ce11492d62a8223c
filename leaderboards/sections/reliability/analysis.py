"""What a board under a grid of conditions says: areas, worst cells, sets, modalities, tracks.

Everything is read off stored predictions. Areas are means over cells, with equal weights: of ten
rates for a curve, of a hundred cells for a map.

Shapes: S seeds, C conditions, N clips, D draws.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.metrics import Metric, Values
from harness.spec.conditions import (
    MODALITIES,
    RATES,
    STEPS,
    Condition,
    How,
    grid,
    only,
    seen,
)
from harness.spec.laws import laws
from harness.stats import Field, Ranking, rank
from harness.stats.surface import Extreme, Sample, Surface, largest, sample
from leaderboards.model import Grid, Row, Track, once

__all__ = [
    "AREAS",
    "Area",
    "Gain",
    "Reliability",
    "RowReliability",
    "areas_of",
    "breakdown_of",
    "reliability",
    "study",
]

DRAWS = 10_000

_HOWS: tuple[How, ...] = ("element", "block", "modality")
_KINDS = ("noise", *_HOWS)

AREAS: Mapping[str, tuple[Condition, ...]] = {
    "noise": tuple(Condition(noise=rate) for rate in RATES),
    **{how: tuple(Condition(missing=rate, how=how) for rate in RATES) for how in _HOWS},
    **{
        f"noise × {how}": tuple(
            Condition(noise=noise, missing=rate, how=how)
            for noise, rate in itertools.product(RATES, RATES)
        )
        for how in _HOWS
    },
    "lnln": tuple(Condition(missing=rate, how="lnln") for rate in RATES),
    "lnln@published": tuple(Condition(missing=rate, how="lnln@published") for rate in RATES),
}
"""Curves and maps by name; ``spectrum`` is the mean of the three maps."""

_WHOLE = "spectrum"


@dataclass(frozen=True, kw_only=True)
class Area:
    """A mean over cells.

    Args:
        value: Mean over seeds and cells.
        low: Lower end of its 95 % interval.
        high: Upper end.
        unseen: Whether training clips went through some families, and not all of this area's.
    """

    value: float
    low: float
    high: float
    unseen: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class RowReliability:
    """One row over the grid.

    Args:
        row: Its runs.
        values: (C,) metric of every condition, mean over seeds.
        areas: Name of a curve or map -> its area.
        sets: Modalities that are left, joined by + -> that cell.
        breakdown: (modality, kind) -> mean over five strengths with that modality alone hit.
        worst: The worst cell in which something is left; its value with a simultaneous interval.
        worst_condition: Which cell that is.
    """

    row: Row
    values: Values
    areas: Mapping[str, Area]
    sets: Mapping[str, Area]
    breakdown: Mapping[tuple[str, str], Area]
    worst: Extreme
    worst_condition: str

    @property
    def clean(self) -> float:
        """The metric on clips as they are."""
        return float(self.values[0])


@dataclass(frozen=True, kw_only=True)
class Gain:
    """The One-Checkpoint-for-All test: what training for one condition at a time would gain.

    Args:
        specialists: Labels of the rows trained for a condition.
        checkpoint: Label of the row of the same system that answers every cell at once.
        condition: The cell with the largest gain.
        gain: Specialist less checkpoint there, positive where the specialist is better.
    """

    specialists: tuple[str, ...]
    checkpoint: str
    condition: str
    gain: Extreme


@dataclass(frozen=True, kw_only=True, eq=False)
class Reliability:
    """The rows of a grid in one metric.

    Args:
        metric: The metric.
        conditions: Names of the C cells, the clean one first.
        rows: Rows with runs that answer the whole grid, constants among them.
        ranked_by: Name of the area that ranks.
        rankings: Track -> ranking of its complete rows by that area, from two of them on.
        crossed: Comparisons of all complete rows, where there are several tracks: ranks among them
            mean nothing.
        gains: One-Checkpoint-for-All, system by system.
    """

    metric: Metric
    conditions: tuple[str, ...]
    rows: tuple[RowReliability, ...]
    ranked_by: str
    rankings: Mapping[Track, Ranking]
    crossed: Ranking | None
    gains: tuple[Gain, ...]


def areas_of(conditions: Sequence[str]) -> dict[str, list[int]]:
    """Curves and maps that the cells make up: name -> places of their cells."""
    found = {
        name: places
        for name, cells in AREAS.items()
        if (places := _places(cells, conditions)) is not None
    }
    maps = [found.get(f"noise × {how}") for how in _HOWS]
    whole = [place for places in maps if places is not None for place in places]
    return {**({_WHOLE: whole} if all(maps) else {}), **found}


def breakdown_of(conditions: Sequence[str]) -> dict[tuple[str, str], list[int]]:
    """(modality, kind) -> places of the cells in which that modality alone is hit that way."""
    cells = {
        (name, kind): [
            Condition(noise=rate, hit=(name,))
            if kind == "noise"
            else Condition(missing=rate, how=kind, hit=(name,))  # type: ignore[arg-type]  # a How
            for rate in STEPS
        ]
        for name in MODALITIES
        for kind in _KINDS
    }
    return {
        key: places
        for key, own in cells.items()
        if (places := _places(own, conditions)) is not None
    }


def _places(cells: Sequence[Condition], conditions: Sequence[str]) -> list[int] | None:
    at = {name: place for place, name in enumerate(conditions)}
    names = [cell.name for cell in cells]
    return [at[name] for name in names] if all(name in at for name in names) else None


@once
def reliability(grid: Grid) -> Reliability | None:
    """Areas, worst cells and tracks in the selection metric; seconds a row."""
    return study(grid, grid.selection)


def study(board: Grid, metric: Metric, draws: int = DRAWS) -> Reliability | None:
    """Resample every row of a corpus under all conditions; None where there are none.

    Args:
        board: Rows of a suite on one corpus.
        metric: A function of sums over clips: MAE, Corr, accuracies, F1.
        draws: D.

    Raises:
        SpecError: For a metric of ranks.
        StoreError: When a run lacks predictions under some condition.
    """
    if board.under is None:
        return None
    conditions = tuple(condition.name for condition in grid(board.corruption))
    among = sample(board.truth, draws)
    areas = areas_of(conditions)
    ranked_by = next(iter(areas), "clean")
    found, drawn, cells = [], dict[str, Values](), dict[str, Surface]()
    needed = _trained_for(board, conditions)
    for row in board.rows:
        if not row.runs or row.system == "submission":
            continue
        surface = Surface.of(row.label, board.under(row), metric, among)
        found.append(_row(row, surface, conditions, areas, metric))
        drawn[row.label] = surface.area(areas.get(ranked_by, [0]))[1]
        cells[row.label] = _at(surface, needed)
    tracks = _tracks(found)
    every = [one for own in tracks.values() for one in own]
    return Reliability(
        metric=metric,
        conditions=conditions,
        rows=tuple(found),
        ranked_by=ranked_by,
        rankings={
            track: rank(_field(own, drawn, ranked_by, metric, among))
            for track, own in tracks.items()
            if len(own) > 1
        },
        crossed=rank(_field(every, drawn, ranked_by, metric, among)) if len(tracks) > 1 else None,
        gains=tuple(_gains(found, cells, [conditions[place] for place in needed], metric)),
    )


def _row(
    row: Row,
    surface: Surface,
    conditions: Sequence[str],
    areas: Mapping[str, Sequence[int]],
    metric: Metric,
) -> RowReliability:
    known = seen(row.training_corruption)
    worst = _worst(surface, conditions, metric)
    cells = {"+".join(kept): only(*kept).name for kept in _subsets()}
    return RowReliability(
        row=row,
        values=surface.values,
        areas={
            name: _area(surface, places, unseen=bool(known) and not _families(name) <= known)
            for name, places in areas.items()
        },
        sets={
            kept: _area(surface, [conditions.index(name)])
            for kept, name in cells.items()
            if name in conditions
        },
        breakdown={
            key: _area(surface, places, unseen=bool(known) and key[1] not in known)
            for key, places in breakdown_of(conditions).items()
        },
        worst=worst[0],
        worst_condition=worst[1],
    )


def _families(area: str) -> frozenset[str]:
    """What a curve or map is made of; the mean over everything is never called unseen."""
    return frozenset() if area == _WHOLE else frozenset(area.split(" × "))


def _subsets() -> list[tuple[str, ...]]:
    sizes = range(len(MODALITIES), 0, -1)
    return [kept for size in sizes for kept in itertools.combinations(MODALITIES, size)]


def _area(surface: Surface, places: Sequence[int], *, unseen: bool = False) -> Area:
    low, high = surface.interval(places)
    return Area(value=surface.area(places)[0], low=low, high=high, unseen=unseen)


def _sign(metric: Metric) -> float:
    """Times a value: the larger the worse."""
    return -1.0 if metric.higher_is_better else 1.0


def _worst(surface: Surface, conditions: Sequence[str], metric: Metric) -> tuple[Extreme, str]:
    """Among the cells that leave something; there, every system is asked."""
    asked = [i for i, name in enumerate(conditions) if not Condition.parse(name).leaves_nothing]
    sign = _sign(metric)
    found = largest(sign * surface.values[asked], sign * surface.drawn[asked])
    low, high = sorted((sign * found.low, sign * found.high))
    worst = dataclasses.replace(found, value=sign * found.value, low=low, high=high)
    return worst, conditions[asked[found.place]]


def _tracks(rows: Sequence[RowReliability]) -> dict[Track, list[RowReliability]]:
    """The complete rows that may be ranked: no constants, none trained for one condition."""
    found: dict[Track, list[RowReliability]] = {}
    for one in rows:
        if (
            not one.row.reference
            and not one.row.missing_runs
            and one.row.training_corruption in laws
        ):
            found.setdefault(one.row.track, []).append(one)
    return found


def _field(
    rows: Sequence[RowReliability],
    drawn: Mapping[str, Values],
    area: str,
    metric: Metric,
    among: Sample,
) -> Field:
    return Field(
        metric=metric,
        dataset=among.truth.dataset.name,
        names=tuple(one.row.label for one in rows),
        values=np.array([one.areas[area].value if one.areas else one.clean for one in rows]),
        drawn=np.stack([drawn[one.row.label].round(12) for one in rows]),
        seeds=tuple(len(one.row.runs) for one in rows),
        videos=among.videos.shape[1],
    )


def _trained_for(board: Grid, conditions: Sequence[str]) -> list[int]:
    """Places of the cells that some row was trained for."""
    trained = {row.training_corruption for row in board.rows}
    return [place for place, name in enumerate(conditions) if place and name in trained]


def _at(surface: Surface, places: Sequence[int]) -> Surface:
    chosen = list(places)
    return Surface(values=surface.values[chosen], drawn=surface.drawn[chosen])


def _gains(
    rows: Sequence[RowReliability],
    cells: Mapping[str, Surface],
    trained: Sequence[str],
    metric: Metric,
) -> list[Gain]:
    """Every checkpoint against the rows of its system that were trained for single conditions."""
    families: dict[object, list[Row]] = {}
    for one in rows:
        changed = {k: v for k, v in one.row.changed.items() if k != "training_corruption"}
        families.setdefault((one.row.system, str(sorted(changed.items()))), []).append(one.row)
    return [
        _gain(row, special, cells, trained, metric)
        for own in families.values()
        if (special := [row for row in own if row.training_corruption in trained])
        for row in own
        if row.training_corruption in laws
    ]


def _gain(
    checkpoint: Row,
    specialists: Sequence[Row],
    cells: Mapping[str, Surface],
    trained: Sequence[str],
    metric: Metric,
) -> Gain:
    one, sign = cells[checkpoint.label], _sign(metric)
    values, drawn = [], []
    for row in specialists:
        place, own = trained.index(row.training_corruption), cells[row.label]
        values.append(sign * (one.values[place] - own.values[place]))
        drawn.append(sign * (one.drawn[place] - own.drawn[place]))
    found = largest(np.array(values), np.stack(drawn))
    return Gain(
        specialists=tuple(row.label for row in specialists),
        checkpoint=checkpoint.label,
        condition=specialists[found.place].training_corruption,
        gain=found,
    )
