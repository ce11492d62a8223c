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

__all__ = ["narrower"]

_MAIN_ACC2 = {"mosi": "acc2_non0", "sims": "acc2"}


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

    for name in ("mae", _MAIN_ACC2[dataset.family]):
        scores = [[metrics[name](run, truth, dataset) for run in runs] for runs in (a, b)]
        yield name, paired_t_over_seeds(*scores)
        yield name, wilcoxon_over_seeds(*scores)


def _two_checkpoints(
    a: Runs, b: Runs, truth: Runs, dataset: Dataset
) -> Iterator[tuple[str, Conditional]]:
    import numpy as np

    from harness.metrics import metrics, prepare
    from harness.metrics.classification import ClassScore
    from harness.stats import mcnemar, sign_flip

    clip = (-1.0, 1.0) if dataset.family == "sims" else (-np.inf, np.inf)
    values = [prepare(run[0].clip(*clip), truth, dataset)[0] for run in (a, b)]
    yield "mae", sign_flip(np.abs(values[0] - truth), np.abs(values[1] - truth))
    name = _MAIN_ACC2[dataset.family]
    rule = metrics[name].on(dataset)
    assert isinstance(rule, ClassScore)  # an accuracy is
    kept = np.ones(truth.shape, bool) if rule.keep is None else rule.keep(truth)
    right = [(rule.code(value) == rule.code(truth))[kept] for value in values]
    yield name, mcnemar(*right)
