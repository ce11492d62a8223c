"""Rows on declared parts of the test clips, for suites that ask for slices."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from harness._util.canonical import Json
from leaderboards.document import Block, Heading, Notice, Table, bold, left, right, text
from leaderboards.model import Cost, Grid, OnPart, Row, Sliced, SlicedBy, SlicePart, ordered, sliced
from leaderboards.numbers import EMPTY, UNDEFINED, bounds, number, p_value, rank_set
from leaderboards.sections.contract import CorpusSection, Record

__all__ = ["SECTION"]


def _blocks(grid: Grid) -> Iterator[Block]:
    found = sliced(grid)
    if found is not None:
        yield Heading(3, text(f"On slices of the test clips: {found.metric.title}"))
        yield text(_how(found))
        for one in found.slicings:
            yield text(bold(one.slicing.title), f": {_about(one)}")
            yield _scores(grid, found, one)
            if any(part.costs for part in one.parts):
                yield _costs(grid, found, one)
    if grid.corpus.unsliced:
        names = ", ".join(grid.corpus.unsliced)
        yield Notice(text(f"Slices that tell no test clips apart here: {names}."), "data")


def _how(found: Sliced) -> str:
    words = (
        "Parts of the test clips that labels and metadata decide, never predictions. In brackets:"
        " 95 % intervals for new seeds and new source videos, each by itself."
    )
    if found.rankings:
        words += (
            " Ranks: with 95 % probability every true rank lies in its set, over all"
            f" {found.rankings} rankings of these parts together."
        )
    if found.tested:
        words += (
            " Differences between parts are of one row on other clips, and labels of one part may"
            " lie farther out than those of another: that costs every row."
        )
        if found.floor:
            words += f" Beyond {found.floor}: less what the part costs {found.floor} itself."
        words += f" The p-values are adjusted for all {found.tested} of them (Holm)."
    return words


def _about(one: SlicedBy) -> str:
    slicing = one.slicing
    parts = ", ".join(_counted(part) for part in one.parts)
    left_out = f"; {one.unassigned} clips are in none" if one.unassigned else ""
    return f"{slicing.definition}. {parts}{left_out}."


def _counted(part: SlicePart) -> str:
    small = f" ({part.small})" if part.small else ""
    return f"{part.name}: {part.clips} clips of {part.videos} source videos{small}"


def _shown(grid: Grid, found: Sliced) -> Iterator[Row]:
    """Rows in board order, then submissions."""
    yield from (row for row in ordered(grid) if row in found.rows)
    yield from (row for row in grid.submissions if row in found.rows)


def _scores(grid: Grid, found: Sliced, one: SlicedBy) -> Table:
    return Table(
        columns=(*left("System"), *right(*(part.name for part in one.parts))),
        rows=tuple(
            (row.label, *(_score(part, part.rows.get(row.label), found) for part in one.parts))
            for row in _shown(grid, found)
        ),
        caption=f"{one.slicing.title}: {found.metric.title}",
    )


def _score(part: SlicePart, score: OnPart | None, found: Sliced) -> str:
    if part.small:
        return "too small"
    if score is None:
        return EMPTY
    if math.isnan(score.value):
        return UNDEFINED
    metric = found.metric
    words = f"{number(score.value, metric)} {bounds(score.low, score.high, metric)}"
    words += "" if score.rank is None else f", rank {rank_set(score.rank)}"
    return words if score.clips == part.clips else f"{words}, on {score.clips} clips"


def _costs(grid: Grid, found: Sliced, one: SlicedBy) -> Table:
    first, *others = one.parts
    others = [part for part in others if part.costs]
    columns = []
    for part in others:
        columns.append(f"{part.name} - {first.name}")
        if found.floor:
            columns.append(f"{part.name} - {first.name}, beyond {found.floor}")
    return Table(
        columns=(*left("System"), *right(*columns)),
        rows=tuple(
            (row.label, *(cell for part in others for cell in _cells(part, row, found)))
            for row in _shown(grid, found)
        ),
        caption=f"{one.slicing.title}: differences between parts",
    )


def _cells(part: SlicePart, row: Row, found: Sliced) -> Iterator[str]:
    for costs in (part.costs, part.beyond) if found.floor else (part.costs,):
        yield _cost(costs.get(row.label), found)


def _cost(cost: Cost | None, found: Sliced) -> str:
    if cost is None:
        return EMPTY
    if math.isnan(cost.value):
        return UNDEFINED
    metric = found.metric
    words = number(cost.value, metric, signed=True, directed=True)
    words += f" {bounds(cost.low, cost.high, metric, signed=True)}"
    return words if math.isnan(cost.p) else f"{words}, {p_value(cost.p)}"


def _records(grid: Grid) -> Iterator[Record]:
    found = sliced(grid)
    for one in () if found is None else found.slicings:
        for part in one.parts:
            assert found is not None
            facts: Mapping[str, Json] = {
                "corpus": grid.corpus.name,
                "slicing": one.slicing.name,
                "part": part.name,
                "clips": part.clips,
                "videos": part.videos,
                "metric": found.metric.name,
                "too_small": part.small or None,
            }
            for row in _shown(grid, found):
                yield {**facts, "row": row.label, **_record(part, row.label)}


def _record(part: SlicePart, label: str) -> dict[str, Json]:
    score = part.rows.get(label)
    return {
        "value": None if score is None else _or_none(score.value),
        "low": None if score is None else _or_none(score.low),
        "high": None if score is None else _or_none(score.high),
        "row_clips": 0 if score is None else score.clips,
        "rank": None if score is None or score.rank is None else list(score.rank),
        "cost": _cost_record(part.costs.get(label)),
        "cost_beyond_floor": _cost_record(part.beyond.get(label)),
    }


def _cost_record(cost: Cost | None) -> Json:
    if cost is None:
        return None
    return {
        "difference": _or_none(cost.value),
        "low": _or_none(cost.low),
        "high": _or_none(cost.high),
        "p_holm": _or_none(cost.p),
    }


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


SECTION = CorpusSection(name="slices", blocks=_blocks, records=_records)
