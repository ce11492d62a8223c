"""Tests that answer a narrower question than ``msa compare``, each with its verdict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.errors import SpecError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.data.datasets import Dataset
    from harness.stats import Conditional

    Runs = NDArray[np.float64]

__all__ = ["main_acc2", "narrower"]


def main_acc2(dataset: Dataset) -> str:
    """The Acc-2 of the confirmatory family: over all clips where zero has an agreed side."""
    from harness.metrics import metrics

    return "acc2" if metrics["acc2"].defined_on(dataset) else "acc2_non0"


def narrower(a: Runs, b: Runs, truth: Runs, dataset: Dataset) -> list[dict[str, object]]:
    """Tests over seeds where both systems have as many, tests over clips for two single runs.

    Args:
        a: (S_a, N) predictions of A.
        b: (S_b, N) predictions of B.
        truth: (N,) labels.
        dataset: Which metrics apply.

    Raises:
        SpecError: When neither kind applies: different numbers of runs.
    """
    if len(a) != len(b):
        raise SpecError(
            f"tests over seeds pair runs: A has {len(a)}, B has {len(b)}",
            hint="leave out --narrower; the two-way bootstrap takes unequal numbers",
        )
    found = _two_checkpoints if len(a) == 1 else _over_seeds
    return [
        {
            "metric": metric,
            "test": test.test,
            "p": test.p_value,
            "question": test.question,
            "verdict": test.warning or "valid for that question",
        }
        for metric, test in found(a, b, truth, dataset)
    ]


def _over_seeds(
    a: Runs, b: Runs, truth: Runs, dataset: Dataset
) -> Iterator[tuple[str, Conditional]]:
    from harness.metrics import metrics
    from harness.stats import paired_t_over_seeds, wilcoxon_over_seeds

    for name in ("mae", main_acc2(dataset)):
        scores = [[metrics[name](run, truth, dataset) for run in runs] for runs in (a, b)]
        yield name, paired_t_over_seeds(*scores)
        yield name, wilcoxon_over_seeds(*scores)


def _two_checkpoints(
    a: Runs, b: Runs, truth: Runs, dataset: Dataset
) -> Iterator[tuple[str, Conditional]]:
    from harness.metrics import metrics
    from harness.stats import mcnemar, sign_flip
    from harness.stats.variance import clip_scores

    for name, test in (("mae", sign_flip), (main_acc2(dataset), mcnemar)):
        scores, _ = clip_scores([a[0], b[0]], truth, metrics[name], dataset)
        yield name, test(*scores)
