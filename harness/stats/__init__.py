"""Statistics: is one system better than another, by how much, and could we have seen it?

``compare`` is the test to use; ``crossed_t`` is its analytic check. ``holm`` goes with declared
families, ``benjamini_hochberg`` with exploration, ``tost`` with claims of no difference.
"""

from harness.stats.analytic import TTest, crossed_t, crossed_variance_t
from harness.stats.compare import Comparison, Interval, Verdict, compare
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
    smallest_p_over_seeds,
)
from harness.stats.ranks import (
    AverageRank,
    Field,
    Pairing,
    Ranking,
    Standing,
    average_ranks,
    draw_fields,
    rank,
)

__all__ = [
    "AverageRank",
    "Comparison",
    "Conditional",
    "Distribution",
    "Equivalence",
    "Field",
    "Interval",
    "Pairing",
    "Ranking",
    "Standing",
    "TTest",
    "Verdict",
    "adjusted",
    "average_ranks",
    "benjamini_hochberg",
    "calibration",
    "compare",
    "compare_metrics",
    "crossed_t",
    "crossed_variance_t",
    "declared_margin",
    "draw_fields",
    "holm",
    "mcnemar",
    "narrower",
    "paired_t_over_seeds",
    "power",
    "probability_of_improvement",
    "quality",
    "rank",
    "resample",
    "resolution",
    "resolution_of_accuracy",
    "selection",
    "sign_flip",
    "smallest_p_over_seeds",
    "spread",
    "surface",
    "tost",
    "variance",
    "wilcoxon_over_seeds",
]
