"""Losses on labels that only some clips have."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["partial_loss"]


def partial_loss(loss: Callable[[Tensor, Tensor], Tensor], told: Tensor, labels: Tensor) -> Tensor:
    """Mean loss over the places that have a label; 0, with gradients of 0, where none has.

    Where all have one it is ``loss(told, labels)`` to the last bit.

    Args:
        loss: A mean over places that is 0 where both of its arguments are: ``l1_loss``.
        told: Predictions, of the shape of ``labels``.
        labels: NaN where there is none.
    """
    known = ~labels.isnan()
    mean = loss(torch.where(known, told, 0.0), torch.where(known, labels, 0.0))
    return mean * (known.numel() / known.sum().clamp(min=1))
