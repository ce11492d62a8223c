"""Statistics: is one system better than another, by how much, and could we have seen it?

``compare`` is the test to use, ``rank`` its answer for all systems of a table. ``holm`` goes with
declared families, ``benjamini_hochberg`` with exploration, ``tost`` with claims of no difference.
"""

from harness.stats.collapse import Collapse, collapse
from harness.stats.compare import Comparison, Verdict, compare
from harness.stats.conditional import (
    Conditional,
    mcnemar,
    paired_t_over_seeds,
    probability_of_improvement,
    sign_flip,
    wilcoxon_over_seeds,
)
from harness.stats.equivalence import Equivalence, declared_margin, tost
from harness.stats.multiple import benjamini_hochberg, holm
from harness.stats.power import (
    power,
    resolution,
    resolution_of_accuracy,
    seeds_needed,
    smallest_p_over_seeds,
)
from harness.stats.ranks import (
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
    "LOOKS",
    "AverageRank",
    "Collapse",
    "Comparison",
    "Conditional",
    "Equivalence",
    "Field",
    "Pairing",
    "Ranking",
    "Standing",
    "Verdict",
    "average_ranks",
    "benjamini_hochberg",
    "collapse",
    "compare",
    "declared_margin",
    "fields_of",
    "holm",
    "levels",
    "mcnemar",
    "paired_t_over_seeds",
    "power",
    "probability_of_improvement",
    "rank",
    "resolution",
    "resolution_of_accuracy",
    "seeds_needed",
    "sign_flip",
    "smallest_p_over_seeds",
    "tost",
    "wilcoxon_over_seeds",
]
