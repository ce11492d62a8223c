"""Comparing all pairs of many systems against leaving out one source video at a time.

Shapes: N clips, V source videos, S seeds.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.benchmarks.measure import BenchmarkRow, Scale, alternate, wall
from harness.benchmarks.references import SCORERS, SIMS_SCORERS, Scorer
from harness.data.datasets import Dataset, datasets
from harness.metrics import Values, metrics
from harness.stats import DRAWS, Ranking, fields_of
from harness.stats.jackknife import values_and_pseudo_values
from harness.stats.sums import Clusters
from leaderboards.model import rank_all

__all__ = ["SyntheticTable", "all_pairs", "pseudo_values", "simulated", "without"]

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


def all_pairs(folder: Path, scale: Scale) -> list[BenchmarkRow]:
    """Rank sets and all pairs of every system in every metric on every dataset."""
    tables = [simulated(name, scale.compared) for name in _DATASETS]
    ours, elsewhere = alternate(
        wall(lambda: [_compare_all(table) for table in tables]),
        lambda: sum(_one_video_elsewhere(table) * table.videos for table in tables),
        repeats=scale.repeats,
    )
    pairs = scale.compared * (scale.compared - 1) // 2
    row = BenchmarkRow(
        what=f"All pairs of {scale.compared} systems, 4 datasets, 8 metrics",
        reference="scikit-learn and SciPy, leaving out each source video",
        ours=ours,
        theirs=elsewhere,
        target=0.02,
        note=f"test sets of real size, {_SEEDS} seeds each, simulated predictions; ours also has"
        f" intervals, rank sets and the p-values of the {pairs} pairs in every metric, corrected"
        f" for all pairs by {DRAWS:,} draws; the reference leaves out one video a repeat, measured"
        " and multiplied",
    )
    return [row]


def _compare_all(table: SyntheticTable) -> dict[str, Ranking]:
    fields = fields_of(
        table.systems, table.truth, table.clusters, table.scorers, dataset=table.dataset
    )
    return rank_all(fields)


def _one_video_elsewhere(table: SyntheticTable) -> float:
    began = time.perf_counter()
    without(table, 0)
    return time.perf_counter() - began


def without(table: SyntheticTable, video: int) -> Values:
    """(metrics, systems, S) values of every run on the clips of all other videos."""
    kept = table.clusters != video
    truth = table.truth[kept]
    return np.array(
        [
            [[scorer(run[kept], truth) for run in runs] for runs in table.systems.values()]
            for scorer in table.scorers.values()
        ]
    )


def pseudo_values(table: SyntheticTable) -> tuple[Values, Values]:
    """(metrics, systems, S) values and (metrics, systems, S, V) pseudo-values, as compared."""
    found = [
        [
            values_and_pseudo_values(
                runs, table.truth, table.clusters, metrics[name].on(table.dataset)
            )
            for runs in table.systems.values()
        ]
        for name in table.scorers
    ]
    values, pseudo = zip(*(zip(*of_metric, strict=True) for of_metric in found), strict=True)
    return np.array(values), np.array(pseudo)
