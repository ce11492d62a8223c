"""KuDA's fusion: the joint state reads each stream, as far as it can be trusted.

Shapes: B clips, L steps, D size; streams in the order text, vision, audio.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, scaled_dot_product_attention

__all__ = ["STREAMS", "CrossBlock", "Route", "RoutedBlock", "Shape", "info_nce", "trust"]

STREAMS = {"text": "label_T", "vision": "label_V", "audio": "label_A"}
"""Stream -> its uni-modal label."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of a fusion block, the dropout of what reads streams, and the quirk."""

    size: int
    heads: int
    head_size: int
    feed: int
    dropout: float
    published: bool


class CrossBlock(nn.Module):
    """x = norm(query + attention(query, source)), then norm(x + MLP(norm(x)))."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        size, dropout = shape.size, shape.dropout
        self.attention = _Attention(shape, dropout)
        self.norms = nn.ModuleList([nn.LayerNorm(size), nn.LayerNorm(size)])
        self.feed = _feed(shape, dropout)

    def forward(self, query: Tensor, source: Tensor) -> Tensor:
        """(B, L, D) reads (B, L, D) -> (B, L, D)."""
        first, second = self.norms
        state = first(query + self.attention(query, source))
        updated: Tensor = second(state + self.feed(state))
        return updated


class Route(nn.Module):
    """norm(Σ_m (1 + r_m) norm_m(block_m(state, stream_m))).

    As published the ratio stands inside: norm_m((1 + r_m) block_m(...)), and a layer norm forgets
    any factor; without a ratio the sum is of the blocks themselves.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.published = shape.published
        self.readers = nn.ModuleDict({m: CrossBlock(shape) for m in STREAMS})
        self.norms = nn.ModuleDict({m: nn.LayerNorm(shape.size) for m in STREAMS})
        self.norm = nn.LayerNorm(shape.size)

    def forward(
        self, state: Tensor, streams: Mapping[str, Tensor], ratios: Tensor | None
    ) -> Tensor:
        """(B, L, D), streams (B, L, D) each and (B, 3) -> (B, L, D)."""
        total = torch.zeros_like(state)
        for i, m in enumerate(STREAMS):
            read = self.readers[m](state, streams[m])  # (B, L, D)
            if ratios is None:
                total = total + read
            elif self.published:
                total = total + self.norms[m](read * (1 + ratios[:, i, None, None]))
            else:
                total = total + self.norms[m](read) * (1 + ratios[:, i, None, None])
        routed: Tensor = self.norm(total)
        return routed


class RoutedBlock(nn.Module):
    """Routing, self-attention and MLP, each added to the state and normalised."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.route = Route(shape)
        self.attention = _Attention(shape, 0.0)
        self.feed = _feed(shape, 0.0)
        self.norms = nn.ModuleList(nn.LayerNorm(shape.size, eps=1e-6) for _ in range(3))

    def forward(
        self, state: Tensor, streams: Mapping[str, Tensor], ratios: Tensor | None
    ) -> Tensor:
        """(B, L, D), streams (B, L, D) each and (B, 3) -> (B, L, D)."""
        first, second, third = self.norms
        state = first(state + self.route(state, streams, ratios))
        state = second(state + self.attention(state, state))
        updated: Tensor = third(state + self.feed(state))
        return updated


class _Attention(nn.Module):
    """Multi-head attention whose heads need not add up to the size."""

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__()
        size, inner = shape.size, shape.heads * shape.head_size
        self.heads = shape.heads
        self.query, self.key, self.value = (nn.Linear(size, inner, bias=False) for _ in range(3))
        self.output = nn.Sequential(nn.Linear(inner, size), nn.Dropout(dropout))

    def forward(self, query: Tensor, source: Tensor) -> Tensor:
        """(B, L, D) reads (B, L, D) -> (B, L, D)."""
        parts = (self.query(query), self.key(source), self.value(source))
        # Heads before steps: (B, heads, L, head_size) each.
        heads = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts)
        mixed = scaled_dot_product_attention(*heads)
        joined: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return joined


def trust(told: Tensor, truth: Tensor, sharpness: float) -> Tensor:
    """r_m = exp(-k (y_m - y)²), divided by their sum: near predictions are trusted more.

    Args:
        told: (B, 3) predictions of the streams.
        truth: (B,) what they are compared with.
        sharpness: k.

    Returns:
        (B, 3), each row adding up to 1.
    """
    # Exponentials over their sum are a softmax, which does not underflow.
    return torch.softmax(-sharpness * (told - truth.unsqueeze(1)).square(), dim=1)


def info_nce(stream: Tensor, state: Tensor) -> Tensor:
    """Mean of log Σ_j exp cos(stream_i, state_j) - cos(stream_i, state_i), over clips i and j.

    Args:
        stream: (B, D).
        state: (B, D).
    """
    cosines = normalize(stream, dim=1) @ normalize(state, dim=1).T  # (B, B)
    return (cosines.logsumexp(1) - cosines.diagonal()).mean()


def _feed(shape: Shape, dropout: float) -> nn.Sequential:
    size, inner = shape.size, shape.feed
    return nn.Sequential(
        *(nn.LayerNorm(size), nn.Linear(size, inner), nn.GELU(), nn.Dropout(dropout)),
        *(nn.Linear(inner, size), nn.Dropout(dropout)),
    )
