"""Ranks as far as the data support them: rank sets, tie groups, average ranks over datasets.

All systems of a table are resampled together, on the same source videos. A system's rank set runs
from one more than the number of systems that are significantly better, to the number of systems
less those that are significantly worse; significance is that of all pairwise two-way bootstrap
tests after Holm, so that with probability 1 - alpha *every* true rank lies in its set.

Source:
    Mogstad, Romano, Shaikh, Wilhelm. Inference for Ranks. Review of Economic Studies 91(1), 2024:
    rank sets from simultaneous pairwise tests.

Shapes: M systems, N clips, V source videos, S seeds, D draws.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from harness._util.seeds import derive
from harness.data.datasets import Dataset, datasets
from harness.errors import SpecError, SubmissionError
from harness.metrics import Metric, Values, metrics
from harness.stats.compare import SystemPair, pair
from harness.stats.distribution import Distribution
from harness.stats.equivalence import declared_margin
from harness.stats.multiple import holm
from harness.stats.power import resolution
from harness.stats.resample import counts, draw, evaluator

__all__ = [
    "AverageRank",
    "Field",
    "Pairing",
    "Ranking",
    "Standing",
    "average_ranks",
    "draw_fields",
    "rank",
]

Standing: TypeAlias = Literal["better", "negligible", "equivalent", "undecided"]
"""``negligible``: better, and within the declared margin."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Field:
    """Several systems in one metric on the same clips: what was observed, and the draws.

    Args:
        metric: The metric.
        dataset: Name of the dataset.
        names: M systems.
        values: (M,) mean of each system's seeds, NaN where undefined.
        drawn: (M, D) bootstrap values; column d is one draw of videos for all.
        seeds: (M,) number of runs of each.
        videos: V.
    """

    metric: Metric
    dataset: str
    names: tuple[str, ...]
    values: Values = field(repr=False)
    drawn: Values = field(repr=False)
    seeds: tuple[int, ...]
    videos: int

    @property
    def costs(self) -> Values:
        """(M,) values as sort keys: the smaller the better, infinite where undefined."""
        return np.array([self.metric.cost(value) for value in self.values])

    def among(self, names: Sequence[str]) -> Field:
        """The field of these systems alone: what was drawn for one does not depend on the others.

        Raises:
            SpecError: For a system that is not in the field.
        """
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise SpecError(f"no system {unknown[0]!r} among {', '.join(self.names)}")
        rows = [self.names.index(name) for name in names]
        return dataclasses.replace(
            self,
            names=tuple(names),
            values=self.values[rows],
            drawn=self.drawn[rows],
            seeds=tuple(self.seeds[row] for row in rows),
        )


@dataclass(frozen=True, kw_only=True)
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
    p_holm: float
    """Adjusted for all pairs of the ranking."""
    p_equivalence: float
    """Of a difference beyond the declared margin, adjusted likewise; NaN without a margin."""
    detectable: float
    """Difference that this one comparison finds with 80 % power."""

    def verdict(self, alpha: float = 0.05) -> Standing:
        """What the pair of tests says about ``a`` against ``b``."""
        if self.p_holm < alpha:
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
    pairs: tuple[Pairing, ...]
    """All pairs of systems whose metric is defined."""
    resolution: float
    """Median over pairs of the difference that one comparison finds with 80 % power."""
    alpha: float
    draws: int
    conditional: frozenset[str]
    """Systems with one run: variation over their seeds, if any, is not in the intervals."""

    def rank_of(self, name: str) -> tuple[int, int]:
        """Rank set of a system."""
        return self.ranks[self.names.index(name)]


def draw_fields(
    systems: Mapping[str, ArrayLike],
    truth: ArrayLike,
    clusters: ArrayLike,
    chosen: Iterable[Metric | str],
    draws: int = 10_000,
    seed: int = 0,
    *,
    dataset: Dataset | str,
) -> dict[str, Field]:
    """Bootstrap several systems together, in several metrics.

    Args:
        systems: Name -> (S, N) predictions, one row per seed; S may differ between systems.
        truth: (N,) labels.
        clusters: (N,) source video of each clip.
        chosen: Metrics or their names.
        draws: D, at least 100.
        seed: Of the resampling; what is drawn for a system does not depend on the others.
        dataset: A dataset or its name.

    Returns:
        Metric name -> field.

    Raises:
        SubmissionError: For no system, arrays that do not fit together, or fewer than two videos.
        SpecError: For an unknown metric or dataset, or too few draws.
    """
    if draws < 100:
        raise SpecError(f"ranks take at least 100 draws, found {draws}")
    if not systems:
        raise SubmissionError("there are no systems to rank")
    known = datasets[dataset] if isinstance(dataset, str) else dataset
    checked = {name: pair(runs, runs, truth, clusters, known) for name, runs in systems.items()}
    of_dataset = derive(seed, "ranks", known.name)  # draws on two datasets are independent
    videos = counts(
        next(iter(checked.values())).videos, draws, np.random.default_rng(derive(of_dataset, "v"))
    )
    found = [metrics[item] if isinstance(item, str) else item for item in chosen]
    return {m.name: _field(checked, m, known, videos, of_dataset) for m in found}


def _field(
    systems: Mapping[str, SystemPair], metric: Metric, dataset: Dataset, videos: Values, seed: int
) -> Field:
    function = metric.on(dataset)
    drawn = np.empty((len(systems), len(videos)))  # (M, D)
    for row, (name, runs) in zip(drawn, systems.items(), strict=True):
        evaluate = evaluator(runs.a, runs.truth, runs.clusters, function)
        generator = np.random.default_rng(derive(seed, "seeds", name.replace("\x1f", " ")))
        # Processors sum in different orders; rounded, equal systems are equal on all of them.
        row[:] = draw(evaluate, len(runs.a), videos, generator).round(12)
    values = [np.mean([function(run, s.truth) for run in s.a]) for s in systems.values()]
    return Field(
        metric=metric,
        dataset=dataset.name,
        names=tuple(systems),
        values=np.array(values, dtype=np.float64),
        drawn=drawn,
        seeds=tuple(len(runs.a) for runs in systems.values()),
        videos=videos.shape[1],
    )


def rank(systems: Field, alpha: float = 0.05) -> Ranking:
    """Rank sets and the pairwise comparisons behind them.

    Args:
        systems: Systems in a metric that has a direction.
        alpha: Probability that any rank set misses its true rank.

    Raises:
        SpecError: For a metric whose best value lies inside its range.

    Example:
        >>> truth, videos = np.linspace(-3, 3, 60), np.repeat(np.arange(20), 3)
        >>> preds = {"exact": truth, "flipped": -truth, "exact too": truth}
        >>> drawn = draw_fields(preds, truth, videos, ["mae"], draws=200, dataset="mosi")["mae"]
        >>> found = rank(drawn)
        >>> found.names, found.ranks, sorted(found.leaders)
        (('exact', 'exact too', 'flipped'), ((1, 2), (1, 2), (3, 3)), ['exact', 'exact too'])
    """
    if systems.metric.ideal is not None:
        raise SpecError(f"{systems.metric.name} has no direction to rank by")
    order = np.argsort(systems.costs, kind="stable")  # undefined values last
    defined = [int(i) for i in order if math.isfinite(systems.values[i])]
    pairs = _pairs(systems, defined)
    significant = {(p.a, p.b) for p in pairs if p.p_holm < alpha}
    names = tuple(systems.names[i] for i in order)
    ranks = tuple(_rank_set(name, names, len(defined), significant) for name in names)
    spread = [p.detectable for p in pairs]
    return Ranking(
        metric=systems.metric.name,
        dataset=systems.dataset,
        names=names,
        values=tuple(float(systems.values[i]) for i in order),
        intervals=tuple(_distribution(systems.drawn[i]).interval() for i in order),
        ranks=ranks,
        leaders=frozenset(n for n, (best, _) in zip(names, ranks, strict=True) if best == 1),
        pairs=pairs,
        resolution=statistics.median(spread) if spread else math.nan,
        alpha=alpha,
        draws=systems.drawn.shape[1],
        conditional=frozenset(
            n for n, s in zip(systems.names, systems.seeds, strict=True) if s == 1
        ),
    )


def _pairs(systems: Field, order: Sequence[int]) -> tuple[Pairing, ...]:
    both = list(itertools.combinations(order, 2))
    if not both:
        return ()
    margin = declared_margin(systems.dataset, systems.metric.name)
    # Column d is one draw of videos for all systems, so that differences are paired.
    found = [_tested(systems.drawn[i] - systems.drawn[j], margin) for i, j in both]
    p_holm = holm([tested.p_value for tested in found])
    p_equivalence = holm([tested.p_equivalence for tested in found])
    return tuple(
        Pairing(
            a=systems.names[i],
            b=systems.names[j],
            effect=float(systems.values[i] - systems.values[j]),
            low=tested.low,
            high=tested.high,
            p_value=tested.p_value,
            p_holm=float(p),
            p_equivalence=float(beyond),
            detectable=tested.detectable,
        )
        for (i, j), tested, p, beyond in zip(both, found, p_holm, p_equivalence, strict=True)
    )


class _Tested(NamedTuple):
    """What is kept of a pair's draws, which are too many to keep for all pairs."""

    low: float
    high: float
    p_value: float
    p_equivalence: float
    detectable: float


def _tested(draws: Values, margin: float | None) -> _Tested:
    distribution = _distribution(draws)
    return _Tested(
        *distribution.interval(),
        distribution.p_value(),
        math.nan if margin is None else distribution.p_equivalence(margin),
        resolution(distribution.standard_error()),
    )


def _distribution(draws: Values) -> Distribution:
    finite = np.isfinite(draws)
    return Distribution(draws if finite.all() else draws[finite])


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
    """Lower end of the 95 % interval."""
    high: float
    """Upper end of it."""
    ranks: tuple[float, ...]
    """Rank on each dataset, ties averaged."""


def average_ranks(fields: Sequence[Field]) -> tuple[AverageRank, ...]:
    """Average ranks of the systems present on every dataset, best first.

    Systems are ranked anew in every draw; the interval is that of the average. No
    critical-difference diagram is offered: with four datasets the Nemenyi difference for ten
    systems is 6.8 of at most 9 ranks, so that nothing could ever differ.

    Args:
        fields: One metric on several datasets that share no clips, equally many draws each.

    Raises:
        SpecError: Without fields, for different metrics, or different numbers of draws.
    """
    if len({(f.metric.name, f.drawn.shape[1]) for f in fields}) != 1:
        raise SpecError("average ranks take one metric and equally many draws on every dataset")
    common = [n for n in fields[0].names if all(n in f.names for f in fields)]
    if not common:
        return ()
    places = [[f.names.index(name) for name in common] for f in fields]
    # Datasets share no clips: draw d of one may meet draw d of the other, all are independent.
    observed = np.stack([_ranks(f, f.values[p]) for f, p in zip(fields, places, strict=True)])
    drawn = np.mean([_ranks(f, f.drawn[p]) for f, p in zip(fields, places, strict=True)], axis=0)
    bounds = np.quantile(drawn, [0.025, 0.975], axis=1)  # (2, systems)
    rows = [
        AverageRank(
            name=name,
            mean=float(observed[:, i].mean()),
            low=float(bounds[0, i]),
            high=float(bounds[1, i]),
            ranks=tuple(observed[:, i].tolist()),
        )
        for i, name in enumerate(common)
    ]
    return tuple(sorted(rows, key=lambda row: (row.mean, row.name)))


def _ranks(systems: Field, values: Values) -> Values:
    """Ranks along the first axis, 1 best; undefined values share the last places."""
    costs = -values if systems.metric.higher_is_better else values
    return np.asarray(rankdata(np.where(np.isnan(costs), np.inf, costs), axis=0), dtype=np.float64)
