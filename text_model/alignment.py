"""Explanation alignment: what an explanation says, in the light of the stream it explains.

Shapes: B clips, L steps of the explanation, S steps of the stream, D features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from text_model.encoders import EncoderSize, Layer, Padded

__all__ = ["CrossAlignment", "LinearAlignment"]


class CrossAlignment(nn.Module):
    """E' = E + Attn(LN_q E, LN_k S, LN_v S); out = E' + FFN(LN E').

    Query and residual are the explanation E: the result counts its tokens, no longer frames. The
    stream S enters through attention values only.

    Args:
        steps: Steps of both, their learnable tokens included.
        size: Widths.
    """

    def __init__(self, steps: int, size: EncoderSize) -> None:
        super().__init__()
        self.source_position = nn.Parameter(torch.randn(1, steps, size.hidden))
        self.target_position = nn.Parameter(torch.randn(1, steps, size.hidden))
        self.layer = Layer(size)

    def forward(self, stream: Padded, explanation: Padded) -> Padded:
        """(B, S, D), (B, L, D) -> (B, L, D), masked as the explanation."""
        source = Padded(stream.values + self.source_position, stream.mask)
        target = explanation.values + self.target_position  # (B, L, D)
        return Padded(self.layer(target, source), explanation.mask)


class LinearAlignment(nn.Module):
    """W [S_i; E_i] + b at every step i: the alignment replaced by a linear layer.

    The paper names this ablation and does not define it where we could read it.
    """

    def __init__(self, size: EncoderSize) -> None:
        super().__init__()
        self.mix = nn.Linear(2 * size.hidden, size.hidden)

    def forward(self, stream: Padded, explanation: Padded) -> Padded:
        """(B, L, D), (B, L, D) -> (B, L, D), true where either is."""
        pair = torch.cat([_silenced(stream), _silenced(explanation)], dim=2)  # (B, L, 2 D)
        return Padded(self.mix(pair), stream.mask | explanation.mask)


def _silenced(stream: Padded) -> Tensor:
    """Zero where the mask is False."""
    return stream.values * stream.mask.unsqueeze(2)
