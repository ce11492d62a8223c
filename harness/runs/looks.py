"""Looking several times: the level of a look, and what it leaves undecided.

A suite may add seeds until it is decided. At which numbers of seeds it is looked is declared before
the first run and stored with the plan; every claim about such a suite is at the level of the look
that it has reached (``harness.stats.sequential``), so that a false claim at any look stays as rare
as it would be with one look.

What is asked is asked of the selection metric, on every corpus, among rows that know the same
things:

``best``
    One row could be best, or all that could be are equivalent within the declared margin.
a row's label
    Every other ranked row is significantly better or worse than it, or equivalent to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.data.datasets import datasets
from harness.errors import SpecError, StoreError
from harness.runs.compared import Compared
from harness.runs.labels import predictions_of, stored_labels
from harness.runs.store import RunStore
from harness.runs.stored_plan import PlannedCorpus, PlannedLooks, PlannedRow, StoredPlan
from harness.stats import Ranking, fields_of, levels, rank

__all__ = [
    "BEST",
    "Contest",
    "Look",
    "Until",
    "contests",
    "level_of",
    "look_of",
    "shown",
    "still_open",
]

BEST = "best"
"""What is asked unless a row is named."""


@dataclass(frozen=True, kw_only=True)
class Until:
    """Add seeds until it is decided.

    Args:
        looks: Numbers of seeds at which to look, rising; None: those that the suite has declared,
            else ``harness.stats.LOOKS``. Looks beyond the list of seeds are moved to its end.
        decide: ``best``, or the label of the row to compare the others with; None: what the suite
            has declared, else ``best``.
    """

    looks: tuple[int, ...] | None = None
    decide: str | None = None


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look at a suite, about to be run or done.

    Args:
        looks: All that are declared.
        seeds: The one that this is.
        level: Of its tests.
        decide: What is asked.
        undecided: Corpus -> what it leaves open there; None before it was run.
    """

    looks: tuple[int, ...]
    seeds: int
    level: float
    decide: str
    undecided: Mapping[str, str] | None = None

    @property
    def decided(self) -> bool:
        """Whether nothing is left open."""
        return self.undecided is not None and not self.undecided


@dataclass(frozen=True, kw_only=True)
class Contest:
    """Rows that are compared with each other.

    Args:
        corpus: Where.
        rows: Their labels, two or more.
    """

    corpus: PlannedCorpus
    rows: tuple[str, ...]


def level_of(planned: PlannedLooks) -> float:
    """The level of every claim about a suite at the look that it has reached.

    Raises:
        StoreError: For a record whose look is none of its looks.

    Example:
        >>> round(level_of(PlannedLooks(looks=(3, 5, 10), decide="best", look=5)), 3)
        0.014
    """
    if planned.look not in planned.looks:
        raise StoreError(
            f"a plan is at a look of {planned.look} seeds, but declares looks at"
            f" {', '.join(map(str, planned.looks))}",
            hint=StoredPlan.hint,
        )
    return levels(planned.looks)[planned.looks.index(planned.look)]


def look_of(planned: PlannedLooks) -> Look:
    """The look that a suite has reached; what it leaves open is not in the record.

    Raises:
        StoreError: As ``level_of``.
    """
    return Look(
        looks=planned.looks, seeds=planned.look, level=level_of(planned), decide=planned.decide
    )


def shown(level: float) -> str:
    """A level as people read it.

    Example:
        >>> shown(0.0137)
        '.014'
    """
    return f"{level:.3f}".lstrip("0")


def contests(plan: StoredPlan, decide: str) -> tuple[Contest, ...]:
    """Who is compared with whom when it is asked ``decide``.

    Raises:
        SpecError: For a row that is not compared with any, or when there is nothing to compare.
    """
    ranked = [row for row in plan.rows if not row.reference and row.released is None]
    if decide != BEST and decide not in {row.label for row in ranked}:
        known = ", ".join(repr(row.label) for row in ranked)
        raise SpecError(
            f"suite {plan.suite} compares no row {decide!r} with others (rows: {known})",
            hint="--decide takes best, or one of these",
        )
    every = [one for corpus in plan.corpora for one in _on(plan, corpus, ranked)]
    found = tuple(one for one in every if decide == BEST or decide in one.rows)
    if not found:
        raise SpecError(
            f"there is nothing to decide in suite {plan.suite}: no corpus has two rows to compare"
            + ("" if decide == BEST else f", {decide!r} one of them")
        )
    return found


def _on(plan: StoredPlan, corpus: PlannedCorpus, ranked: Sequence[PlannedRow]) -> Iterator[Contest]:
    """The rows on one corpus that know the same things, where there are two."""
    here = {cell.label for cell in plan.cells if cell.corpus == corpus.name and cell.key}
    tracks: dict[object, list[str]] = {}
    for row in ranked:
        knows = (row.side_info, row.knowledge, row.training_corruption, row.supervision)
        if row.label in here:
            tracks.setdefault(knows, []).append(row.label)
    yield from (Contest(corpus=corpus, rows=tuple(t)) for t in tracks.values() if len(t) > 1)


def still_open(plan: StoredPlan, store: RunStore) -> dict[str, str]:
    """What a look leaves undecided; all its runs are stored.

    Args:
        plan: Of a suite that adds seeds until it is decided.
        store: Where the runs are.

    Returns:
        Corpus -> what is open there; nothing where it is decided.
    """
    assert plan.until is not None
    level, decide = level_of(plan.until), plan.until.decide
    found: dict[str, str] = {}
    for contest in contests(plan, decide):
        ranking = _ranking(plan, contest, store, level)
        words = _best_open(ranking) if decide == BEST else _row_open(ranking, decide)
        if words:
            name = contest.corpus.name
            found[name] = "; ".join(filter(None, (found.get(name, ""), words)))
    return found


def _ranking(plan: StoredPlan, contest: Contest, store: RunStore, level: float) -> Ranking:
    corpus = contest.corpus
    truth = stored_labels(store, corpus.data, datasets[corpus.dataset])
    keys = {
        label: [c.key for c in plan.cells if (c.corpus, c.label) == (corpus.name, label) and c.key]
        for label in contest.rows
    }
    preds = {
        label: np.stack([predictions_of(store.get(key), truth) for key in own])
        for label, own in keys.items()
    }
    metric = plan.protocol.selection_metric
    fields = fields_of(preds, truth.labels, truth.videos, [metric], dataset=truth.dataset)
    return rank(fields[metric], level, tests=Compared(store).tests)


def _best_open(ranking: Ranking) -> str:
    """Which rows could be best, unless it is one or they are all equivalent."""
    rows = [name for name in ranking.names if name in ranking.could_be_best]
    pairs = [pair for pair in ranking.pairs if {pair.a, pair.b} <= ranking.could_be_best]
    equivalent = all(p.verdict(ranking.alpha) in ("equivalent", "negligible") for p in pairs)
    if len(rows) == 1 or (rows and equivalent):
        return ""
    return f"{len(rows)} rows could be best: {', '.join(rows)}" if rows else "no row is defined"


def _row_open(ranking: Ranking, label: str) -> str:
    """From which rows that one is not told apart."""
    own = [pair for pair in ranking.pairs if label in (pair.a, pair.b)]
    if not own:
        return f"{label} is compared with no row: its {ranking.metric} is undefined, or all others'"
    rows = [
        pair.b if pair.a == label else pair.a
        for pair in own
        if pair.verdict(ranking.alpha) == "undecided"
    ]
    return f"{label} is not told apart from {', '.join(rows)}" if rows else ""
