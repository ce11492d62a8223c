"""Domain generalisation in numbers: every transfer, the mean over targets, the worst target.

All transfers to one target share the videos of its test split; different targets are independent,
and so are the seeds of each algorithm on each transfer. A target that several transfers lead to
counts once: they are averaged first.

Shapes: S seeds, N test clips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.data.datasets import datasets
from harness.metrics import metrics
from harness.stats import Field, Ranking, holm, pair, rank
from harness.stats.estimate import Estimate, estimate, mean_of
from harness.stats.jackknife import values_and_pseudo_values
from harness.stats.surface import Extreme, largest
from leaderboards.model import Board, Grid, Track, has_transfers, once, plain_first
from leaderboards.sections.transfer.picks import RULES, Family, Pick, Rule, Transfers, collect

__all__ = ["Standing", "TransferContest", "Versus", "WorstDifference", "contests", "contests_of"]

_MAE = metrics["mae"]
_VALIDATED = RULES[0]


@dataclass(frozen=True, kw_only=True)
class WorstDifference:
    """The worst target of one algorithm less that of another one.

    It lies between the smallest and the largest difference on a target, so that its interval runs
    from the lowest to the highest end of simultaneous 95 % bands of those: it is conservative.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Standing:
    """One algorithm over the transfers of a family, in MAE on labels in [-1, 1].

    Args:
        algorithm: Its name.
        pick: On the transfer that lacks most of its runs, the first one if none lacks any.
        by_transfer: Corpus -> MAE; transfers it has no run on are absent.
        by_target: Target -> mean over the transfers that lead to it.
        recalibrated: Corpus -> MAE of recalibrated predictions.
        mean: Over targets; None unless it is complete on all of them.
        worst: Of the worst target, with an interval for whichever is truly worst; None likewise.
        worst_target: Which that is.
        by_rule: Rule -> mean over targets; rules that do not apply everywhere are absent.
        compared: Whether it is complete, and no constant.
    """

    algorithm: str
    pick: Pick
    by_transfer: Mapping[str, Estimate]
    by_target: Mapping[str, Estimate]
    recalibrated: Mapping[str, Estimate]
    mean: Estimate | None
    worst: Extreme | None
    worst_target: str
    by_rule: Mapping[Rule, float]
    compared: bool

    @property
    def seeds(self) -> int:
        """Runs of each transfer."""
        return len(self.pick.pred[_VALIDATED]) if self.pick.pred else 0

    @property
    def is_checkpoint(self) -> bool:
        """Whether it ran once although seeds change it: it is compared, and never ranked."""
        return self.seeds == 1 and not self.pick.row.deterministic

    @property
    def ranked(self) -> bool:
        """Whether it has a rank."""
        return self.compared and not self.is_checkpoint

    @property
    def track(self) -> Track:
        """What it knew; those that know different things are never ranked together."""
        return self.pick.row.track


@dataclass(frozen=True, kw_only=True, eq=False)
class Versus:
    """An algorithm less ERM with the same network; below 0 the algorithm is better."""

    algorithm: str
    baseline: str
    by_transfer: Mapping[str, Estimate]
    mean: Estimate
    worst: WorstDifference
    p_holm: float
    """Of the mean, adjusted for all algorithms of the family."""
    of_checkpoints: bool
    """Whether a side ran once although seeds change it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TransferContest:
    """A family with its standings.

    Args:
        family: The transfers.
        standings: Constants first, then by mean over targets, incomplete ones last.
        bounds: The same algorithms trained on each target's own training split.
        rankings: Track -> rank sets of the mean over targets, for two complete algorithms or
            more.
        versus: Every algorithm that is not ERM itself against ERM.
    """

    family: Family
    standings: tuple[Standing, ...]
    bounds: tuple[Standing, ...]
    rankings: Mapping[Track, Ranking]
    versus: tuple[Versus, ...]


@once
def contests_of(board: Board) -> tuple[TransferContest, ...]:
    """Transfers compared; seconds. Empty on any other board."""
    if not has_transfers(board):
        return ()
    return contests(collect(board.store, board.grids))


def contests(transfers: Transfers) -> tuple[TransferContest, ...]:
    """Analyse every family."""
    return tuple(_contest(transfers, family) for family in transfers.families)


def _contest(transfers: Transfers, family: Family) -> TransferContest:
    estimates = _Estimates(transfers, family)
    bounds = tuple(family.bounds[t] for t in family.targets if t in family.bounds)
    found = {grid.corpus.name: transfers.picks[grid.corpus.name] for grid in family.grids}
    names = dict.fromkeys(name for picks in found.values() for name in picks)
    standings = sorted((estimates.standing(n, family.grids) for n in names), key=_place)
    compared = [standing for standing in standings if standing.compared]
    contestants = [s for s in standings if not s.pick.row.reference]
    return TransferContest(
        family=family,
        standings=tuple(standings),
        bounds=tuple(estimates.standing(s.algorithm, bounds) for s in contestants if bounds),
        rankings=_rankings([s for s in compared if s.ranked], family),
        versus=_versus(compared),
    )


def _place(standing: Standing) -> tuple[int, float]:
    """Constants first, then by mean over targets, incomplete ones last."""
    if standing.mean is None:
        return 2, 0.0
    return (0 if standing.pick.row.reference else 1), standing.mean.value


class _Estimates:
    """Everything on the targets of a family, with what it varies by.

    Args:
        transfers: What counts.
        family: Whose transfers and bounds.
    """

    def __init__(self, transfers: Transfers, family: Family) -> None:
        self._transfers, self._family = transfers, family
        self._found: dict[tuple[str, str, bool], Estimate] = {}
        for target in family.targets:
            grids = [g for g in family.grids if g.corpus.dataset.target == target]
            for grid in (*grids, *filter(None, [family.bounds.get(target)])):
                self._add(target, grid)

    def _add(self, target: str, grid: Grid) -> None:
        """Everything tested on one target shares its videos; runs are those of one transfer."""
        dataset, corpus = datasets[f"{target}-to-{target}"], grid.corpus.name
        for algorithm, pick in self._transfers.picks[corpus].items():
            if not pick.pred:
                continue
            for runs, through in ((pick.pred[_VALIDATED], False), (pick.recalibrated, True)):
                test = pair(runs, runs, grid.truth.labels, grid.truth.videos, dataset)
                found = values_and_pseudo_values(
                    test.a, test.truth, test.clusters, _MAE.on(dataset)
                )
                self._found[corpus, algorithm, through] = estimate(
                    *found, test.sizes, runs=f"{algorithm} on {corpus}", videos=target
                )

    def standing(self, algorithm: str, grids: Sequence[Grid]) -> Standing:
        """The algorithm over some transfers, or over some bounds."""
        picks = {g.corpus.name: self._transfers.picks[g.corpus.name].get(algorithm) for g in grids}
        there = {name: pick for name, pick in picks.items() if pick is not None and pick.pred}
        found = {name: self._found[name, algorithm, False] for name in there}
        targets = {g.corpus.name: g.corpus.dataset.target for g in grids}
        whole = len(there) == len(grids) and not any(pick.missing for pick in there.values())
        complete = whole and set(targets.values()) == set(self._family.targets)
        by_target = {
            target: mean_of([found[name] for name in there if targets[name] == target])
            for target in dict.fromkeys(targets[name] for name in there)
        }
        pick = max(filter(None, picks.values()), key=lambda pick: pick.missing)
        worst = largest(list(by_target.values())) if complete else None
        return Standing(
            algorithm=algorithm,
            pick=pick,
            by_transfer=found,
            by_target=by_target,
            recalibrated={name: self._found[name, algorithm, True] for name in there},
            mean=mean_of(list(by_target.values())) if complete else None,
            worst=worst,
            worst_target="" if worst is None else list(by_target)[worst.place],
            by_rule=_by_rule(there, grids) if complete else {},
            compared=complete and not pick.row.reference,
        )


def _by_rule(picks: Mapping[str, Pick], grids: Sequence[Grid]) -> dict[Rule, float]:
    """Mean over targets under each rule that applies to all transfers."""
    found: dict[Rule, float] = {}
    for rule in RULES:
        if any(rule not in pick.pred for pick in picks.values()):
            continue
        errors: dict[str, list[float]] = {}
        for grid in grids:
            error = np.abs(picks[grid.corpus.name].pred[rule] - grid.truth.labels).mean()
            errors.setdefault(grid.corpus.dataset.target, []).append(float(error))
        found[rule] = float(np.mean([np.mean(values) for values in errors.values()]))
    return found


def _rankings(ranked: Sequence[Standing], family: Family) -> dict[Track, Ranking]:
    """Rank sets of the mean over targets, within each track."""
    found = {}
    for track in plain_first(standing.track for standing in ranked):
        own = [(s, s.mean) for s in ranked if s.track == track and s.mean is not None]
        if len(own) > 1:
            found[track] = rank(
                Field(
                    metric=_MAE,
                    dataset=family.grids[0].corpus.dataset.name,
                    estimates={s.algorithm: mean for s, mean in own},
                    seeds=tuple(s.seeds for s, _ in own),
                )
            )
    return found


def _versus(compared: Sequence[Standing]) -> tuple[Versus, ...]:
    pairs = [(s, erm) for s in compared if (erm := _erm_of(s, compared)) is not None]
    found = [(s, erm, s.mean - erm.mean) for s, erm in pairs if s.mean and erm.mean]
    p_values = holm([mean.reference.p_value() for _, _, mean in found])
    return tuple(
        Versus(
            algorithm=s.algorithm,
            baseline=erm.algorithm,
            by_transfer={name: e - erm.by_transfer[name] for name, e in s.by_transfer.items()},
            mean=mean,
            worst=_worst_difference(s, erm),
            p_holm=float(p),
            of_checkpoints=s.is_checkpoint or erm.is_checkpoint,
        )
        for (s, erm, mean), p in zip(found, p_values, strict=True)
    )


def _worst_difference(one: Standing, other: Standing) -> WorstDifference:
    """Max a - max b lies between min (a - b) and max (a - b)."""
    differences = [found - other.by_target[target] for target, found in one.by_target.items()]
    worst, worst_of_other = (
        max(found.value for found in standing.by_target.values()) for standing in (one, other)
    )
    return WorstDifference(
        value=worst - worst_of_other,
        low=-largest([found * -1.0 for found in differences]).high,
        high=largest(differences).high,
    )


def _erm_of(standing: Standing, compared: Sequence[Standing]) -> Standing | None:
    """Plain training of the same network where a row is called that, else what is called ERM.

    ``ERM`` itself comes before ``ERM (text)``; it is compared with nothing.
    """
    called = [s for s in compared if s.algorithm.split()[0] == "ERM"]
    own = [s for s in called if s.pick.row.system == standing.pick.row.system]
    baseline = min(own or called, key=lambda s: len(s.algorithm), default=None)
    return None if baseline is standing else baseline
