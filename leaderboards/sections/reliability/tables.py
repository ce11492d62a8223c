"""The tables of a board under a grid of conditions; numbers rounded last, cells not yet escaped."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

from harness._util.printed import defined
from harness.metrics import Metric
from harness.spec.conditions import MODALITIES
from harness.spec.laws import laws
from harness.stats import Pairing
from leaderboards.document import Column, Table
from leaderboards.literature import PublishedRow, lines, of_conditions
from leaderboards.model import Track, is_checkpoint, plain_first
from leaderboards.numbers import EMPTY, TIED, UNDEFINED, arrow, bounds, number, rank_set
from leaderboards.sections.reliability.analysis import Area, Gain, Reliability, RowReliability

__all__ = [
    "UNSEEN",
    "areas",
    "breakdown",
    "crossing",
    "gains",
    "literature",
    "pairs",
    "records",
    "sets",
    "tracks",
    "verdict",
]

UNSEEN = "°"
"""Marks an area with a family that the row's training clips never went through."""


def tracks(found: Reliability) -> tuple[Track, ...]:
    """One table each; constants fit everywhere, rows trained for one condition nowhere."""
    return plain_first(one.row.track for one in _contestants(found))


def _contestants(found: Reliability) -> list[RowReliability]:
    return [
        one for one in found.rows if not one.row.reference and one.row.training_corruption in laws
    ]


def _shown(found: Reliability, track: Track) -> list[RowReliability]:
    """Constants, then the rows of a track, best area first."""
    own = [one for one in _contestants(found) if one.row.track == track]
    own.sort(key=lambda one: found.metric.cost(_leading(found, one)))
    return [*(one for one in found.rows if one.row.reference), *own]


def _leading(found: Reliability, one: RowReliability) -> float:
    return one.areas[found.ranked_by].value if found.ranked_by in one.areas else one.clean


def areas(found: Reliability, track: Track) -> Table:
    """Rank set by the first area, clean value, every area, and the worst cell."""
    metric = found.metric
    names = list(next(iter(found.rows)).areas) if found.rows else []
    rows = tuple(
        (
            one.row.label,
            str(len(one.row.runs)),
            _rank(found, track, one),
            _number(metric, one.clean),
            *(
                _tied(found, track, one, name) + _interval(metric, one.areas[name])
                for name in names
            ),
            _worst(metric, one),
        )
        for one in _shown(found, track)
    )
    headings = ("Seeds", "Rank", *(f"{n} {arrow(metric)}" for n in ("clean", *names, "worst cell")))
    return Table(
        columns=(Column("System", "left"), *map(Column, headings)),
        rows=rows,
    )


def _number(metric: Metric, value: float) -> str:
    return number(value, metric) if math.isfinite(value) else UNDEFINED


def _interval(metric: Metric, area: Area) -> str:
    if not math.isfinite(area.value):
        return UNDEFINED
    mark = UNSEEN if area.unseen else ""
    return f"{number(area.value, metric)}{mark} {bounds(area.low, area.high, metric)}"


def _worst(metric: Metric, one: RowReliability) -> str:
    if not math.isfinite(one.worst.value):
        return UNDEFINED
    interval = bounds(one.worst.low, one.worst.high, metric)
    return f"{number(one.worst.value, metric)} {interval} {one.worst_condition}"


def _rank(found: Reliability, track: Track, one: RowReliability) -> str:
    ranking = found.rankings.get(track)
    if ranking is None or one.row.label not in ranking.names:
        return EMPTY
    return rank_set(ranking.rank_of(one.row.label))


def _tied(found: Reliability, track: Track, one: RowReliability, area: str) -> str:
    ranking = found.rankings.get(track)
    leads = ranking is not None and one.row.label in ranking.leaders and area == found.ranked_by
    return f"{TIED} " if leads else ""


def sets(found: Reliability, track: Track) -> Table:
    """The seven fixed sets of modalities."""
    names = list(next(iter(found.rows)).sets) if found.rows else []
    return Table(
        columns=(
            Column("System", "left"),
            *(Column(f"{_short(name)} {arrow(found.metric)}") for name in names),
        ),
        rows=tuple(
            (one.row.label, *(_interval(found.metric, one.sets[name]) for name in names))
            for one in _shown(found, track)
            if names and not one.row.reference
        ),
    )


def _short(kept: str) -> str:
    """``text+audio`` as it is usually written: TA."""
    initials = "".join(name[0].upper() for name in kept.split("+"))
    return f"{{{initials}}}"


def breakdown(found: Reliability, track: Track) -> Table:
    """One modality hit at a time: mean over five strengths."""
    keys = list(next(iter(found.rows)).breakdown) if found.rows else []
    kinds = list(dict.fromkeys(kind for _, kind in keys))
    return Table(
        columns=(
            Column("System", "left"),
            Column("Hit", "left"),
            *(Column(f"{kind} {arrow(found.metric)}") for kind in kinds),
        ),
        rows=tuple(
            (one.row.label, name, *(_interval(found.metric, one.breakdown[name, k]) for k in kinds))
            for one in _shown(found, track)
            if not one.row.reference
            for name in MODALITIES
            if (name, kinds[0]) in one.breakdown
        )
        if kinds
        else (),
    )


def pairs(found: Reliability, track: Track) -> Table:
    """Every two ranked rows of a track, by the area that ranks."""
    ranking = found.rankings.get(track)
    return _pairs(() if ranking is None else ranking.pairs, found)


def crossing(found: Reliability) -> Table:
    """Every two rows of different tracks: what they were trained on and the systems at once."""
    if found.crossed is None:
        return _pairs((), found)
    known = {one.row.label: one.row.track for one in found.rows}
    apart = [pair for pair in found.crossed.pairs if known[pair.a] != known[pair.b]]
    return _pairs(apart, found)


def _pairs(shown: Sequence[Pairing], found: Reliability) -> Table:
    metric = found.metric
    single = {one.row.label for one in found.rows if is_checkpoint(one.row)}
    return Table(
        columns=(
            *(Column(title, "left") for title in ("A", "B")),
            *(Column(title) for title in ("A - B", "95 %", "p", "p (all pairs)", "verdict")),
        ),
        rows=tuple(
            (
                pair.a,
                pair.b,
                number(pair.effect, metric),
                bounds(pair.low, pair.high, metric),
                defined(pair.p_value, ".4f", UNDEFINED),
                defined(pair.p_adjusted, ".4f", UNDEFINED),
                "checkpoint " * (not single.isdisjoint((pair.a, pair.b))) + pair.verdict(),
            )
            for pair in shown
        ),
    )


def gains(found: Reliability) -> Table:
    """One-Checkpoint-for-All: what specialists gain where they gain most."""
    metric = found.metric
    return Table(
        columns=(
            *(Column(title, "left") for title in ("One checkpoint", "Trained for one condition")),
            Column("in", "left"),
            *(Column(title) for title in ("largest gain", "95 %", "verdict")),
        ),
        rows=tuple(_gain(metric, gain) for gain in found.gains),
    )


def _gain(metric: Metric, found: Gain) -> tuple[str, ...]:
    best = found.gain
    return (
        found.checkpoint,
        "; ".join(found.specialists),
        found.condition,
        _number(metric, best.value),
        bounds(best.low, best.high, metric),
        verdict(found),
    )


def verdict(found: Gain) -> str:
    """Whether one checkpoint is enough, as far as the interval says."""
    if not math.isfinite(found.gain.value):
        return "undefined"
    if found.gain.low <= 0 <= found.gain.high:
        return "undecided"
    about = "checkpoints: " if found.of_checkpoints else ""
    return about + ("a specialist is better" if found.gain.low > 0 else "no specialist is better")


def literature(dataset: str) -> Table:
    """What is published of corrupted test clips, as printed."""
    shown = of_conditions(dataset)
    return Table(
        columns=tuple(
            Column(title, "left")
            for title in ("System", "Condition", "Printed", "Selection", "Source", "Vouched by")
        ),
        rows=tuple(_line(own) for own in lines(shown)),
    )


def _line(own: Sequence[PublishedRow]) -> tuple[str, ...]:
    first = own[0]
    printed = ", ".join(f"{row.metric} {row.printed}" for row in own)
    selection = first.selection or "not stated"
    return first.title, first.condition, printed, selection, first.source, first.reliability


def records(found: Reliability) -> Iterator[dict[str, object]]:
    """One record per row, unrounded."""
    for one in found.rows:
        yield {
            "row": one.row.label,
            "system": one.row.system,
            "training_corruption": one.row.training_corruption,
            "reference": one.row.reference,
            "seeds": [run.seed for run in one.row.runs],
            "cells": dict(zip(found.conditions, one.values.tolist(), strict=True)),
            "areas": {name: dataclasses.asdict(area) for name, area in one.areas.items()},
            "sets": {name: dataclasses.asdict(area) for name, area in one.sets.items()},
            "breakdown": {
                f"{modality}:{kind}": dataclasses.asdict(area)
                for (modality, kind), area in one.breakdown.items()
            },
            "worst": {**dataclasses.asdict(one.worst), "condition": one.worst_condition},
        }
