"""Every metric of a dataset compared at once, those that claims rest on corrected together.

MAE, correlation and the dataset's main Acc-2 are declared before looking: they are the confirmatory
family of a comparison, corrected by Holm's method. The other metrics are shown as they are.

Shapes: N clips, S seeds.
"""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from harness.data.datasets import Dataset
from harness.metrics import metrics, metrics_for
from harness.stats.compare import Comparison, compare
from harness.stats.multiple import holm

__all__ = ["adjusted", "compare_metrics", "confirmatory", "main_acc2"]


def main_acc2(dataset: Dataset) -> str:
    """The two-class accuracy that claims about a dataset rest on.

    That over all clips where zero has an agreed side, else that over clips with a sign.

    Example:
        >>> from harness.data.datasets import datasets
        >>> main_acc2(datasets["mosi"]), main_acc2(datasets["sims"])
        ('acc2_non0', 'acc2')
    """
    return "acc2" if metrics["acc2"].defined_on(dataset) else "acc2_non0"


def confirmatory(dataset: Dataset) -> tuple[str, ...]:
    """The metrics whose p-values are corrected together."""
    return ("mae", "corr", main_acc2(dataset))


def compare_metrics(
    pred_a: ArrayLike,
    pred_b: ArrayLike,
    truth: ArrayLike,
    clusters: ArrayLike,
    dataset: Dataset,
) -> list[Comparison]:
    """``compare`` in every primary metric of a dataset, in the order of tables.

    Args:
        pred_a: (S_a, N) predictions of A.
        pred_b: (S_b, N) predictions of B.
        truth: (N,) labels.
        clusters: (N,) source video of each clip.
        dataset: Which metrics apply.

    Raises:
        SubmissionError: As ``compare``.
        SpecError: As ``compare``.
    """
    systems = (pred_a, pred_b, truth, clusters)
    return [
        compare(*systems, metric, dataset=dataset) for metric in metrics_for(dataset, primary=True)
    ]


def adjusted(comparisons: Sequence[Comparison], dataset: Dataset) -> dict[str, float]:
    """Metric of the confirmatory family -> its p-value, corrected by Holm's method.

    Args:
        comparisons: Of two systems, at most one per metric; those outside the family are left out.
        dataset: The dataset that they are of.
    """
    family = [found for found in comparisons if found.metric in confirmatory(dataset)]
    corrected = holm([found.p_value for found in family])
    return {found.metric: float(p) for found, p in zip(family, corrected, strict=True)}
