"""Predicting a split with a network: evaluation mode, no autograd, results in storage order.

Shapes: n clips, B clips of a batch, K values per clip, C conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.corruption import Corrupter
from harness.data.batching import Batch, BatchSource
from harness.spec.conditions import Condition
from harness.system import Network, Output

__all__ = ["diagnose", "diagnose_under", "predict", "predict_under", "tells"]

EVALUATION_BATCH = 256


def predict(
    network: Network, source: BatchSource, how: Callable[[Batch], Tensor] | None = None
) -> NDArray[np.float32]:
    """(n,) predictions; ``how`` (batch -> (B,)) stands in for the network's own."""
    network.eval()
    parts, places = [], []
    with torch.inference_mode():
        for batch in _batches(network, source):
            places.append(batch.rows)
            with network.casting():
                parts.append(network(batch).prediction if how is None else how(batch))
    return torch.cat(parts)[_stored(places)].float().cpu().numpy()


def diagnose(network: Network, source: BatchSource) -> dict[str, NDArray[np.float32]]:
    """What the network tells about each clip, (n,) or (n, K) by name."""
    network.eval()
    outputs, places = [], []
    with torch.inference_mode():
        for batch in _batches(network, source):
            places.append(batch.rows)
            outputs.append(network(batch))
    return _joined(outputs, _stored(places))


def predict_under(
    network: Network, source: BatchSource, corrupter: Corrupter, conditions: Sequence[Condition]
) -> NDArray[np.float32]:
    """(C, n) predictions; all conditions share the draws of a batch."""
    parts, stored = _outputs(network, source, corrupter, conditions)
    rows = [torch.cat([output.prediction for output in own])[stored] for own in parts]
    return torch.stack(rows).float().cpu().numpy()


def diagnose_under(
    network: Network, source: BatchSource, corrupter: Corrupter, conditions: Sequence[Condition]
) -> list[dict[str, NDArray[np.float32]]]:
    """What the network tells about each clip under each condition."""
    parts, stored = _outputs(network, source, corrupter, conditions)
    return [_joined(own, stored) for own in parts]


def _outputs(
    network: Network, source: BatchSource, corrupter: Corrupter, conditions: Sequence[Condition]
) -> tuple[list[list[Output]], Tensor]:
    """One list of the batches' outputs per condition, and where each clip is among them, (n,)."""
    network.eval()
    places = []
    found: list[list[Output]] = [[] for _ in conditions]
    with torch.inference_mode():
        for batch in _batches(network, source):
            places.append(batch.rows)
            draws = corrupter.draws(batch.rows)
            for own, condition in zip(found, conditions, strict=True):
                output: Output = network(corrupter.under(condition, batch, draws))
                own.append(Output(output.prediction, diagnostics=output.diagnostics))
    return found, _stored(places)


def _batches(network: Network, source: BatchSource) -> Iterator[Batch]:
    """All clips once, in the batches that the network wants."""
    order = network.evaluation_order(len(source))
    if order is None:
        yield from source.in_order(EVALUATION_BATCH)
    else:
        yield from map(source.gather, order)


def _stored(places: Sequence[Tensor]) -> Tensor:
    """(n,) where the clip of each row is among those of the batches."""
    return torch.cat(list(places)).argsort()


def _joined(outputs: Sequence[Output], stored: Tensor) -> dict[str, NDArray[np.float32]]:
    return {
        name: torch.cat([output.diagnostics[name] for output in outputs])[stored]
        .float()
        .cpu()
        .numpy()
        for name in outputs[0].diagnostics
    }


def tells(network: Network, source: BatchSource) -> bool:
    """Whether the network has anything to tell; asked of one clip."""
    network.eval()
    with torch.inference_mode():
        return bool(network(source.gather(torch.arange(1))).diagnostics)
