"""Which benchmarks there are."""

from __future__ import annotations

from collections.abc import Mapping

from harness.benchmarks.against_mmsa import training_against_mmsa
from harness.benchmarks.conversion import conversion
from harness.benchmarks.gpu import on_a_gpu
from harness.benchmarks.growth import comparing_more, storing_more
from harness.benchmarks.limit import physical_limit
from harness.benchmarks.llm_client import asking
from harness.benchmarks.measure import Benchmark
from harness.benchmarks.scan import selective_scan
from harness.benchmarks.startup import start_up
from harness.benchmarks.statistics import all_pairs
from harness.benchmarks.store import board, board_of_all, commit, export, growth
from harness.benchmarks.thousands import thousands
from harness.benchmarks.training import loop_overhead, trimming
from harness.benchmarks.whole_study import whole_study

__all__ = ["BENCHMARKS", "QUICKEST", "SEPARATE"]

BENCHMARKS: Mapping[str, Benchmark] = {
    "training-loop": loop_overhead,
    "limit": physical_limit,
    "mmsa": training_against_mmsa,
    "whole-study": whole_study,
    "trimming": trimming,
    "conversion": conversion,
    "board": board,
    "zoo": board_of_all,
    "pairs": all_pairs,
    "mlflow": export,
    "commit": commit,
    "growth": growth,
    "thousands": thousands,
    "comparing-more": comparing_more,
    "storing-more": storing_more,
    "start-up": start_up,
    "selective-scan": selective_scan,
    "asking": asking,
    "gpu": on_a_gpu,
}

SEPARATE = frozenset({"mmsa", "whole-study", "asking"})
"""Those whose reference needs an environment of its own, made on first use."""

QUICKEST = (
    "training-loop",
    "limit",
    "conversion",
    "mlflow",
    "commit",
    "start-up",
    "selective-scan",
)
"""Those that take five minutes together with ``measure.QUICK``."""
