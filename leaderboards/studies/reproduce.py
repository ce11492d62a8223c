"""Published numbers beside ours, and beside what released code reaches: is it the same number?

Both sides were measured on the same test clips, so only training seeds make them differ. Ours comes
from the run store, scored as the source scores; a number that any *known* difference sets apart
from ours (features and their file, text encoder, side information, condition, selection, budget,
changed hyper-parameters) gets no gap. What the source leaves unsaid is no obstacle but is said. Of
several rows of a system, a comparable one speaks for it, then one that was trained, then the one
with most runs.

A published mean has two faults as a target: nobody knows how far its seeds spread, and the released
code may not reach it. Where others ran that code by seed (``leaderboards.literature.reference``),
its runs are a second target with a verdict of its own, and their spread gives the margin of both.
How verdicts are found, and how often they err: ``harness.stats.reproduction``.

Released weights are another question: whether the source's own checkpoint gives the source's own
number here. Its seed and selection are the source's, so that only the noise of its evaluation, if
there is any, makes the two differ. Such rows are judged beside those that were trained, and say so.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from harness._util.canonical import Json
from harness.metrics import metrics
from harness.runs.store import RunStore
from harness.stats import declared_margin
from harness.stats.reproduction import (
    MARGIN,
    SeedGap,
    SeedSpread,
    Together,
    beside_mean,
    beside_runs,
    spread_of,
    together_with_means,
    together_with_runs,
)
from leaderboards.literature import PublishedRow, ReferenceRuns, reference_of
from leaderboards.studies._sides import (
    Candidate,
    Ours,
    candidates,
    differences,
    remarks,
    shortfalls,
    stands_for,
    unstated,
)

__all__ = [
    "ONE_POINT",
    "VERDICTS",
    "Drift",
    "Ours",
    "ReachedNumber",
    "ReproducedNumber",
    "Verdict",
    "as_records",
    "drifts",
    "reproduce",
]

Verdict = Literal[
    "reproduced by training",
    "reproduced from released weights",
    "differs (better here)",
    "differs (worse here)",
    "cannot tell",
    "not comparable",
    "not run",
]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

ONE_POINT = 0.01
"""Margin of a trained number whose dataset declares none and whose spread nobody published."""

_FEWEST_TOGETHER = 3  # metrics of which a common direction is asked for


@dataclass(frozen=True, kw_only=True)
class ReachedNumber:
    """What released code reaches in one metric, and ours beside it.

    Args:
        runs: The reference runs.
        metric: Registered name.
        spread: Of them, collapsed runs counted and left out of its deviation.
        verdict: Of ours against them.
        reason: Why there is no gap.
        gap: Ours minus theirs; None unless comparable.
        margin: Of equivalence.
        ours: Our value of each seed, scored as they are; empty unless comparable.
        remarks: Declared differences that are no obstacle.
    """

    runs: ReferenceRuns
    metric: str
    spread: SeedSpread
    margin: float
    verdict: Verdict = "not run"
    reason: str = ""
    gap: SeedGap | None = None
    ours: tuple[float, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def values(self) -> tuple[float, ...]:
        """One per seed."""
        return self.runs.values[self.metric]

    @property
    def mean(self) -> float:
        """Over all runs, collapsed ones included."""
        return float(np.mean(self.values))

    @property
    def sd(self) -> float:
        """Sample standard deviation over all runs."""
        return float(np.std(self.values, ddof=1))


@dataclass(frozen=True, kw_only=True, eq=False)
class ReproducedNumber:
    """One published number and what came of it.

    Args:
        published: The number.
        verdict: Against the published mean. Behind *reproduced* stands whether by training here or
            from the weights that the source released.
        reason: Why the two cannot be compared, or why there is nothing to compare.
        ours: The row that speaks for the system, None when not run.
        gap: Ours minus published; None unless comparable.
        margin: Of equivalence, stated before ours is looked at: ``MARGIN`` standard deviations of
            reference runs, and no less than the declared margin of the dataset and the rounding of
            the printed digits; without reference runs one of those, or ``ONE_POINT``.
        unstated: What the source does not say and may explain a difference.
        remarks: Declared differences that are no obstacle.
        reached: What released code reaches; None where nobody ran it by seed.
    """

    published: PublishedRow
    verdict: Verdict
    margin: float
    reason: str = ""
    ours: Ours | None = None
    gap: SeedGap | None = None
    unstated: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    reached: ReachedNumber | None = None


@dataclass(frozen=True, kw_only=True)
class Drift:
    """Gaps of several metrics that point one way more than seeds explain.

    Args:
        published: One of the numbers; they share its line.
        ours: Our side of it.
        target: What ours was held against.
        together: The finding.
    """

    published: PublishedRow
    ours: Ours
    target: Literal["published", "released code"]
    together: Together

    @property
    def words(self) -> str:
        """In one line, without the name of the system."""
        found = self.together
        side = found.better if found.drift == "better" else found.metrics - found.better
        p = "p < .001" if found.p_value < 0.001 else f"p = {found.p_value:.3f}"
        return (
            f"together {found.drift} here than {self.target}:"
            f" {side} of {found.metrics} metrics, {p}"
        )


def reproduce(store: RunStore, rows: Iterable[PublishedRow]) -> tuple[ReproducedNumber, ...]:
    """What the store says to each published number, in their order.

    A number of a system of which rows were trained and others consist of released weights comes
    twice, once for each.

    Raises:
        StoreError: When a stored plan or run is damaged.
    """
    rows = tuple(rows)
    found = tuple(candidates(store, {row.system for row in rows} - {""}))
    return tuple(cell for row in rows for cell in _cells(row, found))


def _cells(published: PublishedRow, found: Iterable[Candidate]) -> Iterator[ReproducedNumber]:
    """The best of what was trained and the best of what was released, or that there is neither."""
    fitting = [
        _compare(published, candidate)
        for candidate in found
        if stands_for(candidate.row, published.system)
        and candidate.grid.corpus.dataset.name == published.dataset
    ]
    for released in (False, True):
        own = [cell for cell in fitting if cell.ours and cell.ours.released is released]
        if own:
            yield min(own, key=_merit)
    if not fitting:
        yield ReproducedNumber(
            published=published,
            verdict="not run",
            reason="" if published.system else "no such system here",
            margin=_margin(published, released=False),
            reached=_reached(published),
        )


def _merit(cell: ReproducedNumber) -> tuple[bool, bool, int, str, str, str]:
    assert cell.ours is not None
    ours, beside = cell.ours, cell.reached is not None and cell.reached.gap is not None
    return cell.gap is None, not beside, -len(ours.values), ours.suite, ours.label, ours.corpus


def _compare(published: PublishedRow, candidate: Candidate) -> ReproducedNumber:
    ours = candidate.ours(published)
    reasons = (*differences(published, candidate), *shortfalls(ours))
    cell = ReproducedNumber(
        published=published,
        verdict="not comparable",
        reason="; ".join(reasons),
        ours=ours,
        margin=_margin(published, released=ours.released),
        reached=None if ours.released else _reached(published, candidate),
    )
    if reasons:
        return cell
    found = _gap(ours, published)
    return dataclasses.replace(
        cell,
        gap=found,
        verdict=_verdict(found, cell.margin, published.metric, released=ours.released),
        unstated=tuple(unstated(published)),
        remarks=tuple(remarks(published, ours)),
    )


def _verdict(gap: SeedGap, margin: float, metric: str, *, released: bool) -> Verdict:
    match gap.finding(margin):
        case "reproduced":
            return "reproduced from released weights" if released else "reproduced by training"
        case "cannot tell":
            return "cannot tell"
        case side:
            better = (side == "higher") == metrics[metric].higher_is_better
            return "differs (better here)" if better else "differs (worse here)"


def _gap(ours: Ours, published: PublishedRow) -> SeedGap:
    """Over training seeds, or over passes of the one checkpoint that is released."""
    if not ours.released:
        return beside_mean(ours.values, published.value, published.seeds, _spread(published))
    if ours.passes:
        return beside_mean(ours.passes, published.value, 1)
    return SeedGap.exact(ours.mean - published.value)


def _margin(published: PublishedRow, *, released: bool) -> float:
    declared = declared_margin(published.dataset, published.metric)
    spread = None if released else _spread(published)
    if spread is not None:
        return max(MARGIN * spread.sd, declared or 0.0, published.rounding)
    least = 0.0 if released else ONE_POINT
    return max(declared if declared is not None else least, published.rounding)


def _spread(published: PublishedRow) -> SeedSpread | None:
    """Of the reference runs of the system, where there are any in this metric."""
    runs = _runs_of(published)
    return None if runs is None else spread_of(runs.values[published.metric], runs.values["mae"])


def _runs_of(published: PublishedRow) -> ReferenceRuns | None:
    """Reference runs that a published number can be set beside."""
    if published.condition != "clean" or published.clips != "all":
        return None
    runs = reference_of(published.dataset, published.system)
    return runs if runs is not None and published.metric in runs.values else None


def _reached(published: PublishedRow, candidate: Candidate | None = None) -> ReachedNumber | None:
    runs, spread = _runs_of(published), _spread(published)
    if runs is None or spread is None:
        return None
    own = runs.row(published.metric)
    cell = ReachedNumber(
        runs=runs, metric=own.metric, spread=spread, margin=_margin(own, released=False)
    )
    if candidate is None:
        return cell
    ours = candidate.ours(own)
    reasons = (*differences(own, candidate), *shortfalls(ours))
    if reasons:
        return dataclasses.replace(cell, verdict="not comparable", reason="; ".join(reasons))
    found = beside_runs(ours.values, cell.values)
    return dataclasses.replace(
        cell,
        gap=found,
        ours=ours.values,
        verdict=_verdict(found, cell.margin, own.metric, released=False),
        remarks=tuple(remarks(own, ours)),
    )


def drifts(cells: Iterable[ReproducedNumber]) -> tuple[Drift, ...]:
    """Lines whose gaps point one way together, with three comparable metrics or more.

    Six small gaps in one direction are no noise, though each alone may be. Metrics of the same
    predictions depend on each other, so runs are judged whole: ``harness.stats.reproduction``.
    """
    groups: dict[tuple[object, ...], list[ReproducedNumber]] = {}
    for cell in cells:
        if cell.ours is not None and not cell.ours.released:
            ours = cell.ours
            key = (*cell.published.line, ours.suite, ours.label, ours.corpus)
            groups.setdefault(key, []).append(cell)
    found = (drift for own in groups.values() for drift in _drifts(own))
    return tuple(drift for drift in found if drift.together.drift)


def _drifts(line: list[ReproducedNumber]) -> Iterator[Drift]:
    judged = [cell for cell in line if cell.gap is not None]
    if len(judged) >= _FEWEST_TOGETHER:
        ours = _oriented(judged, [cell.ours.values for cell in judged if cell.ours])
        means = _oriented(judged, [(cell.published.value,) for cell in judged])
        seeds = judged[0].published.seeds
        yield _drift(judged[0], "published", together_with_means(ours, means[0], seeds))
    reached = [cell for cell in line if cell.reached is not None and cell.reached.gap is not None]
    if len(reached) >= _FEWEST_TOGETHER:
        ours = _oriented(reached, [cell.reached.ours for cell in reached if cell.reached])
        theirs = _oriented(reached, [cell.reached.values for cell in reached if cell.reached])
        yield _drift(reached[0], "released code", together_with_runs(ours, theirs))


def _oriented(
    cells: Iterable[ReproducedNumber], values: Iterable[tuple[float, ...]]
) -> NDArray[np.float64]:
    """(runs, metrics) values, the larger the better."""
    signs = [1.0 if metrics[cell.published.metric].higher_is_better else -1.0 for cell in cells]
    return np.array(list(values), dtype=np.float64).T * signs


def _drift(
    cell: ReproducedNumber, target: Literal["published", "released code"], together: Together
) -> Drift:
    assert cell.ours is not None
    return Drift(published=cell.published, ours=cell.ours, target=target, together=together)


def as_records(cells: Iterable[ReproducedNumber]) -> list[dict[str, Json]]:
    """One record per cell with stable keys, numbers unrounded, None for what there is not."""
    cells = tuple(cells)
    together: dict[tuple[object, str], Together] = {
        (drift.published.line, drift.target): drift.together for drift in drifts(cells)
    }
    return [_record(cell, together) for cell in cells]


def _record(
    cell: ReproducedNumber, together: Mapping[tuple[object, str], Together]
) -> dict[str, Json]:
    row, ours = cell.published, cell.ours
    return {
        "table": row.table,
        "dataset": row.dataset,
        "system": row.system or None,
        "title": row.title,
        "metric": row.metric,
        "convention": row.convention or None,
        "condition": row.condition,
        "clips": row.clips,
        "published": row.value,
        "printed": row.printed,
        "published_seeds": row.seeds,
        "published_selection": row.selection or None,
        "published_device": row.device or None,
        "ours": ours.mean if ours and not math.isnan(ours.mean) else None,
        "seeds": len(ours.values) if ours else 0,
        "collapsed": ours.collapsed if ours else None,
        "selection": ours.selection if ours else None,
        "device": ours.device if ours else None,
        "quirk": (ours.quirk or None) if ours else None,
        **_gap_record(cell.gap),
        "margin": cell.margin,
        "verdict": cell.verdict,
        "reason": cell.reason,
        "unstated": list(cell.unstated),
        "remarks": list(cell.remarks),
        "together": _together_record(together.get((row.line, "published"))),
        "reached": _reached_record(cell.reached, together.get((row.line, "released code"))),
        "suite": ours.suite if ours else None,
        "row": ours.label if ours else None,
        "weights": ours.weights if ours else None,
        "corpus": ours.corpus if ours else None,
    }


def _gap_record(gap: SeedGap | None) -> dict[str, Json]:
    low, high = gap.interval() if gap else (None, None)
    return {"gap": gap.effect if gap else None, "low": low, "high": high}


def _together_record(found: Together | None) -> dict[str, Json] | None:
    if found is None:
        return None
    return {**dataclasses.asdict(found), "drift": found.drift}


def _reached_record(
    reached: ReachedNumber | None, together: Together | None
) -> dict[str, Json] | None:
    if reached is None:
        return None
    return {
        "source": reached.runs.source,
        "code": reached.runs.code,
        "device": reached.runs.device,
        "selection": reached.runs.selection or None,
        "features": reached.runs.features or None,
        "mean": reached.mean,
        "sd": reached.sd,
        "seeds": reached.spread.runs,
        "collapsed": reached.spread.collapsed,
        **_gap_record(reached.gap),
        "margin": reached.margin,
        "verdict": reached.verdict,
        "reason": reached.reason,
        "remarks": list(reached.remarks),
        "together": _together_record(together),
    }
