"""Systems of ours beside the same ones of MMSA's package: equal code, shown without data.

Both get the same weights, clips and batches, all by formula, and train by their own trainers;
predictions, losses, first gradients and optimiser groups must be equal up to rounding. What is
known of a system's counterpart, names of weights above all, is a file in ``systems``.

Left out of both: dropout, clipping of gradients (where the trainers differ, the cards say so) and
selection. Steps gather at most two batches.
"""

from __future__ import annotations

from harness.testing.parity.comparison import (
    TOLERANCES,
    ParityFigures,
    ParityTolerance,
    compare,
)
from harness.testing.parity.counterpart import (
    MENDS,
    SHAPES,
    CorpusShape,
    Counterpart,
    Rules,
    counterparts,
    per_stream,
)
from harness.testing.parity.sides import (
    EPOCHS,
    Figures,
    Group,
    Play,
    show_ours,
    show_theirs,
    staged,
    write_encoders,
)
from harness.testing.parity.study import (
    Change,
    Pair,
    PairOutcome,
    compare_pair,
    compare_pairs,
    pairs_of,
)

__all__ = [
    "EPOCHS",
    "MENDS",
    "SHAPES",
    "TOLERANCES",
    "Change",
    "CorpusShape",
    "Counterpart",
    "Figures",
    "Group",
    "Pair",
    "PairOutcome",
    "ParityFigures",
    "ParityTolerance",
    "Play",
    "Rules",
    "compare",
    "compare_pair",
    "compare_pairs",
    "counterparts",
    "pairs_of",
    "per_stream",
    "show_ours",
    "show_theirs",
    "staged",
    "write_encoders",
]
