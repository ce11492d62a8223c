"""Predicting a split with a network: evaluation mode, no autograd, clips in storage order.

Shapes: n clips, B clips of a batch, K values per clip.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.batching import Batch, BatchSource
from harness.network import Network

__all__ = ["diagnose", "predict", "tells"]

EVALUATION_BATCH = 256


def predict(
    network: Network, source: BatchSource, how: Callable[[Batch], Tensor] | None = None
) -> NDArray[np.float32]:
    """(n,) predictions; ``how`` (batch -> (B,)) stands in for the network's own."""
    network.eval()
    with torch.inference_mode():
        parts = [
            network(batch).prediction if how is None else how(batch)
            for batch in source.in_order(EVALUATION_BATCH)
        ]
    return torch.cat(parts).float().cpu().numpy()


def diagnose(network: Network, source: BatchSource) -> dict[str, NDArray[np.float32]]:
    """What the network tells about each clip, (n,) or (n, K) by name."""
    network.eval()
    with torch.inference_mode():
        outputs = [network(batch).diagnostics for batch in source.in_order(EVALUATION_BATCH)]
    return {
        name: torch.cat([output[name] for output in outputs]).float().cpu().numpy()
        for name in outputs[0]
    }


def tells(network: Network, source: BatchSource) -> bool:
    """Whether the network has anything to tell; asked of one clip."""
    network.eval()
    with torch.inference_mode():
        return bool(network(source.gather(torch.arange(1))).diagnostics)
