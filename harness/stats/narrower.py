"""The tests of narrower questions that two systems' runs allow, metric by metric.

Shapes: N clips, S seeds.
"""

from __future__ import annotations

from harness.data.datasets import Dataset
from harness.errors import SpecError
from harness.metrics import Values, metrics
from harness.stats.conditional import (
    Conditional,
    mcnemar,
    paired_t_over_seeds,
    sign_flip,
    wilcoxon_over_seeds,
)
from harness.stats.family import main_acc2
from harness.stats.variance import clip_scores

__all__ = ["narrower"]


def narrower(
    a: Values, b: Values, truth: Values, dataset: Dataset
) -> list[tuple[str, Conditional]]:
    """Tests over seeds where both systems have as many, tests over clips for two single runs.

    Args:
        a: (S, N) predictions of A.
        b: (S, N) predictions of B.
        truth: (N,) labels.
        dataset: Which metrics apply.

    Returns:
        (metric, test) of MAE and of the dataset's main Acc-2.

    Raises:
        SpecError: When neither kind applies: different numbers of runs.
    """
    if len(a) != len(b):
        raise SpecError(
            f"tests over seeds pair runs: A has {len(a)}, B has {len(b)}",
            hint="leave out --narrower; the comparison itself takes unequal numbers",
        )
    return (_two_checkpoints if len(a) == 1 else _over_seeds)(a, b, truth, dataset)


def _over_seeds(
    a: Values, b: Values, truth: Values, dataset: Dataset
) -> list[tuple[str, Conditional]]:
    found = []
    for name in ("mae", main_acc2(dataset)):
        scores = [[metrics[name](run, truth, dataset) for run in runs] for runs in (a, b)]
        found += [(name, paired_t_over_seeds(*scores)), (name, wilcoxon_over_seeds(*scores))]
    return found


def _two_checkpoints(
    a: Values, b: Values, truth: Values, dataset: Dataset
) -> list[tuple[str, Conditional]]:
    found = []
    for name, test in (("mae", sign_flip), (main_acc2(dataset), mcnemar)):
        scores, _ = clip_scores([a[0], b[0]], truth, metrics[name], dataset)
        found.append((name, test(*scores)))
    return found
