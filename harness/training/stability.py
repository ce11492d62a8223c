"""How far a trained network's predictions depend on what they should not depend on.

Measured for systems that declare such a dependence on their card; for all others conformance
shows that there is none.

Shapes: n clips of a split.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.data.batching import BatchSource
from harness.system import Network
from harness.training.evaluation import EVALUATION_BATCH

__all__ = ["CHECKS", "stability"]

CHECKS = frozenset({"deterministic", "neighbours"})
"""The conformance checks whose failure by design is measured here."""


def stability(network: Network, source: BatchSource) -> dict[str, dict[str, float]]:
    """Predict a split again: as before, one by one, and in another order.

    Returns:
        ``again``, ``alone``, ``shuffled`` -> ``mean`` and ``max`` absolute change of a prediction,
        on the label scale. Noise in evaluation is part of all three.
    """
    rows = torch.arange(len(source))
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(source)))
    first = _predict(network, source, rows.split(EVALUATION_BATCH))
    others: Mapping[str, Iterable[Tensor]] = {
        "again": rows.split(EVALUATION_BATCH),
        "alone": rows.split(1),
        "shuffled": order.split(EVALUATION_BATCH),
    }
    changes = {name: np.abs(_predict(network, source, p) - first) for name, p in others.items()}
    return {
        name: {"mean": float(change.mean()), "max": float(change.max())}
        for name, change in changes.items()
    }


def _predict(
    network: Network, source: BatchSource, batches: Iterable[Tensor]
) -> NDArray[np.float64]:
    """(n,) predictions in storage order, whatever the batches."""
    network.eval()
    values = np.empty(len(source))
    with torch.inference_mode():
        for rows in batches:
            values[rows.numpy()] = network(source.gather(rows)).prediction.float().cpu().numpy()
    return values
