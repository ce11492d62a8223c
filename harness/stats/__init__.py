"""Statistics: is one system better than another, by how much, and could we have seen it?

``compare`` is the test to use, ``rank`` its answer for all systems of a table. ``holm`` goes with
declared families, ``benjamini_hochberg`` with exploration, ``tost`` with claims of no difference.
"""

from harness.stats.collapse import Collapse, collapse, collapse_of_runs, near_constant
from harness.stats.compare import (
    METHOD,
    Comparison,
    Verdict,
    compare,
    compare_run_by_run,
    pair,
)
from harness.stats.conditional import (
    Conditional,
    mcnemar,
    paired_t_over_seeds,
    probability_of_improvement,
    sign_flip,
    wilcoxon_over_seeds,
)
from harness.stats.distribution import Distribution
from harness.stats.equivalence import Equivalence, declared_margin, tost
from harness.stats.family import adjusted, compare_metrics
from harness.stats.multiple import benjamini_hochberg, holm
from harness.stats.narrower import narrower
from harness.stats.power import (
    power,
    resolution,
    resolution_of_accuracy,
    seeds_needed,
    smallest_p_over_seeds,
)
from harness.stats.ranks import (
    DRAWS,
    AverageRank,
    Field,
    Pairing,
    PairTests,
    Ranking,
    Standing,
    Test,
    average_ranks,
    fields_of,
    pair_tests,
    rank,
)
from harness.stats.sequential import LOOKS, levels
from harness.stats.slices import SliceComparison, between_parts, compare_slices, too_small

__all__ = [
    "DRAWS",
    "LOOKS",
    "METHOD",
    "AverageRank",
    "Collapse",
    "Comparison",
    "Conditional",
    "Distribution",
    "Equivalence",
    "Field",
    "PairTests",
    "Pairing",
    "Ranking",
    "SliceComparison",
    "Standing",
    "Test",
    "Verdict",
    "adjusted",
    "average_ranks",
    "benjamini_hochberg",
    "between_parts",
    "calibration",
    "collapse",
    "collapse_of_runs",
    "compare",
    "compare_metrics",
    "compare_run_by_run",
    "compare_slices",
    "declared_margin",
    "estimate",
    "fields_of",
    "finding",
    "holm",
    "items",
    "jackknife",
    "levels",
    "mcnemar",
    "narrower",
    "near_constant",
    "pair",
    "pair_tests",
    "paired_t_over_seeds",
    "power",
    "probability_of_improvement",
    "quality",
    "rank",
    "reference",
    "reproduction",
    "resample",
    "resolution",
    "resolution_of_accuracy",
    "search",
    "seeds_needed",
    "selection",
    "sign_flip",
    "smallest_p_over_seeds",
    "spread",
    "sums",
    "surface",
    "too_small",
    "tost",
    "variance",
    "wilcoxon_over_seeds",
]
