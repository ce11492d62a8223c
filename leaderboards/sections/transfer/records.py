"""Domain generalisation as data: one record per algorithm and family, numbers unrounded."""

from __future__ import annotations

from collections.abc import Mapping

from harness._util.canonical import Json
from harness.stats.estimate import Estimate
from harness.stats.surface import Extreme
from leaderboards.model import Board
from leaderboards.sections.transfer.analysis import (
    Standing,
    TransferContest,
    Versus,
    WorstDifference,
    contests_of,
)

__all__ = ["records"]


def records(board: Board) -> list[dict[str, Json]]:
    """Standings in board order, then in-domain bounds; nothing for boards without transfers."""
    return [
        _record(contest, standing, bound=bound)
        for contest in contests_of(board)
        for bound, standings in ((False, contest.standings), (True, contest.bounds))
        for standing in standings
    ]


def _record(contest: TransferContest, standing: Standing, *, bound: bool) -> dict[str, Json]:
    ranking = None if bound else contest.rankings.get(standing.track)
    ranked = ranking is not None and standing.algorithm in ranking.names
    versus = {} if bound else {found.algorithm: found for found in contest.versus}
    return {
        "family": contest.family.title,
        "algorithm": standing.algorithm,
        "bound": bound,
        "stratum": standing.track.title,
        "settings": standing.pick.settings,
        "rank": list(ranking.rank_of(standing.algorithm)) if ranking and ranked else None,
        "could_be_best": standing.algorithm in ranking.could_be_best
        if ranking and ranked
        else None,
        "about": "checkpoints" if standing.is_checkpoint else "systems",
        "mean": _estimate(standing.mean),
        "worst": _extreme(standing.worst),
        "worst_target": standing.worst_target or None,
        "transfers": _estimates(standing.by_transfer),
        "recalibrated": _estimates(standing.recalibrated),
        "rules": {str(rule): error for rule, error in standing.by_rule.items()},
        "versus": _versus(versus.get(standing.algorithm)),
    }


def _versus(found: Versus | None) -> Json:
    if found is None:
        return None
    return {
        "baseline": found.baseline,
        "mean": _estimate(found.mean),
        "worst": _extreme(found.worst),
        "transfers": _estimates(found.by_transfer),
        "p_holm": found.p_holm,
        "about": "checkpoints" if found.of_checkpoints else "systems",
    }


def _estimates(found: Mapping[str, Estimate]) -> dict[str, Json]:
    return {corpus: _estimate(estimate) for corpus, estimate in found.items()}


def _estimate(estimate: Estimate | None) -> Json:
    if estimate is None:
        return None
    low, high = estimate.reference.interval()
    return {"value": estimate.value, "low": low, "high": high}


def _extreme(found: Extreme | WorstDifference | None) -> Json:
    return None if found is None else {"value": found.value, "low": found.low, "high": found.high}
