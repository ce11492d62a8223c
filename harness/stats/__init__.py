"""Statistics: is one system better than another, by how much, and could we have seen it?

``compare`` is the test to use, ``rank`` its answer for all systems of a table. ``holm`` goes with
declared families, ``benjamini_hochberg`` with exploration, ``tost`` with claims of no difference.
"""

from harness.stats.collapse import Collapse, collapse, collapse_of_runs, near_constant
from harness.stats.compare import METHOD, Comparison, Verdict, compare, pair
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
    Ranking,
    Standing,
    average_ranks,
    fields_of,
    rank,
)
from harness.stats.sequential import LOOKS, levels

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
    "Pairing",
    "Ranking",
    "Standing",
    "Verdict",
    "adjusted",
    "average_ranks",
    "benjamini_hochberg",
    "calibration",
    "collapse",
    "collapse_of_runs",
    "compare",
    "compare_metrics",
    "declared_margin",
    "estimate",
    "fields_of",
    "holm",
    "jackknife",
    "levels",
    "mcnemar",
    "narrower",
    "near_constant",
    "pair",
    "paired_t_over_seeds",
    "power",
    "probability_of_improvement",
    "quality",
    "rank",
    "reference",
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
    "tost",
    "variance",
    "wilcoxon_over_seeds",
]
