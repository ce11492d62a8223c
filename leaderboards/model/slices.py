"""Rows on declared parts of the test clips: what they score there, who is ahead, what a part costs.

Ranks hold for all parts of a corpus together: each of the K rankings is made at level alpha / K.
What a part costs is a row's score there less its score on the first part of the slicing. Labels of
one part may lie farther out than those of another, which costs every row: what is left beyond the
training mean, on the same clips, is what the row itself loses.

Shapes: N test clips, S runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import StoreError
from harness.metrics import Metric, Values
from harness.runs.stored_plan import PlannedSlicing
from harness.stats import DRAWS, Field, between_parts, fields_of, holm, rank, too_small
from harness.stats.estimate import Estimate
from leaderboards.model.board import Grid, Row, parts
from leaderboards.model.memo import once
from leaderboards.model.ranking import unranked_because

__all__ = ["Cost", "OnPart", "SlicePart", "Sliced", "SlicedBy", "sliced"]

_FLOOR = "train_mean"
_MOST_DRAWS = 20_000
_Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class OnPart:
    """A row on one part.

    Args:
        value: The metric, mean over runs; NaN where undefined.
        low: Lower end of its 95 % interval for new seeds and new source videos.
        high: Upper end of it.
        clips: Clips of the part that the row predicts.
        rank: Its rank set there; None where it is not ranked.
    """

    value: float
    low: float
    high: float
    clips: int
    rank: tuple[int, int] | None


@dataclass(frozen=True, kw_only=True)
class Cost:
    """A row's score on a part less that on the first part of the slicing, or what is beyond that.

    Args:
        value: The difference; NaN where undefined.
        low: Lower end of its 95 % interval.
        high: Upper end of it.
        p: Of no difference, by Holm's method corrected for all costs that are tested on the corpus;
            NaN where it is not tested.
    """

    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class _Costs:
    """What a part costs each row: in all, and beyond the training mean."""

    costs: dict[str, Cost]
    beyond: dict[str, Cost]


@dataclass(frozen=True, kw_only=True, eq=False)
class SlicePart:
    """One part of the test clips.

    Args:
        name: What it is called.
        clips: How many.
        videos: Of how many source videos.
        small: Why nothing is said of it; empty where something is.
        rows: Label of a row -> what it scores.
        costs: Label of a row -> what the part costs it; nothing for the first part.
        beyond: Likewise beyond what it costs the training mean.
    """

    name: str
    clips: int
    videos: int
    small: str
    rows: Mapping[str, OnPart]
    costs: Mapping[str, Cost]
    beyond: Mapping[str, Cost]


@dataclass(frozen=True, kw_only=True, eq=False)
class SlicedBy:
    """The parts of one slicing.

    Args:
        slicing: Which.
        parts: In its order.
        unassigned: Test clips that are in none.
    """

    slicing: PlannedSlicing
    parts: tuple[SlicePart, ...]
    unassigned: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Sliced:
    """All slicings of a corpus.

    Args:
        metric: In which metric.
        rows: Rows with a run, those that can be ranked and the others.
        slicings: As the suite lists them.
        rankings: K, rankings made at level alpha / K.
        tested: Costs that p-values are corrected for: those beyond the floor, where there is one.
        floor: Label of the training mean; empty where there is none.
    """

    metric: Metric
    rows: tuple[Row, ...]
    slicings: tuple[SlicedBy, ...]
    rankings: int
    tested: int
    floor: str


@once
def sliced(grid: Grid) -> Sliced | None:
    """The rows of a corpus on the parts that its suite asks for.

    Returns:
        None where it asks for none that tells clips apart, or no row has a run.

    Raises:
        StoreError: For a plan whose slices are not of these clips.
    """
    rows = tuple(row for row in (*grid.rows, *grid.submissions) if row.runs)
    if not grid.corpus.slicings or not rows:
        return None
    floor = next((row for row in rows if row.system == _FLOOR), None)
    cuts = [(slicing, _masks(grid, slicing)) for slicing in grid.corpus.slicings]
    large = sum(not _small(grid, mask) for _, masks in cuts for mask in masks.values())
    contests = [own for part in parts(grid) if len(own := _ranked(part)) > 1]
    costs = _costs(grid, rows, floor, cuts)
    return Sliced(
        metric=grid.selection,
        rows=rows,
        slicings=tuple(
            SlicedBy(
                slicing=slicing,
                parts=tuple(
                    _part(grid, rows, contests, large, name, mask, costs.get((slicing.name, name)))
                    for name, mask in masks.items()
                ),
                unassigned=sum(place is None for place in slicing.places()),
            )
            for slicing, masks in cuts
        ),
        rankings=large * len(contests),
        tested=sum(
            not math.isnan(cost.p)
            for own in costs.values()
            for cost in (*own.costs.values(), *own.beyond.values())
        ),
        floor="" if floor is None else floor.label,
    )


def _masks(grid: Grid, slicing: PlannedSlicing) -> dict[str, _Mask]:
    places = slicing.places()
    if len(places) != len(grid.truth):
        raise StoreError(
            f"the plan tells {len(places)} clips apart by {slicing.name}, and {grid.corpus.name}"
            f" has {len(grid.truth)} test clips",
            hint="msa run SUITE plans it again",
        )
    return {
        part: np.array([place == at for place in places]) for at, part in enumerate(slicing.parts)
    }


def _videos(grid: Grid, mask: _Mask) -> int:
    return len(set(grid.truth.videos[mask]))


def _small(grid: Grid, mask: _Mask) -> str:
    return too_small(int(mask.sum()), _videos(grid, mask))


def _ranked(grid: Grid) -> list[Row]:
    return [row for row in grid.rows if not unranked_because(row)]


def _preds(row: Row) -> Values:
    return np.stack([run.pred for run in row.runs])  # (S, N)


def _predicted(row: Row) -> _Mask:
    """The clips that every run of the row predicts: submissions may leave some out."""
    return np.asarray(np.isfinite(_preds(row)).all(axis=0))


def _part(
    grid: Grid,
    rows: Sequence[Row],
    contests: Sequence[Sequence[Row]],
    large: int,
    name: str,
    mask: _Mask,
    costs: _Costs | None,
) -> SlicePart:
    small = _small(grid, mask)
    ranks: dict[str, tuple[int, int]] = {}
    for own in () if small else contests:
        rankings = large * len(contests)
        draws = min(DRAWS * rankings, _MOST_DRAWS)  # small levels take more of them
        ranking = rank(_field(grid, own, mask), grid.alpha / rankings, draws, tests=grid.tests)
        ranks |= {row.label: ranking.rank_of(row.label) for row in own}
    return SlicePart(
        name=name,
        clips=int(mask.sum()),
        videos=_videos(grid, mask),
        small=small,
        rows={} if small else dict(_scores(grid, rows, ranks, mask)),
        costs={} if costs is None else costs.costs,
        beyond={} if costs is None else costs.beyond,
    )


def _field(grid: Grid, rows: Sequence[Row], mask: _Mask) -> Field:
    """Estimates of rows on some clips, all of which they predict."""
    found = fields_of(
        {row.label: _preds(row)[:, mask] for row in rows},
        grid.truth.labels[mask],
        grid.truth.videos[mask],
        [grid.selection],
        dataset=grid.corpus.dataset,
    )
    return found[grid.selection.name]


def _scores(
    grid: Grid, rows: Sequence[Row], ranks: Mapping[str, tuple[int, int]], mask: _Mask
) -> Iterator[tuple[str, OnPart]]:
    for row in rows:
        own = mask & _predicted(row)
        if _small(grid, own):
            continue
        law = _field(grid, [row], own).estimates[row.label].reference
        low, high = law.interval()
        yield (
            row.label,
            OnPart(
                value=law.effect,
                low=low,
                high=high,
                clips=int(own.sum()),
                rank=ranks.get(row.label),
            ),
        )


def _costs(
    grid: Grid,
    rows: Sequence[Row],
    floor: Row | None,
    cuts: Sequence[tuple[PlannedSlicing, Mapping[str, _Mask]]],
) -> dict[tuple[str, str], _Costs]:
    """(slicing, part) -> what the part costs, corrected for all parts together."""
    plain: dict[tuple[str, str, str], Estimate] = {}
    beyond: dict[tuple[str, str, str], Estimate] = {}
    for slicing, masks in cuts:
        (_, first), *others = masks.items()
        for part, mask in others:
            for row in rows:
                own = _predicted(row)
                if _small(grid, first & own) or _small(grid, mask & own):
                    continue
                key = (slicing.name, part, row.label)
                plain[key] = _between(grid, row, mask & own, first & own)
                if floor is not None and not row.reference:
                    least = _between(grid, floor, mask & own, first & own)
                    beyond[key] = plain[key] - least
    asked = plain if floor is None else beyond
    adjusted = _adjusted(asked, rows)
    found: dict[tuple[str, str], _Costs] = {}
    for of in (plain, beyond):
        for key, one in of.items():
            slicing_name, part, label = key
            own_costs = found.setdefault((slicing_name, part), _Costs({}, {}))
            into = own_costs.beyond if of is beyond else own_costs.costs
            into[label] = _cost(one, adjusted.get(key, math.nan) if of is asked else math.nan)
    return found


def _adjusted(
    costs: Mapping[tuple[str, str, str], Estimate], rows: Sequence[Row]
) -> dict[tuple[str, str, str], float]:
    """The p-values of what parts cost rows that learned, by Holm's method; none undefined."""
    constant = {row.label for row in rows if row.reference}
    p_values = {
        key: p
        for key, cost in costs.items()
        if key[2] not in constant and not math.isnan(p := cost.reference.p_value())
    }
    return dict(zip(p_values, holm(list(p_values.values())).tolist(), strict=True))


def _between(grid: Grid, row: Row, part: _Mask, first: _Mask) -> Estimate:
    either = part | first
    return between_parts(
        _preds(row)[:, either],
        grid.truth.labels[either],
        grid.truth.videos[either],
        grid.selection,
        part[either],
        first[either],
        dataset=grid.corpus.dataset,
        name=row.label,
    )


def _cost(found: Estimate, p: float) -> Cost:
    low, high = found.reference.interval()
    return Cost(value=found.value, low=low, high=high, p=float(p))
