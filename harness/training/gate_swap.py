"""Do a network's gates matter? Its predictions when clips swap gate values.

Weights and inputs stay as they are; each clip is treated as if it were judged like another one. A
gate that predictions depend on for a reason makes them worse that way.

Shapes: n clips of a split.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from harness.corruption import Corrupter
from harness.data.batching import BatchSource
from harness.system import Network
from harness.system.diagnostics import MIXED, MIXED_LAW, swapped
from harness.system.gates import collected, replaced
from harness.training.evaluation import EVALUATION_BATCH, predict
from harness.training.permutation import others

__all__ = ["swap", "swaps"]


def swaps(
    network: Network, source: BatchSource, corrupter: Corrupter, seed: int
) -> Mapping[str, NDArray[np.float64]]:
    """Predictions that say whether gates matter, by the names of ``system.diagnostics``.

    Args:
        network: Trained, with gates.
        source: Clips of a split as they are.
        corrupter: Of the split. In the mixture every clip suffers in a way and strength of its own,
            so that there is something to tell apart.
        seed: Of who gets whose values.

    Returns:
        Name -> (n,).
    """
    mixed = corrupter.fixed(source, MIXED_LAW)
    order = others(len(source), seed)
    found = {
        swapped("clean"): swap(network, source, order),
        MIXED: predict(network, mixed),
        swapped(MIXED): swap(network, mixed, order),
    }
    return {name: values.astype(np.float64) for name, values in found.items()}


def swap(network: Network, source: BatchSource, order: NDArray[np.int64]) -> NDArray[np.float32]:
    """(n,) predictions when clip i is judged as clip ``order[i]`` was."""
    network.eval()
    with torch.inference_mode():
        with collected(network) as kept:
            for batch in source.in_order(EVALUATION_BATCH):
                network(batch)
        given = {name: torch.cat(parts)[torch.from_numpy(order)] for name, parts in kept.items()}
        predictions = []
        for batch in source.in_order(EVALUATION_BATCH):
            with replaced(network, {name: own[batch.rows] for name, own in given.items()}):
                predictions.append(network(batch).prediction)
    return torch.cat(predictions).float().cpu().numpy()
