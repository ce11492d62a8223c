"""Domain generalisation as tables of text.

Every number is an MAE on labels in [-1, 1]: the mean over seeds, with its 95 % interval.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness._util.printed import defined
from harness.data.datasets import datasets
from harness.metrics import metrics
from harness.stats.estimate import Estimate
from leaderboards.document import Table, left, right
from leaderboards.model import Track
from leaderboards.numbers import EMPTY, UNDEFINED, bounds, number, rank_set
from leaderboards.sections._rows import encoded, numbered, seeds
from leaderboards.sections.transfer.analysis import Standing, TransferContest
from leaderboards.sections.transfer.picks import RULES

__all__ = ["recalibrated", "rules", "standings", "versus"]

_MAE = metrics["mae"]
_CHECKPOINTS = "one run of a system that seeds change: of these checkpoints, not of the systems"


def standings(contest: TransferContest, track: Track) -> Table:
    """The algorithms that knew the same, with the constants and the in-domain bounds.

    Bounds have no rank: they saw the target's training clips.
    """
    own = [s for s in contest.standings if s.pick.row.reference or s.track == track]
    bounds = [s for s in contest.bounds if s.track == track]
    grids, home = contest.family.grids, contest.family.bounds
    names = [grid.corpus.name for grid in grids]
    targets = [grid.corpus.dataset.target for grid in grids]
    at_home = [home[target].corpus.name if target in home else "" for target in targets]
    return Table(
        columns=(
            *left("Algorithm", "Text"),
            *right("Seeds", "Rank", "Mean over targets ↓", "Worst target ↓", *_titles(contest)),
        ),
        rows=(
            *(_standing(s, s.algorithm, _rank(contest, s), names) for s in own),
            *(_standing(s, f"in-domain bound: {s.algorithm}", EMPTY, at_home) for s in bounds),
        ),
    )


def _standing(standing: Standing, name: str, rank: str, places: Sequence[str]) -> tuple[str, ...]:
    row, found = standing.pick.row, standing.by_transfer
    worst = EMPTY
    if (most := standing.worst) is not None:
        shown = f"{number(most.value, _MAE)} {bounds(most.low, most.high, _MAE)}"
        worst = f"{shown}, {datasets[standing.worst_target].title}"
    cells = (_estimate(found.get(place)) for place in places)
    return (name, encoded(row), seeds(row), rank, _estimate(standing.mean), worst, *cells)


def _rank(contest: TransferContest, standing: Standing) -> str:
    """Rank set in the mean over targets."""
    ranking = contest.rankings.get(standing.track)
    if ranking is None or standing.algorithm not in ranking.names:
        return EMPTY
    return rank_set(ranking.rank_of(standing.algorithm))


def versus(contest: TransferContest) -> Table:
    """Every algorithm less ERM: below 0 is better than plain training."""
    notes: list[str] = []
    marks = [numbered([_CHECKPOINTS] if v.of_checkpoints else [], notes) for v in contest.versus]
    return Table(
        columns=(
            *left("Algorithm - ERM"),
            *right("Mean over targets", "p, Holm", "Worst target", *_titles(contest)),
        ),
        rows=tuple(
            (
                f"{found.algorithm} - {found.baseline}{mark}",
                _difference(found.mean),
                _p(found.p_holm),
                _signed(found.worst.value, found.worst.low, found.worst.high),
                *(_difference(found.by_transfer[g.corpus.name]) for g in contest.family.grids),
            )
            for found, mark in zip(contest.versus, marks, strict=True)
        ),
        notes=tuple(notes),
    )


def recalibrated(contest: TransferContest) -> Table:
    """MAE as predicted, and through the line that fits the sources' validation clips."""
    return Table(
        columns=(*left("Algorithm"), *right(*_titles(contest))),
        rows=tuple(
            (
                standing.algorithm,
                *(_recalibrated(standing, grid.corpus.name) for grid in contest.family.grids),
            )
            for standing in contest.standings
            if not standing.pick.row.reference
        ),
    )


def _recalibrated(standing: Standing, corpus: str) -> str:
    if corpus not in standing.by_transfer:
        return EMPTY
    before, after = standing.by_transfer[corpus].value, standing.recalibrated[corpus].value
    return f"{number(before, _MAE)} → {number(after, _MAE)}"


def rules(contest: TransferContest) -> Table:
    """Mean over targets under each rule of selection; the oracle saw the test labels."""
    return Table(
        columns=(*left("Algorithm"), *right("Settings tried", *map(str.capitalize, RULES))),
        rows=tuple(
            (
                standing.algorithm,
                str(standing.pick.settings),
                *(
                    number(standing.by_rule[rule], _MAE) if rule in standing.by_rule else EMPTY
                    for rule in RULES
                ),
            )
            for standing in contest.standings
            if standing.by_rule and not standing.pick.row.reference
        ),
    )


def _titles(contest: TransferContest) -> tuple[str, ...]:
    """Transfers as headings: the sources short, the target in full."""
    found = (grid.corpus.dataset for grid in contest.family.grids)
    return tuple(f"{'+'.join(d.sources)} → {datasets[d.target].title} ↓" for d in found)


def _estimate(estimate: Estimate | None) -> str:
    if estimate is None:
        return EMPTY
    return f"{number(estimate.value, _MAE)} {bounds(*estimate.reference.interval(), _MAE)}"


def _difference(estimate: Estimate) -> str:
    return _signed(estimate.value, *estimate.reference.interval())


def _signed(value: float, low: float, high: float) -> str:
    return f"{number(value, _MAE, signed=True)} {bounds(low, high, _MAE, signed=True)}"


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else defined(value, ".3f", UNDEFINED).removeprefix("0")
