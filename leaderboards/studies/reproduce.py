"""Published numbers beside ours: the gap, its interval, and whether the two may be compared.

Both were measured on the same test clips, so only training seeds make them differ. Ours comes from
the run store, scored as the source scores; a number that any *known* difference sets apart from
ours (features, text encoder, side information, selection, changed hyper-parameters) gets no gap.
What the source leaves unsaid is no obstacle but is said. Of several rows of a system, a comparable
one speaks for it, then the one with most runs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from harness._util.canonical import Json
from harness.runs.store import RunStore
from harness.stats import declared_margin
from leaderboards.literature import PublishedRow
from leaderboards.model import Grid, Row, gather

__all__ = [
    "VERDICTS",
    "Gap",
    "Ours",
    "ReproducedNumber",
    "Verdict",
    "as_records",
    "gap",
    "reproduce",
]

Verdict = Literal["reproduced", "differs", "not comparable", "not run"]
VERDICTS: tuple[Verdict, ...] = ("reproduced", "differs", "not comparable", "not run")

_SELECTED = {"test": "selected on test there", "best run": "best of several runs there"}


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Ours minus published.

    Args:
        effect: Difference of the two means.
        low: Lower end of its interval.
        high: Upper end.
    """

    effect: float
    low: float
    high: float

    def within(self, margin: float) -> bool:
        """Whether the interval holds 0, or the difference is at most ``margin``."""
        return self.low <= 0.0 <= self.high or abs(self.effect) <= margin + 1e-12


def gap(
    values: Sequence[float],
    published: float,
    published_seeds: int | None = None,
    confidence: float = 0.95,
) -> Gap:
    """Our mean minus a published mean, with a t interval over training seeds.

    Our deviation stands for theirs, which is rarely printed: the half width is
    t(S - 1) · sd · √(1/S + 1/P) for our S seeds and their P.

    Args:
        values: One of ours per seed, at least two.
        published: Their mean.
        published_seeds: P; None is taken as one run, the widest interval.
        confidence: Of the interval.

    Raises:
        ValueError: For fewer than two values: one run has no deviation.

    Example:
        >>> found = gap([0.7, 0.8, 0.9], 0.5, published_seeds=3)
        >>> round(found.effect, 3), round(found.low, 3), round(found.high, 3)
        (0.3, -0.051, 0.651)
    """
    ours, seeds = np.asarray(values, dtype=np.float64), len(values)
    if seeds < 2:
        raise ValueError("an interval over seeds needs two runs at least")
    spread = float(ours.std(ddof=1)) * math.sqrt(1 / seeds + 1 / (published_seeds or 1))
    half = float(stdtrit(seeds - 1, (1 + confidence) / 2)) * spread
    effect = float(ours.mean()) - published
    return Gap(effect=effect, low=effect - half, high=effect + half)


@dataclass(frozen=True, kw_only=True)
class Ours:
    """A row of a suite that has runs of the published system on the same dataset.

    Args:
        suite: Name of the suite.
        label: The row's name in it.
        corpus: ``dataset@feature-set``.
        values: The metric of each seed, as the source computes it; NaN where undefined.
    """

    suite: str
    label: str
    corpus: str
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over seeds, NaN when any is undefined."""
        return float(np.mean(self.values))


@dataclass(frozen=True, kw_only=True)
class ReproducedNumber:
    """One published number and what came of it.

    Args:
        published: The number.
        verdict: ``reproduced`` says "not contradicted": a wide interval holds 0 easily.
        reason: Why the two cannot be compared, or why there is nothing to compare.
        ours: The row that speaks for the system, None when not run.
        gap: None unless comparable.
        unstated: What the source does not say and may explain a difference.
    """

    published: PublishedRow
    verdict: Verdict
    reason: str = ""
    ours: Ours | None = None
    gap: Gap | None = None
    unstated: tuple[str, ...] = ()

    @property
    def margin(self) -> float:
        """The larger of the declared equivalence margin and the rounding of the printed digits."""
        row = self.published
        return max(declared_margin(row.dataset, row.metric) or 0.0, row.rounding)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Candidate:
    """A row with runs, where it stands."""

    suite: str
    grid: Grid
    row: Row

    @property
    def side_info(self) -> str:
        """Also what it learned from, as published tables have no column for that."""
        known = (self.row.side_info, self.row.knowledge)
        return ", ".join(item for item in known if item != "none") or "none"

    @property
    def features(self) -> str:
        return self.grid.corpus.name.partition("@")[2]

    @property
    def text(self) -> str:
        names = [facts.encoder for facts in self.row.facts if facts.encoder]
        encoders = sorted({name.rpartition("/")[2] for name in names})  # without owner or folder
        return ": ".join(part for part in (self.row.text, ", ".join(encoders)) if part)


def reproduce(store: RunStore, rows: Iterable[PublishedRow]) -> tuple[ReproducedNumber, ...]:
    """What the store says to each published number, in their order.

    Raises:
        StoreError: When a stored plan or run is damaged.
    """
    rows = tuple(rows)
    candidates = tuple(_candidates(store, {row.system for row in rows} - {""}))
    return tuple(_cell(row, candidates) for row in rows)


def _candidates(store: RunStore, systems: set[str]) -> Iterator[_Candidate]:
    """Rows of these systems on real corpora that have runs."""
    for suite in store.plans():
        if systems.isdisjoint(row.system for row in store.plan(suite).rows):
            continue  # gathering scores every run
        board = gather(store, suite)
        for grid in board.grids:
            rows = () if grid.corpus.twin else grid.rows
            for row in rows:
                if row.runs and row.system in systems:
                    yield _Candidate(suite=suite, grid=grid, row=row)


def _cell(published: PublishedRow, candidates: Iterable[_Candidate]) -> ReproducedNumber:
    fitting = (
        _compare(published, candidate)
        for candidate in candidates
        if candidate.row.system == published.system
        and candidate.grid.corpus.dataset.name == published.dataset
    )
    nothing = "" if published.system else "no such system here"
    not_run = ReproducedNumber(published=published, verdict="not run", reason=nothing)
    return min(fitting, key=_merit, default=not_run)


def _merit(cell: ReproducedNumber) -> tuple[bool, int, str, str, str]:
    assert cell.ours is not None
    ours = cell.ours
    return cell.gap is None, -len(ours.values), ours.suite, ours.label, ours.corpus


def _compare(published: PublishedRow, candidate: _Candidate) -> ReproducedNumber:
    ours = Ours(
        suite=candidate.suite,
        label=candidate.row.label,
        corpus=candidate.grid.corpus.name,
        values=_scores(published, candidate),
    )
    reasons = (*_differences(published, candidate), *_shortfalls(ours))
    if reasons:
        return ReproducedNumber(
            published=published, verdict="not comparable", reason="; ".join(reasons), ours=ours
        )
    found = gap(ours.values, published.value, published.seeds)
    cell = ReproducedNumber(
        published=published,
        verdict="differs",
        ours=ours,
        gap=found,
        unstated=tuple(_unstated(published)),
    )
    return dataclasses.replace(cell, verdict="reproduced") if found.within(cell.margin) else cell


def _scores(published: PublishedRow, candidate: _Candidate) -> tuple[float, ...]:
    score, labels = published.definition, candidate.grid.truth.labels
    return tuple(score(run.pred, labels) for run in candidate.row.runs)


def _differences(published: PublishedRow, candidate: _Candidate) -> Iterator[str]:
    """Known differences besides the training seeds."""
    corpus = candidate.grid.corpus
    if published.condition != "clean":
        yield f"there: {published.condition}"
    if published.selection in _SELECTED:
        yield _SELECTED[published.selection]
    if (published.side_info or "none") != candidate.side_info:
        theirs = published.side_info or "none"
        yield f"side information: {theirs} there, {candidate.side_info} here"
    if not corpus.official:
        yield "own split here"
    for what, theirs, ours in (
        ("features", published.features, candidate.features),
        ("text", published.text, candidate.text),
    ):
        if theirs and theirs != ours:
            yield f"{what}: {theirs} there, {ours} here"
    changed = sorted(candidate.row.changed.keys() - {"encoder"})  # the text encoder is compared
    if changed:
        yield f"changed here: {', '.join(changed)}"


def _shortfalls(ours: Ours) -> Iterator[str]:
    undefined = sum(map(math.isnan, ours.values))
    if undefined:
        yield f"undefined in {undefined} of {len(ours.values)} runs here"
    if len(ours.values) == 1:
        yield "one run here"


def _unstated(published: PublishedRow) -> Iterator[str]:
    """What may set the source apart and is not known to."""
    if not published.selection:
        yield "selection"
    if not published.features:
        yield "features"
    if not published.text:
        yield "text encoder"
    if not published.convention and published.metric.startswith("f1"):
        yield "F1 weighting"
    if published.seeds is None:
        yield "number of runs, taken as one"


def as_records(cells: Iterable[ReproducedNumber]) -> list[dict[str, Json]]:
    """One record per cell with stable keys, numbers unrounded, None for what there is not."""
    return [_record(cell) for cell in cells]


def _record(cell: ReproducedNumber) -> dict[str, Json]:
    row, ours = cell.published, cell.ours
    return {
        "table": row.table,
        "dataset": row.dataset,
        "system": row.system or None,
        "title": row.title,
        "metric": row.metric,
        "convention": row.convention or None,
        "published": row.value,
        "printed": row.printed,
        "published_seeds": row.seeds,
        "ours": ours.mean if ours and not math.isnan(ours.mean) else None,
        "seeds": len(ours.values) if ours else 0,
        "gap": cell.gap.effect if cell.gap else None,
        "low": cell.gap.low if cell.gap else None,
        "high": cell.gap.high if cell.gap else None,
        "margin": cell.margin,
        "verdict": cell.verdict,
        "reason": cell.reason,
        "unstated": list(cell.unstated),
        "suite": ours.suite if ours else None,
        "row": ours.label if ours else None,
        "corpus": ours.corpus if ours else None,
    }
