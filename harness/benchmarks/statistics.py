"""Bootstrapping many systems against scoring resampled clips draw by draw.

Shapes: N clips, V source videos, S seeds, D draws.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.benchmarks.measure import BenchmarkRow, Scale, alternate, wall
from harness.benchmarks.references import SCORERS, SIMS_SCORERS, Scorer
from harness.data.datasets import Dataset, datasets
from harness.metrics.base import Values, metrics
from harness.stats import draw_fields
from harness.stats.distribution import Distribution
from harness.stats.resample import counts, evaluator
from harness.stats.sums import Clusters

__all__ = ["SyntheticTable", "bootstrap", "simulated", "values_elsewhere", "values_of_sums"]

_DATASETS = ("mosi", "mosei", "sims", "simsv2")
_SEEDS = 5
_MOSI = ("mae", "corr", "acc2_has0", "acc2_non0", "f1_has0", "f1_non0", "acc5", "acc7")


@dataclass(frozen=True, kw_only=True, eq=False)
class SyntheticTable:
    """Predictions of several systems for one test set of real size.

    Args:
        dataset: The dataset.
        systems: Name -> (S, N) predictions.
        truth: (N,) labels.
        clusters: (N,) source video of each clip.
        videos: V.
    """

    dataset: Dataset
    systems: dict[str, Values]
    truth: Values
    clusters: Clusters
    videos: int

    @property
    def scorers(self) -> dict[str, Scorer]:
        """Eight metrics, made elsewhere."""
        if self.dataset.family == "sims":
            return dict(SIMS_SCORERS)
        return {name: SCORERS[name] for name in _MOSI}


def simulated(dataset: str, systems: int) -> SyntheticTable:
    """Labels on the dataset's scale and noisy predictions of them, five runs per system."""
    known = datasets[dataset]
    clips, videos = known.splits["test"].clips, known.splits["test"].videos
    generator = np.random.default_rng(0)
    truth = (generator.integers(-15, 16, clips) / 15 * known.high).round(6)
    noise = generator.normal(0.0, 0.5 * known.high, (systems, _SEEDS, clips))
    return SyntheticTable(
        dataset=known,
        systems={f"system {i}": (truth + runs).round(6) for i, runs in enumerate(noise)},
        truth=truth,
        clusters=generator.permutation(np.arange(clips) % videos),
        videos=videos,
    )


def bootstrap(folder: Path, scale: Scale) -> list[BenchmarkRow]:
    """Draws of every system in every metric on every dataset, and p of every pair."""
    tables = [simulated(name, scale.compared) for name in _DATASETS]
    ours, one_draw = alternate(
        wall(lambda: [_compare_all(table, scale.draws) for table in tables]),
        lambda: sum(_one_draw_elsewhere(table) for table in tables),
        repeats=scale.repeats,
    )
    pairs = scale.compared * (scale.compared - 1) // 2
    row = BenchmarkRow(
        what=f"Bootstrap of {scale.compared} systems, 4 datasets, 8 metrics, {scale.draws:,} draws",
        reference="scikit-learn and SciPy on the clips of each draw",
        ours=ours,
        theirs=[seconds * scale.draws for seconds in one_draw],
        target=0.001,
        note=f"test sets of real size, {_SEEDS} seeds each, simulated predictions; ours also has"
        f" the p-values of the {pairs} pairs in every metric; the reference is one draw a repeat,"
        " measured and multiplied",
    )
    return [row]


def _compare_all(table: SyntheticTable, draws: int) -> list[float]:
    fields = draw_fields(
        table.systems,
        table.truth,
        table.clusters,
        table.scorers,
        draws,
        dataset=table.dataset,
    )
    return [
        Distribution(a - b).p_value()
        for field in fields.values()
        for a, b in itertools.combinations(field.drawn, 2)
    ]


def _one_draw_elsewhere(table: SyntheticTable) -> float:
    (weights,) = counts(table.videos, 1, np.random.default_rng(0))
    began = time.perf_counter()
    values_elsewhere(table, weights)
    return time.perf_counter() - began


def values_elsewhere(table: SyntheticTable, weights: Values) -> Values:
    """(metrics, systems) values of one draw, mean over the runs, from copied clips."""
    clips = np.repeat(np.arange(table.truth.size), weights[table.clusters].astype(np.intp))
    truth = table.truth[clips]

    def mean(scorer: Scorer, runs: Values) -> float:
        return float(np.mean([scorer(run[clips], truth) for run in runs]))

    systems = table.systems.values()
    return np.array([[mean(scorer, runs) for runs in systems] for scorer in table.scorers.values()])


def values_of_sums(table: SyntheticTable, videos: Values) -> Values:
    """(D, metrics, systems) values of all draws, mean over the runs, as the bootstrap has them."""
    functions = [metrics[name].on(table.dataset) for name in table.scorers]
    by_metric: Sequence[Sequence[Values]] = [
        [
            evaluator(runs, table.truth, table.clusters, function)(videos).mean(axis=1)
            for runs in table.systems.values()
        ]
        for function in functions
    ]
    return np.array(by_metric).transpose(2, 0, 1)
