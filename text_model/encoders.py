"""The blocks TEXT is made of: attention, feed-forward layer, stream encoder, text encoder.

Shapes: B clips, L steps of a query, S steps of a source, D features, H heads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from harness.data.batching import Tokens
from harness.text import Encoder

__all__ = [
    "Attention",
    "EncoderSize",
    "FeedForward",
    "Layer",
    "Padded",
    "StreamEncoder",
    "TextEncoder",
]


class Padded(NamedTuple):
    """A sequence (B, L, D) and its mask (B, L) bool, True on steps that count."""

    values: Tensor
    mask: Tensor


@dataclass(frozen=True, kw_only=True)
class EncoderSize:
    """Widths shared by all blocks."""

    hidden: int
    """D"""
    heads: int
    """H"""
    head_size: int


class FeedForward(nn.Sequential):
    """Linear, GELU, Linear, all of width D; also the form of an expert."""

    def __init__(self, hidden: int) -> None:
        super().__init__(nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, hidden))


class Attention(nn.Module):
    """Attn(LN_q q, LN_k s, LN_v s): one normalisation each for queries, keys and values."""

    def __init__(self, size: EncoderSize) -> None:
        super().__init__()
        inner = size.heads * size.head_size
        self.heads = size.heads
        self.norm_q = nn.LayerNorm(size.hidden)
        self.norm_k = nn.LayerNorm(size.hidden)
        self.norm_v = nn.LayerNorm(size.hidden)
        self.to_q = nn.Linear(size.hidden, inner, bias=False)
        self.to_k = nn.Linear(size.hidden, inner, bias=False)
        self.to_v = nn.Linear(size.hidden, inner, bias=False)
        self.out = nn.Linear(inner, size.hidden)

    def forward(self, query: Tensor, source: Padded) -> Tensor:
        """(B, L, D) reads (B, S, D) where its mask allows -> (B, L, D)."""
        mixed = scaled_dot_product_attention(
            self._split(self.to_q(self.norm_q(query))),  # (B, H, L, head_size)
            self._split(self.to_k(self.norm_k(source.values))),  # (B, H, S, head_size)
            self._split(self.to_v(self.norm_v(source.values))),  # (B, H, S, head_size)
            attn_mask=source.mask[:, None, None, :],  # (B, 1, 1, S)
        )
        joined: Tensor = self.out(mixed.transpose(1, 2).flatten(2))  # (B, L, D)
        return joined

    def _split(self, steps: Tensor) -> Tensor:
        """(B, L, H · head_size) -> (B, H, L, head_size)."""
        heads: Tensor = steps.unflatten(2, (self.heads, -1)).transpose(1, 2)
        return heads


class Layer(nn.Module):
    """X + Attn(X, S), then X + FFN(LN X)."""

    def __init__(self, size: EncoderSize) -> None:
        super().__init__()
        self.attention = Attention(size)
        self.norm = nn.LayerNorm(size.hidden)
        self.feed = FeedForward(size.hidden)

    def forward(self, query: Tensor, source: Padded) -> Tensor:
        """(B, L, D) and a source (B, S, D), which may be the query itself -> (B, L, D)."""
        query = query + self.attention(query, source)
        updated: Tensor = query + self.feed(self.norm(query))
        return updated


class StreamEncoder(nn.Module):
    """One stream: projection, a learnable token in front, learned positions, one layer.

    Args:
        features: Features per step as they come.
        steps: Steps of the stream; the encoder returns one more.
        size: Widths.
    """

    def __init__(self, features: int, steps: int, size: EncoderSize) -> None:
        super().__init__()
        self.project = nn.Linear(features, size.hidden)
        self.token = nn.Parameter(torch.zeros(1, 1, size.hidden))
        self.position = nn.Parameter(torch.randn(1, steps + 1, size.hidden))
        self.layer = Layer(size)

    def forward(self, stream: Padded) -> Padded:
        """(B, L, features) -> (B, 1 + L, D)."""
        steps = self.project(stream.values)  # (B, L, D)
        token = self.token.expand(len(steps), -1, -1)  # (B, 1, D)
        values = torch.cat([token, steps], dim=1) + self.position  # (B, 1 + L, D)
        mask = nn.functional.pad(stream.mask, (1, 0), value=True)  # the token always counts
        return Padded(self.layer(values, Padded(values, mask)), mask)


class TextEncoder(nn.Module):
    """The pretrained encoder that transcript and explanations share, fine-tuned.

    Args:
        encoder: Where it comes from.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.network = encoder.load()
        pooler = getattr(self.network, "pooler", None)
        if pooler is not None:  # TEXT reads hidden states only
            pooler.requires_grad_(False)

    def forward(self, tokens: Tokens) -> Padded:
        """Last hidden states, (B, L, hidden size of the encoder)."""
        hidden = self.network(
            input_ids=tokens.ids,
            attention_mask=tokens.attended(self.network),
            token_type_ids=tokens.segments,
        ).last_hidden_state
        return Padded(hidden, tokens.mask.bool())
