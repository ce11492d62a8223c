"""Simulated boards: what rank sets claim of systems whose order is known.

Shapes: M systems, P pairs, D draws.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness._util.seeds import derive
from harness.metrics import Values
from harness.stats.calibration.designs import Design
from harness.stats.calibration.simulated import DATASET, METRICS, Scored, scored
from harness.stats.distribution import Distribution
from harness.stats.multiple import holm
from harness.stats.ranks import Field, Ranking, rank
from harness.stats.resample import counts, draw

__all__ = ["CORRECTIONS", "Claims", "boards"]

CORRECTIONS: Mapping[str, str] = {
    "joint": "resampled together (boards)",
    "holm": "Holm over the same p-values",
    "percentile": "Holm over the percentile bootstrap",
}
"""Ways to correct for asking about all pairs: that of boards, Holm's, and both parts of before."""

_METRIC = METRICS["mae"]
_DRAWS = 10_000  # of the bootstrap of before
_ALPHA = 0.05


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What one board says, held against the truth.

    Args:
        false: Whether a pair is told apart that is equal, or in the wrong order.
        found: Share of truly different pairs that are told apart in the right order; 0 where
            there are none.
        missed: Share of the truly best systems that are left out of those that could be best.
        best: Number of systems that could be best.
    """

    false: bool
    found: float
    missed: float
    best: float


def boards(
    design: Design, harder: Sequence[float], *, replicates: int, resampled: int, seed: int
) -> dict[str, list[Claims]]:
    """Simulate boards of MAE.

    Args:
        design: Whose systems like B are on the board.
        harder: (M,) relative error scale of each less one: the smaller the better.
        replicates: Boards.
        resampled: How many of them the bootstrap of before is made for.
        seed: Of everything.

    Returns:
        Key of ``CORRECTIONS`` -> claims on every board.
    """
    simulating, drawing = (
        np.random.default_rng(derive(seed, what)) for what in ("simulation", "bootstrap")
    )
    found: dict[str, list[Claims]] = {name: [] for name in CORRECTIONS}
    for block in scored(design, design.several(harder), ["mae"], replicates, simulating):
        systems = [one["mae"] for one in block]
        for place in range(len(systems[0].values)):
            number = len(found["joint"])
            ranking = _ranked(systems, place, derive(seed, "ranks", number))
            found["joint"].append(_of_ranking(ranking, harder))
            found["holm"].append(_of_holm(ranking, harder))
            if number < resampled:
                found["percentile"].append(_of_bootstrap(systems, place, harder, drawing))
    return found


def _ranked(systems: Sequence[Scored], place: int, seed: int) -> Ranking:
    estimates = {str(number): one.estimate(place) for number, one in enumerate(systems)}
    runs = tuple(one.values.shape[1] for one in systems)
    return rank(Field(metric=_METRIC, dataset=DATASET, estimates=estimates, seeds=runs, seed=seed))


def _of_ranking(ranking: Ranking, harder: Sequence[float]) -> Claims:
    pairs = [(int(p.a), int(p.b)) for p in ranking.pairs if p.p_adjusted < _ALPHA]
    return _judged(pairs, {int(name) for name in ranking.could_be_best}, harder)


def _of_holm(ranking: Ranking, harder: Sequence[float]) -> Claims:
    adjusted = holm([pair.p_value for pair in ranking.pairs])
    claimed = [p for p, q in zip(ranking.pairs, adjusted, strict=True) if q < _ALPHA]
    return _leading([(int(pair.a), int(pair.b)) for pair in claimed], harder)


def _of_bootstrap(
    systems: Sequence[Scored], place: int, harder: Sequence[float], generator: np.random.Generator
) -> Claims:
    sums = [one.sums(place) for one in systems]
    videos = counts(sums[0].cells.shape[1], _DRAWS, generator)
    drawn = [draw(one, len(one.cells), videos, generator) for one in sums]
    couples = list(itertools.combinations(range(len(systems)), 2))
    adjusted = holm([_p_value(drawn[i] - drawn[j]) for i, j in couples])
    means = [one.values[place].mean() for one in systems]
    claimed = [
        (i, j) if means[i] < means[j] else (j, i)
        for (i, j), p in zip(couples, adjusted, strict=True)
        if p < _ALPHA
    ]
    return _leading(claimed, harder)


def _p_value(draws: Values) -> float:
    return Distribution(draws).p_value()


def _leading(claimed: Sequence[tuple[int, int]], harder: Sequence[float]) -> Claims:
    """Where only pairs are tested, those that no other one beats could be best."""
    beaten = {worse for _, worse in claimed}
    return _judged(claimed, set(range(len(harder))) - beaten, harder)


def _judged(claimed: Sequence[tuple[int, int]], best: set[int], harder: Sequence[float]) -> Claims:
    """Claims that the first of a pair has the lower error, and which systems could be best."""
    right = [harder[better] < harder[worse] for better, worse in claimed]
    different = sum(i != j for i, j in itertools.combinations(harder, 2))
    truly = {place for place, each in enumerate(harder) if each == min(harder)}
    return Claims(
        false=not all(right),
        found=sum(right) / different if different else 0.0,
        missed=len(truly - best) / len(truly),
        best=float(len(best)),
    )
