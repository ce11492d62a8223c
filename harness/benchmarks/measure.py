"""Measuring two things alternately, and the row that comes of it."""

from __future__ import annotations

import dataclasses
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

__all__ = [
    "FULL",
    "QUICK",
    "TINY",
    "Benchmark",
    "BenchmarkRow",
    "Measure",
    "Scale",
    "alternate",
    "children_cpu",
    "cpu",
    "wall",
]

Measure: TypeAlias = Callable[[], float]
"""Do it once; returns seconds."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much work a benchmark does.

    Args:
        repeats: Pairs of measurements.
        share: Suffix of the names of twins, ``-x5`` keeps five percent of their clips.
        feature_clips: Clips of the feature file; each takes 0.2 MB.
        board_runs: Stored runs a board is made of.
        zoo_rows: Rows of a board on four corpora.
        export_runs: Runs per export, in each repeat.
        commits: Runs stored in each repeat.
        grown: Runs in the fuller of two stores.
        compared: Systems that are compared with each other.
        scan_steps: Lengths of the sequences that a selective scan runs over.
        questions: Put to a model server.
        contests: Systems trained against another library's.
        looped: Systems trained against their bare steps, besides two.
        studied: Systems of a study on one GPU.
        study_seeds: Seeds of each.
        study_workers: Numbers of workers that share the GPU.
        suites: Finished suites in one home.
        suite_rows: Rows of each.
        few_rows: Rows of one more, which is in a home of its own too.
        whole_share: Suffix of the twin's name in a whole study.
        whole_seeds: Seeds of it.
        whole_repeats: How often both go through it.
        limited: Systems held against what the processor can do.
        product: Rows and columns of the matrices that say what it can.
        clips: Test clips that systems are compared on, few and many.
        systems: Systems compared, few and many.
        seeds: Runs of each, few and many.
        stored: Runs of other suites in a store, few and many.
    """

    repeats: int
    share: str
    feature_clips: int
    board_runs: int
    zoo_rows: int
    export_runs: int
    commits: int
    grown: int
    compared: int
    scan_steps: tuple[int, ...]
    questions: int
    contests: int
    looped: int
    studied: int
    study_seeds: int
    study_workers: tuple[int, ...]
    suites: int
    suite_rows: int
    few_rows: int
    whole_share: str
    whole_seeds: int
    whole_repeats: int
    limited: int
    product: int
    clips: tuple[int, int]
    systems: tuple[int, int]
    seeds: tuple[int, int]
    stored: tuple[int, int]


FULL = Scale(
    repeats=5,
    share="",
    feature_clips=1000,
    board_runs=1600,
    zoo_rows=36,
    export_runs=8,
    commits=20,
    grown=10_000,
    compared=20,
    scan_steps=(50, 375),
    questions=96,
    contests=6,
    looped=7,
    studied=8,
    study_seeds=10,
    study_workers=(2, 4, 8),
    suites=20,
    suite_rows=50,
    few_rows=10,
    whole_share="-x25",
    whole_seeds=5,
    whole_repeats=1,
    limited=9,
    product=1024,
    clips=(686, 20_000),
    systems=(5, 80),
    seeds=(5, 100),
    stored=(100, 100_000),
)
QUICK = dataclasses.replace(FULL, repeats=3, looped=1, limited=2, scan_steps=FULL.scan_steps[:1])
"""Fewer rows and repeats, each the same work as in full, so that ratios compare."""
TINY = Scale(
    repeats=1,
    share="-x5",
    feature_clips=6,
    board_runs=4,
    zoo_rows=2,
    export_runs=1,
    commits=1,
    grown=4,
    compared=2,
    scan_steps=(3,),
    questions=4,
    contests=1,
    looped=5,
    studied=1,
    study_seeds=2,
    study_workers=(2,),
    suites=2,
    suite_rows=2,
    few_rows=1,
    whole_share="-x2",
    whole_seeds=1,
    whole_repeats=1,
    limited=2,
    product=32,
    clips=(60, 120),
    systems=(2, 3),
    seeds=(2, 3),
    stored=(2, 5),
)


@dataclass(frozen=True, kw_only=True)
class BenchmarkRow:
    """One comparison.

    Args:
        what: What is measured.
        reference: What it is measured against.
        ours, theirs: One value per repeat, in the order of measurement; empty where what it takes
            is not here.
        unit: Seconds, or bytes.
        target: The largest ratio aimed at, None without one.
        note: What a reader needs beside the numbers.
    """

    what: str
    reference: str
    ours: Sequence[float] = ()
    theirs: Sequence[float] = ()
    unit: Literal["s", "B"] = "s"
    target: float | None = None
    note: str = ""

    @property
    def ratios(self) -> tuple[float, ...]:
        """Ours over theirs, per repeat."""
        return tuple(a / b for a, b in zip(self.ours, self.theirs, strict=True))

    @property
    def measured(self) -> bool:
        """Whether there are values."""
        return len(self.ours) > 0

    @property
    def ratio(self) -> float:
        """The median ratio of a row that was measured."""
        return statistics.median(self.ratios)


Benchmark: TypeAlias = Callable[[Path, Scale], list[BenchmarkRow]]
"""Folder to work in, scale -> rows."""


def alternate(*measures: Measure, repeats: int) -> list[tuple[float, ...]]:
    """Values of each measure, taken in turns after one round that does not count.

    The first round fills caches and imports what is imported late.
    """
    rounds = [tuple(measure() for measure in measures) for _ in range(repeats + 1)]
    return list(zip(*rounds[1:], strict=True))


def wall(work: Callable[[], object]) -> Measure:
    """Elapsed seconds of ``work``."""
    return _seconds(work, time.perf_counter)


def cpu(work: Callable[[], object]) -> Measure:
    """Processor seconds of ``work`` in this process: less of what other processes do is in them."""
    return _seconds(work, time.process_time)


def children_cpu(work: Callable[[], object]) -> Measure:
    """Processor seconds of the processes that ``work`` starts and waits for."""

    def clock() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    return _seconds(work, clock)


def _seconds(work: Callable[[], object], clock: Callable[[], float]) -> Measure:
    def measure() -> float:
        began = clock()
        work()
        return clock() - began

    return measure
