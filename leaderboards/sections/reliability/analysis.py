"""What a board under a grid of conditions says: areas, worst cells, sets, modalities, tracks.

Everything is read off stored predictions. Areas are means over cells, with equal weights: of ten
rates for a curve, of a hundred cells for a map.

Shapes: S seeds, C conditions, N clips.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
from harness.stats.estimate import Estimate
from harness.stats.surface import Extreme, Surface, largest, sample
from leaderboards.model import Grid, Row, Track, is_checkpoint, once

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
        of_checkpoints: Whether a row ran once although seeds change it.
    """

    specialists: tuple[str, ...]
    checkpoint: str
    condition: str
    gain: Extreme
    of_checkpoints: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Reliability:
    """The rows of a grid in one metric.

    Args:
        metric: The metric.
        conditions: Names of the C cells, the clean one first.
        rows: Rows with runs that answer the whole grid, constants among them.
        ranked_by: Name of the area that ranks.
        rankings: Track -> ranking of its complete rows by that area, from two of them on; one run
            of a system that seeds change is not among them.
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


def study(board: Grid, metric: Metric) -> Reliability | None:
    """Every row of a corpus under all conditions; None where there are none.

    Args:
        board: Rows of a suite on one corpus.
        metric: A function of sums over clips: MAE, Corr, accuracies, F1.

    Raises:
        SpecError: For a metric of ranks.
        StoreError: When a run lacks predictions under some condition.
    """
    if board.under is None:
        return None
    conditions = tuple(condition.name for condition in grid(board.corruption))
    among = sample(board.truth)
    areas = areas_of(conditions)
    ranked_by = next(iter(areas), "clean")
    found, leading, cells = [], dict[str, Estimate](), dict[str, Surface]()
    needed = _trained_for(board, conditions)
    for row in board.rows:
        if not row.runs or row.system == "submission":
            continue
        surface = Surface.of(row.label, board.under(row), metric, among)
        found.append(_row(row, surface, conditions, areas, metric))
        leading[row.label] = surface.area(areas.get(ranked_by, [0]))
        cells[row.label] = surface.only(needed)
    tracks = _tracks(found)
    every = [one for own in tracks.values() for one in own]
    return Reliability(
        metric=metric,
        conditions=conditions,
        rows=tuple(found),
        ranked_by=ranked_by,
        rankings={
            track: rank(_field(ranked, leading, board, metric))
            for track, own in tracks.items()
            if len(ranked := [row for row in own if not is_checkpoint(row)]) > 1
        },
        crossed=rank(_field(every, leading, board, metric)) if len(tracks) > 1 else None,
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
    found = surface.area(places)
    low, high = found.reference.interval()
    return Area(value=found.value, low=low, high=high, unseen=unseen)


def _sign(metric: Metric) -> float:
    """Times a value: the larger the worse."""
    return -1.0 if metric.higher_is_better else 1.0


def _worst(surface: Surface, conditions: Sequence[str], metric: Metric) -> tuple[Extreme, str]:
    """Among the cells that leave something; there, every system is asked."""
    asked = [i for i, name in enumerate(conditions) if not Condition.parse(name).leaves_nothing]
    sign = _sign(metric)
    found = largest([surface.area([place]) * sign for place in asked])
    low, high = sorted((sign * found.low, sign * found.high))
    worst = dataclasses.replace(found, value=sign * found.value, low=low, high=high)
    return worst, conditions[asked[found.place]]


def _tracks(rows: Sequence[RowReliability]) -> dict[Track, list[Row]]:
    """The complete rows that are compared: no constants, none trained for one condition."""
    found: dict[Track, list[Row]] = {}
    for row in (one.row for one in rows):
        if not row.reference and not row.missing_runs and row.training_corruption in laws:
            found.setdefault(row.track, []).append(row)
    return found


def _field(
    rows: Sequence[Row], leading: Mapping[str, Estimate], board: Grid, metric: Metric
) -> Field:
    return Field(
        metric=metric,
        dataset=board.corpus.dataset.name,
        estimates={row.label: leading[row.label] for row in rows},
        seeds=tuple(len(row.runs) for row in rows),
    )


def _trained_for(board: Grid, conditions: Sequence[str]) -> list[int]:
    """Places of the cells that some row was trained for."""
    trained = {row.training_corruption for row in board.rows}
    return [place for place, name in enumerate(conditions) if place and name in trained]


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
    gains = []
    for row in specialists:
        place = [trained.index(row.training_corruption)]
        gains.append((one.area(place) - cells[row.label].area(place)) * sign)
    found = largest(gains)
    return Gain(
        specialists=tuple(row.label for row in specialists),
        checkpoint=checkpoint.label,
        condition=specialists[found.place].training_corruption,
        gain=found,
        of_checkpoints=any(map(is_checkpoint, (checkpoint, *specialists))),
    )
