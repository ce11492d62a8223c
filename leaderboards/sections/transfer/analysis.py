"""Domain generalisation in numbers: every transfer, the mean over targets, the worst target.

All transfers to one target are resampled on the same videos of its test split, different targets
independently, seeds within each algorithm and transfer. A target that several transfers lead to
counts once: they are averaged first.

Shapes: S seeds, N test clips, D draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.metrics import metrics
from harness.stats import Distribution, Field, Ranking, draw_fields, holm, rank
from leaderboards.model import DRAWS, Board, Grid, Track, has_transfers, once, plain_first
from leaderboards.sections.transfer.picks import RULES, Family, Pick, Rule, Transfers, collect

__all__ = ["Standing", "TransferContest", "TransferEstimate", "Versus", "contests", "contests_of"]

_MAE = metrics["mae"]
_VALIDATED = RULES[0]


@dataclass(frozen=True, eq=False)
class TransferEstimate:
    """A mean over seeds with its bootstrap draws.

    Args:
        value: The observed one.
        drawn: (D,) draws.
    """

    value: float
    drawn: NDArray[np.float64] = field(repr=False)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval."""
        return Distribution(self.drawn).interval()

    def __sub__(self, other: TransferEstimate) -> TransferEstimate:
        return TransferEstimate(self.value - other.value, self.drawn - other.drawn)


@dataclass(frozen=True, kw_only=True, eq=False)
class Standing:
    """One algorithm over the transfers of a family, in MAE on labels in [-1, 1].

    Args:
        algorithm: Its name.
        pick: On the transfer that lacks most of its runs, the first one if none lacks any.
        by_transfer: Corpus -> MAE; transfers it has no run on are absent.
        recalibrated: Corpus -> MAE of recalibrated predictions.
        mean: Over targets; None unless it is complete on all of them.
        worst: Of the worst target; None likewise.
        worst_target: Which that is.
        by_rule: Rule -> mean over targets; rules that do not apply everywhere are absent.
        ranked: Whether it is compared: complete, and no constant.
    """

    algorithm: str
    pick: Pick
    by_transfer: Mapping[str, TransferEstimate]
    recalibrated: Mapping[str, TransferEstimate]
    mean: TransferEstimate | None
    worst: TransferEstimate | None
    worst_target: str
    by_rule: Mapping[Rule, float]
    ranked: bool

    @property
    def track(self) -> Track:
        """What it knew; those that know different things are never ranked together."""
        return self.pick.row.track


@dataclass(frozen=True, kw_only=True, eq=False)
class Versus:
    """An algorithm less ERM with the same network; below 0 the algorithm is better."""

    algorithm: str
    baseline: str
    by_transfer: Mapping[str, TransferEstimate]
    mean: TransferEstimate
    worst: TransferEstimate
    p_holm: float
    """Of the mean, adjusted for all algorithms of the family."""


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


def contests(transfers: Transfers, draws: int = DRAWS) -> tuple[TransferContest, ...]:
    """Analyse every family; seconds each."""
    return tuple(_contest(transfers, family, draws) for family in transfers.families)


def _contest(transfers: Transfers, family: Family, draws: int) -> TransferContest:
    estimates = _Estimates(transfers, family, draws)
    bounds = tuple(family.bounds[t] for t in family.targets if t in family.bounds)
    found = {grid.corpus.name: transfers.picks[grid.corpus.name] for grid in family.grids}
    names = dict.fromkeys(name for picks in found.values() for name in picks)
    standings = sorted((estimates.standing(n, family.grids) for n in names), key=_place)
    ranked = [standing for standing in standings if standing.ranked]
    contestants = [s for s in standings if not s.pick.row.reference]
    return TransferContest(
        family=family,
        standings=tuple(standings),
        bounds=tuple(estimates.standing(s.algorithm, bounds) for s in contestants if bounds),
        rankings=_rankings(ranked, family),
        versus=_versus(ranked),
    )


def _place(standing: Standing) -> tuple[int, float]:
    """Constants first, then by mean over targets, incomplete ones last."""
    if standing.mean is None:
        return 2, 0.0
    return (0 if standing.pick.row.reference else 1), standing.mean.value


class _Estimates:
    """Bootstrap draws of everything on the targets of a family.

    Args:
        transfers: What counts.
        family: Whose transfers and bounds.
        draws: D.
    """

    def __init__(self, transfers: Transfers, family: Family, draws: int) -> None:
        self._transfers, self._family = transfers, family
        self._found: dict[tuple[str, str, bool], TransferEstimate] = {}
        for target in family.targets:
            grids = [g for g in family.grids if g.corpus.dataset.target == target]
            self._add(target, [*grids, *filter(None, [family.bounds.get(target)])], draws)

    def _add(self, target: str, grids: Sequence[Grid], draws: int) -> None:
        """Everything tested on one target, drawn together."""
        preds = {
            key: pred
            for grid in grids
            for name, pick in self._transfers.picks[grid.corpus.name].items()
            if pick.pred
            for key, pred in (
                ((grid.corpus.name, name, False), pick.pred[_VALIDATED]),
                ((grid.corpus.name, name, True), pick.recalibrated),
            )
        }
        if not preds:
            return
        truth = grids[0].truth  # the same clips for all: one target, one feature set
        keys = {" ".join(map(str, key)): key for key in preds}
        drawn = draw_fields(
            {label: preds[key] for label, key in keys.items()},
            truth.labels,
            truth.videos,
            [_MAE],
            draws,
            dataset=f"{target}-to-{target}",
        )["mae"]
        for label, value, row in zip(drawn.names, drawn.values, drawn.drawn, strict=True):
            self._found[keys[label]] = TransferEstimate(float(value), row)

    def standing(self, algorithm: str, grids: Sequence[Grid]) -> Standing:
        """The algorithm over some transfers, or over some bounds."""
        picks = {g.corpus.name: self._transfers.picks[g.corpus.name].get(algorithm) for g in grids}
        there = {name: pick for name, pick in picks.items() if pick is not None and pick.pred}
        found = {name: self._found[name, algorithm, False] for name in there}
        targets = {g.corpus.name: g.corpus.dataset.target for g in grids}
        whole = len(there) == len(grids) and not any(pick.missing for pick in there.values())
        complete = whole and set(targets.values()) == set(self._family.targets)
        by_target = {
            target: _mean([found[name] for name in there if targets[name] == target])
            for target in dict.fromkeys(targets[name] for name in there)
        }
        pick = max(filter(None, picks.values()), key=lambda pick: pick.missing)
        estimates = list(by_target.values())
        return Standing(
            algorithm=algorithm,
            pick=pick,
            by_transfer=found,
            recalibrated={name: self._found[name, algorithm, True] for name in there},
            mean=_mean(estimates) if complete else None,
            worst=_highest(estimates) if complete else None,
            worst_target=max(by_target, key=lambda t: by_target[t].value) if complete else "",
            by_rule=_by_rule(there, grids) if complete else {},
            ranked=complete and not pick.row.reference,
        )


def _mean(estimates: Sequence[TransferEstimate]) -> TransferEstimate:
    return TransferEstimate(
        float(np.mean([e.value for e in estimates])), np.mean([e.drawn for e in estimates], axis=0)
    )


def _highest(estimates: Sequence[TransferEstimate]) -> TransferEstimate:
    return TransferEstimate(
        max(e.value for e in estimates), np.max([e.drawn for e in estimates], axis=0)
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
                    names=tuple(s.algorithm for s, _ in own),
                    values=np.array([mean.value for _, mean in own]),
                    drawn=np.stack([mean.drawn for _, mean in own]),
                    seeds=tuple(len(s.pick.pred[_VALIDATED]) for s, _ in own),
                    videos=sum(len(set(grid.truth.videos)) for grid in family.grids),
                )
            )
    return found


def _versus(ranked: Sequence[Standing]) -> tuple[Versus, ...]:
    pairs = [(s, erm) for s in ranked if (erm := _erm_of(s, ranked)) is not None]
    found = [(s, erm, s.mean - erm.mean) for s, erm in pairs if s.mean and erm.mean]
    p_values = holm([Distribution(mean.drawn).p_value() for _, _, mean in found])
    return tuple(
        Versus(
            algorithm=s.algorithm,
            baseline=erm.algorithm,
            by_transfer={name: e - erm.by_transfer[name] for name, e in s.by_transfer.items()},
            mean=mean,
            worst=s.worst - erm.worst,
            p_holm=float(p),
        )
        for (s, erm, mean), p in zip(found, p_values, strict=True)
        if s.worst and erm.worst
    )


def _erm_of(standing: Standing, ranked: Sequence[Standing]) -> Standing | None:
    """Plain training of the same network where a row is called that, else what is called ERM.

    ``ERM`` itself comes before ``ERM (text)``; it is compared with nothing.
    """
    called = [s for s in ranked if s.algorithm.split()[0] == "ERM"]
    own = [s for s in called if s.pick.row.system == standing.pick.row.system]
    baseline = min(own or called, key=lambda s: len(s.algorithm), default=None)
    return None if baseline is standing else baseline
