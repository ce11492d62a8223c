"""The predictor that ConFEDE and KuDA put on a vector."""

from __future__ import annotations

from torch import nn

__all__ = ["gelu_mlp"]


def gelu_mlp(*sizes: int) -> nn.Sequential:
    """Linear layers with GELU between them, from the first size down to one number."""
    layers: list[nn.Module] = []
    for left, right in zip(sizes, (*sizes[1:], 1), strict=True):
        layers += [nn.Linear(left, right), nn.GELU()]
    return nn.Sequential(*layers[:-1])
