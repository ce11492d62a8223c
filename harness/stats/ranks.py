"""Ranks as far as the data support them: rank sets, tie groups, average ranks over datasets.

A system's rank set runs from one more than the number of systems that are significantly better, to
the number of systems less those that are significantly worse; significance is that of all pairs
together (``harness.stats.joint``), so that with probability 1 - alpha *every* true rank lies in its
set. Which systems could be best is asked by itself, of one system at a time: a smaller family, and
so a smaller set.

Sources:
    Mogstad, Romano, Shaikh, Wilhelm. Inference for Ranks. Review of Economic Studies 91(1), 2024:
    rank sets from simultaneous pairwise tests.
    Hsu. Multiple Comparisons. Chapman & Hall, 1996, chapter 4: multiple comparisons with the best.

Shapes: M systems, N clips, V source videos, S seeds, P pairs.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from harness._util import canonical
from harness._util.seeds import derive
from harness.data.datasets import Dataset, datasets
from harness.errors import SpecError, SubmissionError
from harness.metrics import Metric, Values, metrics
from harness.stats.compare import estimate_of, pair
from harness.stats.equivalence import declared_margin
from harness.stats.estimate import Estimate
from harness.stats.joint import Joint
from harness.stats.multiple import holm
from harness.stats.reference import Laws

__all__ = [
    "DRAWS",
    "AverageRank",
    "Field",
    "PairTests",
    "Pairing",
    "Ranking",
    "Standing",
    "Test",
    "average_ranks",
    "fields_of",
    "pair_tests",
    "rank",
]

DRAWS = 2000
"""Draws behind the correction for all pairs: an adjusted p of .05 is right to ± .005."""

Standing: TypeAlias = Literal["better", "negligible", "equivalent", "undecided"]
"""``negligible``: better, and within the declared margin."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Field:
    """Several systems in one metric on the same clips.

    Args:
        metric: The metric.
        dataset: Name of the dataset.
        estimates: Name of a system -> its mean over seeds with all it varies by, its value NaN
            where the metric is undefined.
        seeds: (M,) number of runs of each.
        seed: Of what the correction for all pairs draws.
    """

    metric: Metric
    dataset: str
    estimates: Mapping[str, Estimate] = field(repr=False)
    seeds: tuple[int, ...]
    seed: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """M systems."""
        return tuple(self.estimates)

    @property
    def values(self) -> Values:
        """(M,) mean of each system's seeds, NaN where undefined."""
        return np.array([one.value for one in self.estimates.values()])

    @property
    def costs(self) -> Values:
        """(M,) values as sort keys: the smaller the better, infinite where undefined."""
        return np.array([self.metric.cost(value) for value in self.values])

    def content(self) -> str:
        """Digest of all that the comparisons of its systems depend on, 64 hexadecimal digits."""
        about = [self.metric.name, self.metric.higher_is_better, self.dataset, self.seed]
        margin = declared_margin(self.dataset, self.metric.name)
        state = hashlib.sha256(canonical.dumps([*about, margin, list(self.names)]).encode())
        for one in self.estimates.values():
            state.update(one.content())
        return state.hexdigest()

    def among(self, names: Sequence[str]) -> Field:
        """The field of these systems alone.

        Raises:
            SpecError: For a system that is not in the field.
        """
        unknown = [name for name in names if name not in self.estimates]
        if unknown:
            raise SpecError(f"no system {unknown[0]!r} among {', '.join(self.names)}")
        seeds = dict(zip(self.names, self.seeds, strict=True))
        return dataclasses.replace(
            self,
            estimates={name: self.estimates[name] for name in names},
            seeds=tuple(seeds[name] for name in names),
        )


@dataclass(frozen=True)
class Pairing:
    """One pair of a ranking: ``a`` has the better value."""

    a: str
    b: str
    effect: float
    """a - b in the metric's own units and direction."""
    low: float
    """Lower end of the 95 % interval of this one comparison."""
    high: float
    """Upper end of it."""
    p_value: float
    """Two-sided, of this one comparison."""
    p_adjusted: float
    """Adjusted for all pairs of the ranking."""
    p_equivalence: float
    """Of a difference beyond the declared margin, adjusted likewise; NaN without a margin."""
    detectable: float
    """Difference that this one comparison finds with 80 % power."""

    def verdict(self, alpha: float = 0.05) -> Standing:
        """What the pair of tests says about ``a`` against ``b``."""
        if self.p_adjusted < alpha:
            return "negligible" if self.p_equivalence < alpha else "better"
        return "equivalent" if self.p_equivalence < alpha else "undecided"

    def seen_from(self, name: str, alpha: float = 0.05) -> tuple[float, float, float, str]:
        """Effect, low, high and verdict of ``name`` minus the other; ``worse`` where it is."""
        verdict: str = self.verdict(alpha)
        if name == self.a:
            return self.effect, self.low, self.high, verdict
        return -self.effect, -self.high, -self.low, "worse" if verdict == "better" else verdict


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranking:
    """Which systems of a table are better than which, in one metric on one dataset."""

    metric: str
    dataset: str
    names: tuple[str, ...]
    """Best value first, undefined values last."""
    values: tuple[float, ...]
    """Mean over seeds."""
    intervals: tuple[tuple[float, float], ...]
    """95 % interval of each value, by itself."""
    ranks: tuple[tuple[int, int], ...]
    """Rank set of each: best and worst rank that the data do not exclude."""
    leaders: frozenset[str]
    """The tie group at the top: systems that no other one is significantly better than."""
    could_be_best: frozenset[str]
    """Systems among which the best is with probability 1 - alpha; never more than ``leaders``."""
    pairs: tuple[Pairing, ...]
    """All pairs of systems whose metric is defined."""
    resolution: float
    """Median over pairs of the difference that one comparison finds with 80 % power."""
    alpha: float
    conditional: frozenset[str]
    """Systems with one run: variation over their seeds, if any, is not in the intervals."""

    def rank_of(self, name: str) -> tuple[int, int]:
        """Rank set of a system."""
        return self.ranks[self.names.index(name)]


def fields_of(
    systems: Mapping[str, ArrayLike],
    truth: ArrayLike,
    clusters: ArrayLike,
    chosen: Iterable[Metric | str],
    seed: int = 0,
    *,
    dataset: Dataset | str,
) -> dict[str, Field]:
    """Estimate several systems on the same clips, in several metrics.

    Args:
        systems: Name -> (S, N) predictions, one row per seed; S may differ between systems.
        truth: (N,) labels.
        clusters: (N,) source video of each clip.
        chosen: Metrics or their names.
        seed: Of what the correction for all pairs draws.
        dataset: A dataset or its name.

    Returns:
        Metric name -> field.

    Raises:
        SubmissionError: For no system, arrays that do not fit together, or fewer than two videos.
        SpecError: For an unknown metric or dataset.
    """
    if not systems:
        raise SubmissionError("there are no systems to rank")
    known = datasets[dataset] if isinstance(dataset, str) else dataset
    checked = {name: pair(runs, runs, truth, clusters, known) for name, runs in systems.items()}
    found = [metrics[item] if isinstance(item, str) else item for item in chosen]
    return {
        metric.name: Field(
            metric=metric,
            dataset=known.name,
            estimates={
                name: estimate_of(runs.a, runs, metric.on(known), name)
                for name, runs in checked.items()
            },
            seeds=tuple(len(runs.a) for runs in checked.values()),
            seed=derive(seed, "ranks", known.name),
        )
        for metric in found
    }


@dataclass(frozen=True, kw_only=True, eq=False)
class PairTests:
    """What is computed of a field before any claim is made at a level.

    Args:
        names: Systems whose metric is defined, the best value first.
        figures: (7, P) of all pairs of ``names``, in the order of ``itertools.combinations``: the
            numbers of a ``Pairing``, in its order.
        not_best: (M,) p-value of the claim that a system of ``names`` is not the best.
        intervals: (M', 2) 95 % interval of every system of the field, in its order.
    """

    names: tuple[str, ...]
    figures: Values = field(repr=False)
    not_best: Values = field(repr=False)
    intervals: Values = field(repr=False)

    @staticmethod
    def order_of(systems: Field) -> tuple[str, ...]:
        """The ``names`` that the tests of a field have."""
        values = systems.values
        order = np.argsort(systems.costs, kind="stable")
        return tuple(systems.names[i] for i in order if math.isfinite(values[i]))

    def pairs(self) -> tuple[Pairing, ...]:
        """All pairs, the better value first."""
        both = itertools.combinations(self.names, 2)
        figures = self.figures.T.tolist()
        return tuple(Pairing(a, b, *of) for (a, b), of in zip(both, figures, strict=True))


Test: TypeAlias = Callable[[Field, int], PairTests]
"""A field and how many draws correct for all its pairs -> the tests."""


def pair_tests(systems: Field, draws: int) -> PairTests:
    """Compare all pairs of systems; what ``rank`` makes claims of, whatever the level."""
    names = PairTests.order_of(systems)
    figures, not_best = _compared(systems, [systems.estimates[name] for name in names], draws)
    return PairTests(
        names=names,
        figures=figures,
        not_best=not_best,
        intervals=np.array([one.reference.interval() for one in systems.estimates.values()]),
    )


def rank(
    systems: Field, alpha: float = 0.05, draws: int = DRAWS, *, tests: Test = pair_tests
) -> Ranking:
    """Rank sets and the pairwise comparisons behind them.

    Args:
        systems: Systems in a metric that has a direction.
        alpha: Probability that any rank set misses its true rank.
        draws: Of the correction for all pairs, at least 100.
        tests: What compares the pairs, or remembers it.

    Raises:
        SpecError: For a metric whose best value lies inside its range, or too few draws.

    Example:
        >>> truth, videos = np.linspace(-3, 3, 60), np.repeat(np.arange(20), 3)
        >>> preds = {"exact": truth, "flipped": -truth, "exact too": truth}
        >>> found = rank(fields_of(preds, truth, videos, ["mae"], dataset="mosi")["mae"])
        >>> found.names, found.ranks, sorted(found.leaders)
        (('exact', 'exact too', 'flipped'), ((1, 2), (1, 2), (3, 3)), ['exact', 'exact too'])
    """
    if systems.metric.ideal is not None:
        raise SpecError(f"{systems.metric.name} has no direction to rank by")
    if draws < 100:
        raise SpecError(f"ranks take at least 100 draws, found {draws}")
    order = np.argsort(systems.costs, kind="stable")  # undefined values last
    tested = tests(systems, draws)
    pairs, defined = tested.pairs(), len(tested.names)
    significant = {(p.a, p.b) for p in pairs if p.p_adjusted < alpha}
    names = tuple(systems.names[i] for i in order)
    ranks = tuple(_rank_set(name, names, defined, significant) for name in names)
    leaders = frozenset(n for n, (first, _) in zip(names, ranks, strict=True) if first == 1)
    spread = [p.detectable for p in pairs if math.isfinite(p.detectable)]
    candidates = zip(tested.names, tested.not_best.tolist(), strict=True)
    return Ranking(
        metric=systems.metric.name,
        dataset=systems.dataset,
        names=names,
        values=tuple(float(systems.values[i]) for i in order),
        intervals=tuple((low, high) for low, high in tested.intervals[order].tolist()),
        ranks=ranks,
        leaders=leaders,
        could_be_best=leaders & {name for name, p in candidates if p >= alpha},
        pairs=pairs,
        resolution=statistics.median(spread) if spread else math.nan,
        alpha=alpha,
        conditional=frozenset(
            n for n, s in zip(systems.names, systems.seeds, strict=True) if s == 1
        ),
    )


def _compared(systems: Field, ordered: Sequence[Estimate], draws: int) -> tuple[Values, Values]:
    """(7, P) figures of all pairs and (M,) p-values of not being best: see ``PairTests``."""
    if len(ordered) < 2:
        return np.empty((7, 0)), np.ones(len(ordered))
    joint = Joint(ordered, systems.seed)
    family = joint.family(draws)
    effects, laws = joint.effects, Laws(joint.totals, joint.rests, joint.degrees)
    p_values = laws.beyond(np.abs(effects))
    reach, powered = laws.reach(0.95), laws.reach(0.6)  # two-sided 60 % is 80 % on one side
    figures = [
        effects,
        effects - reach,
        effects + reach,
        p_values,
        np.maximum(family.adjusted, p_values),
        _beyond_margin(systems, effects, laws),
        reach + powered,
    ]
    higher = systems.metric.higher_is_better
    return np.stack(figures), family.not_highest if higher else family.not_lowest


def _beyond_margin(systems: Field, effects: Values, laws: Laws) -> Values:
    """(P,) p-values of a difference beyond the declared margin, after Holm; NaN without one."""
    margin = declared_margin(systems.dataset, systems.metric.name)
    if margin is None:
        return np.full_like(effects, math.nan)
    return holm(laws.p_equivalence(effects, margin))


def _rank_set(
    name: str, names: Sequence[str], defined: int, significant: set[tuple[str, str]]
) -> tuple[int, int]:
    if names.index(name) >= defined:  # undefined: behind all that are not
        return defined + 1, len(names)
    better = sum((other, name) in significant for other in names)
    worse = sum((name, other) in significant for other in names)
    return 1 + better, defined - worse


@dataclass(frozen=True, kw_only=True)
class AverageRank:
    """A system's rank averaged over datasets, with equal weights."""

    name: str
    mean: float
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of it."""
    ranks: tuple[float, ...]
    """Rank on each dataset, ties averaged."""


def average_ranks(
    fields: Sequence[Field],
    alpha: float = 0.05,
    draws: int = DRAWS,
    *,
    tests: Test = pair_tests,
) -> tuple[AverageRank, ...]:
    """Average ranks of the systems present on every dataset, best first.

    The interval runs between the averages of the ends of rank sets: of K datasets, each gets rank
    sets at level 1 - alpha / K, so that with probability 1 - alpha every true average rank lies in
    its interval. Percentiles of resampled ranks would not do: near ties they move to the middle.

    No critical-difference diagram is offered: with four datasets the Nemenyi difference for ten
    systems is 6.8 of at most 9 ranks, so that nothing could ever differ.

    Args:
        fields: One metric on several datasets.
        alpha: Probability that any interval misses.
        draws: As for ``rank``.
        tests: Likewise.

    Raises:
        SpecError: Without fields, or for different metrics.
    """
    if len({f.metric.name for f in fields}) != 1:
        raise SpecError("average ranks take one metric on every dataset")
    common = [n for n in fields[0].names if all(n in f.names for f in fields)]
    if not common:
        return ()
    chosen = [f.among(common) for f in fields]
    rankings = [rank(f, alpha / len(chosen), draws, tests=tests) for f in chosen]
    observed = [_ranks(f) for f in chosen]
    rows = []
    for name in common:
        ranks = [of[name] for of in observed]
        low, high = zip(*(found.rank_of(name) for found in rankings), strict=True)
        rows.append(
            AverageRank(
                name=name,
                mean=statistics.fmean(ranks),
                low=statistics.fmean(low),
                high=statistics.fmean(high),
                ranks=tuple(ranks),
            )
        )
    return tuple(sorted(rows, key=lambda row: (row.mean, row.name)))


def _ranks(systems: Field) -> dict[str, float]:
    """Rank of every system, 1 best, ties averaged; undefined values share the last places."""
    # What scipy.stats.rankdata gives; its package would add a second to the start of each board.
    _, place, tied = np.unique(systems.costs, return_inverse=True, return_counts=True)
    last = tied.cumsum()  # rank of the last system of each value
    averaged = (2 * last - tied + 1) / 2
    return dict(zip(systems.names, averaged[place].tolist(), strict=True))
