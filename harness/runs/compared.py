"""Comparisons of systems, remembered by the content of what is compared.

All pairs of the rows of a board take seconds, and most boards differ from the last one in a row or
a corpus. The tests of a field of systems depend on its estimates alone, which are made of stored
predictions and labels: they are kept in the store under a digest of these and of
the code that compares. A changed prediction is another field, and has tests of its own.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness._util.by_content import ByContent, computed_by
from harness.metrics import Values
from harness.runs.store import RunStore
from harness.stats import Field, PairTests, pair_tests

__all__ = ["Compared"]


class Compared:
    """Tests of fields, remembered by a store.

    Args:
        store: Which.
    """

    def __init__(self, store: RunStore) -> None:
        package = Path(__file__).parents[1]
        rules = [*(package / "stats").glob("*.py"), package / "_util" / "seeds.py"]
        self._known = ByContent(store.computed / "pairs", computed_by(rules, "numpy", "scipy"))

    def tests(self, systems: Field, draws: int) -> PairTests:
        """As ``pair_tests``."""
        names, total = PairTests.order_of(systems), len(systems.names)
        pairs, count = len(names) * (len(names) - 1) // 2, len(names)

        def compute() -> Values:
            found = pair_tests(systems, draws)
            return np.concatenate([found.figures.ravel(), found.not_best, found.intervals.ravel()])

        known = self._known.of([systems.content(), draws], 7 * pairs + count + 2 * total, compute)
        figures, not_best, intervals = np.split(known, [7 * pairs, 7 * pairs + count])
        return PairTests(
            names=names,
            figures=figures.reshape(7, pairs),
            not_best=not_best,
            intervals=intervals.reshape(total, 2),
        )
