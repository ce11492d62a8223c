"""The representation of a network that was not asked for one.

Shapes: B clips of a batch, H features.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from harness.errors import SpecError

__all__ = ["Capture"]


class Capture:
    """While open, notes what the linear layers of a network read.

    Of these notes the representation is made: what the last linear layer before the prediction
    read. The way back from the prediction is that of its gradient, so layers that were called later
    or lead elsewhere (uni-modal predictors, projections of a contrastive loss) do not count. Where
    several layers are last, their inputs are put side by side.

    Args:
        network: Any network.
    """

    def __init__(self, network: nn.Module) -> None:
        self._layers = [m for m in network.modules() if isinstance(m, nn.Linear)]
        self._read: dict[Any, Tensor] = {}
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> Capture:
        self._hooks = [layer.register_forward_hook(self._note) for layer in self._layers]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _note(self, _: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if output.grad_fn is not None:
            self._read[output.grad_fn] = inputs[0]

    def representation(self, prediction: Tensor) -> Tensor:
        """(B, H), as made on the way to ``prediction`` (B,).

        Raises:
            SpecError: When no linear layer leads to the prediction, or what the last one reads is
                not one vector per clip.
        """
        last = self._last(prediction)
        vectors = [values.squeeze() if values.ndim > 2 else values for values in last]
        if not last or any(v.ndim != 2 or len(v) != len(prediction) for v in vectors):
            found = ", ".join(str(tuple(values.shape)) for values in last) or "nothing"
            raise SpecError(
                f"this network has no representation to compare between domains: its last linear"
                f" layers read {found}, expected ({len(prediction)}, features)",
                hint='objective = "vrex" or "group_dro", which need none',
            )
        return torch.cat(vectors, dim=1)

    def _last(self, prediction: Tensor) -> list[Tensor]:
        """What the layers read that are last on some way to the prediction, the shortest first."""
        found, seen, waiting = list[Tensor](), set[Any](), [prediction.grad_fn]
        while waiting:
            node = waiting.pop(0)
            if node is None or node in seen:
                continue
            seen.add(node)
            if node in self._read:
                found.append(self._read[node])
            else:
                waiting.extend(parent for parent, _ in node.next_functions)
        return found
