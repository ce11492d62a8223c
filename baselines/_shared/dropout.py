"""Dropout whose draws cost a CPU little: random words are cut into lanes of 8 or 16 bits.

PyTorch draws one number for each value, which on one thread takes longer than the largest matrix
product of TFN or all products of an attention of MulT. Elsewhere PyTorch's own dropout is used, as
it is in evaluation. Draws come from torch's generator of the CPU, so that a seed decides them.

Shapes: B clips, H heads, Lq query steps, Ls source steps, E features of a head.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, scaled_dot_product_attention

__all__ = ["LaneDropout", "attention", "lane_dropout"]

_WORD = 64
_LANES = ((8, torch.int8), (16, torch.int16))
"""Bits of a lane and the integer it is read as, the cheaper one first."""


class LaneDropout(nn.Dropout):
    """``nn.Dropout`` by ``lane_dropout``."""

    def forward(self, input: Tensor) -> Tensor:
        """Values of any shape, dropped while training."""
        return lane_dropout(input, self.p) if self.training else input


def lane_dropout(values: Tensor, share: float) -> Tensor:
    """Zero each value with probability ``share`` and scale the others to the same expectation.

    On a CPU the probability is the multiple of 2^-16 nearest to ``share``, and the scale is that
    of this probability, so that the expectation is exact.

    Args:
        values: Of any shape; floating-point.
        share: 0 to 1.
    """
    if values.device.type != "cpu" or _level(share, 16) in (0, 2**16):
        return dropout(values, share)
    return values * _factors(values, share)


def attention(
    query: Tensor, key: Tensor, value: Tensor, *, attn_mask: Tensor | None, dropout_p: float
) -> Tensor:
    """``scaled_dot_product_attention``, on a CPU with ``lane_dropout`` of the weights.

    Args:
        query: (B, H, Lq, E).
        key: (B, H, Ls, E).
        value: (B, H, Ls, E).
        attn_mask: Bool, broadcasts to (B, H, Lq, Ls); True on steps that are seen, of which every
            query has one. None: all.
        dropout_p: Share of weights dropped.

    Returns:
        (B, H, Lq, E).
    """
    if not dropout_p or query.device.type != "cpu":
        return scaled_dot_product_attention(
            query, key, value, attn_mask=attn_mask, dropout_p=dropout_p
        )
    scores = (query / math.sqrt(query.shape[3])) @ key.mT  # (B, H, Lq, Ls)
    if attn_mask is not None:
        scores = scores + attn_mask.to(scores.dtype).log()  # 0 or -inf
    return lane_dropout(scores.softmax(3), dropout_p) @ value


def _factors(values: Tensor, share: float) -> Tensor:
    """Of the shape of ``values``: 0 where one is dropped, else what it is multiplied with."""
    bits, lane = next((b, kind) for b, kind in _LANES if b == 16 or _is_whole(share * 2**b))
    level = _level(share, bits)
    words = torch.empty(math.ceil(values.numel() * bits / _WORD), dtype=torch.int64)
    words.random_(-(2**63), None)  # all 64 bits
    lanes = words.view(lane)[: values.numel()].view(values.shape)
    kept = lanes.ge_(level - 2 ** (bits - 1))  # in place stays in vectors, as bool would not
    return kept.to(values.dtype).mul_(1 / (1 - level / 2**bits))


def _level(share: float, bits: int) -> int:
    """How many of the 2^bits values of a lane drop."""
    return round(share * (1 << bits))


def _is_whole(number: float) -> bool:
    return number == math.floor(number)
