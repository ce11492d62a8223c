"""From designs to differences: predictions scored by the metrics, estimated as ``compare`` does.

Replicates are simulated and scored in blocks, all runs of a block at once: the same functions that
score one system's runs take the runs of many replicates.

Shapes: R replicates, N clips, V source videos, S seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from harness._util.seeds import derive
from harness.data.datasets import datasets
from harness.metrics import Metric, Values
from harness.metrics.classification import ACC2_NON0, F1_NON0
from harness.metrics.regression import CORR, MAE
from harness.stats.calibration.candidates import MeanSquares, Resampled, Table
from harness.stats.calibration.designs import Design, SimulatedSets, System
from harness.stats.estimate import Estimate, estimate
from harness.stats.jackknife import pseudo_values_of
from harness.stats.resample import counts
from harness.stats.sums import Sums, sums_of

__all__ = ["DATASET", "METRICS", "Scored", "pairs", "scored"]

DATASET = "mosi"
"""Whose scale and definitions the simulated test sets have."""

METRICS: Mapping[str, Metric] = {one.name: one for one in (MAE, CORR, ACC2_NON0, F1_NON0)}
"""What is measured."""

_BLOCK = 2**16  # predictions scored at once: few enough for a processor's cache


class Scored:
    """The runs of one system on R test sets, in one metric.

    Args:
        sums: Of R · S runs, those of a test set one after the other.
        runs: S.
        sizes: (V,) clips of each video.
        name: Of the system.
    """

    def __init__(self, sums: Sums, runs: int, sizes: Values, name: str) -> None:
        self._sums, self._runs, self._sizes, self._name = sums, runs, sizes, name
        values, pseudo = pseudo_values_of(sums)
        self.values: Values = values.reshape(-1, runs)  # (R, S)
        self._pseudo = pseudo.reshape(-1, runs, sizes.size)  # (R, S, V)

    def sums(self, replicate: int) -> Sums:
        """Of the runs on one test set."""
        first = replicate * self._runs
        return Sums(self._sums.cells[first : first + self._runs], self._sums.read)

    def estimate(self, replicate: int) -> Estimate:
        """The mean over the runs on one test set."""
        values, pseudo = self.values[replicate], self._pseudo[replicate]
        return estimate(values, pseudo, self._sizes, runs=self._name, videos="test")


def scored(
    design: Design,
    systems: Sequence[System],
    chosen: Sequence[str],
    replicates: int,
    generator: np.random.Generator,
) -> Iterator[list[dict[str, Scored]]]:
    """Simulate systems on the same test sets.

    Args:
        design: What is simulated.
        systems: M, scored on the same clips.
        chosen: Names of metrics.
        replicates: R.
        generator: Of everything.

    Yields:
        Blocks of replicates: per system, metric -> its runs.
    """
    clips, sizes = int(design.sizes.sum()), design.sizes
    step = max(1, _BLOCK // (clips * max(system.runs for system in systems)))
    for start in range(0, replicates, step):
        sets = SimulatedSets(design, min(step, replicates - start), generator)
        yield [
            {
                name: Scored(found, system.runs, sizes, f"system {place}")
                for name, found in _summed(sets, system, chosen).items()
            }
            for place, system in enumerate(systems)
        ]


def _summed(sets: SimulatedSets, system: System, chosen: Sequence[str]) -> dict[str, Sums]:
    """Metric -> sums of all runs of a system in a block."""
    runs = sets.predictions(system).reshape(-1, sets.clusters.size)  # (R·S, N)
    truth = np.repeat(sets.truth, system.runs, axis=0)  # labels differ between test sets
    found = {}
    for name in chosen:
        sums = sums_of(runs, truth, sets.clusters, METRICS[name].on(datasets[DATASET]))
        assert sums is not None, f"{name} is not read off sums"
        found[name] = sums
    return found


def pairs(
    design: Design,
    difference: float,
    chosen: Sequence[str],
    *,
    replicates: int,
    bootstrapped: int,
    draws: int,
    seed: int,
) -> dict[str, Table]:
    """Simulated comparisons of two systems.

    Args:
        design: What is simulated.
        difference: Relative difference of error scales.
        chosen: Names of metrics.
        replicates: R.
        bootstrapped: How many of them are bootstrapped.
        draws: Of a bootstrap.
        seed: Of everything; what is simulated does not depend on draws.

    Returns:
        Metric -> R differences.
    """
    simulating, drawing = (
        np.random.default_rng(derive(seed, what)) for what in ("simulation", "bootstrap")
    )
    found: dict[str, list[Estimate]] = {name: [] for name in chosen}
    draw: dict[str, list[Resampled]] = {name: [] for name in chosen}
    values: dict[str, list[tuple[Values, Values]]] = {name: [] for name in chosen}
    done = 0
    for a, b in scored(design, design.pair(difference), chosen, replicates, simulating):
        count = len(a[chosen[0]].values)
        wanted = range(min(max(0, bootstrapped - done), count))
        done += count
        videos = [counts(design.videos, draws, drawing) for _ in wanted]
        for name in chosen:
            one, other = a[name], b[name]
            gaps = [one.estimate(r) - other.estimate(r) for r in range(count)]
            first = [(one.sums(r), other.sums(r), gaps[r]) for r in wanted]
            found[name] += gaps
            draw[name].append(Resampled.of(first, videos, drawing))
            values[name].append((one.values, other.values))
    return {
        name: Table(
            squares=MeanSquares.of(found[name]),
            resampled=Resampled(*(np.concatenate(part) for part in zip(*draw[name], strict=True))),
            values=(
                np.concatenate([a for a, _ in values[name]]),
                np.concatenate([b for _, b in values[name]]),
            ),
            videos=design.videos,
        )
        for name in chosen
    }
