"""The cross-modal Transformer encoder of MulT, which several later systems build on.

Shapes: B clips, Lq query steps, Ls source steps, D features.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

__all__ = ["CrossModalEncoder", "allowed_steps", "sinusoids"]


class CrossModalEncoder(nn.Module):
    """Pre-norm Transformer encoder whose queries and sources may be different streams.

    Every layer reads the same embedded source; without a source a layer reads its own input.

    Args:
        size: D, divisible by ``heads``.
        heads: Attention heads.
        layers: Encoder layers; a layer norm follows the last.
        attention_dropout: Share of attention weights dropped.
        relu_dropout: Share of hidden units of the feed-forward layers dropped.
        residual_dropout: Share of what each sub-layer adds dropped.
        embed_dropout: Share of embedded inputs dropped.
        positions: Whether sinusoidal positions are added to queries and sources.
        causal: Whether steps are masked as ``allowed_steps`` says.
        attend: Mixes values, with the parameters of ``scaled_dot_product_attention``.
        dropout: What drops embedded inputs, hidden units and what sub-layers add.

    Source: Tsai et al., Multimodal Transformer for Unaligned Multimodal Language Sequences, 2019.
    """

    def __init__(
        self,
        size: int,
        heads: int,
        layers: int,
        *,
        attention_dropout: float = 0.0,
        relu_dropout: float = 0.0,
        residual_dropout: float = 0.0,
        embed_dropout: float = 0.0,
        positions: bool = True,
        causal: bool = True,
        attend: Callable[..., Tensor] = scaled_dot_product_attention,
        dropout: type[nn.Dropout] = nn.Dropout,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            _Layer(
                _Attention(size, heads, attention_dropout, attend),
                size,
                relu_dropout=dropout(relu_dropout),
                residual_dropout=dropout(residual_dropout),
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(size)
        self.embed_dropout = dropout(embed_dropout)
        self.positions, self.causal = positions, causal

    def forward(
        self,
        query: Tensor,
        source: Tensor | None = None,
        *,
        query_mask: Tensor | None = None,
        source_mask: Tensor | None = None,
    ) -> Tensor:
        """Encode the queries in the light of the source.

        Args:
            query: (B, Lq, D).
            source: (B, Ls, D); None: self-attention.
            query_mask: (B, Lq) bool, True on true steps, of which each clip has some; None: all.
            source_mask: (B, Ls) bool, likewise; not read in self-attention.

        Returns:
            (B, Lq, D); steps beyond a clip's own are meaningless.
        """
        if source is None:
            allowed = self._allowed(query, query, query_mask, query_mask)
        else:
            allowed = self._allowed(query, source, query_mask, source_mask)
        state = self._embed(query)  # (B, Lq, D)
        # keys and values are the same steps, each with a dropout of its own
        sources = None if source is None else (self._embed(source), self._embed(source))
        for layer in self.layers:
            state = layer(state, sources, allowed)
        encoded: Tensor = self.norm(state)
        return encoded

    def _embed(self, steps: Tensor) -> Tensor:
        """Scale, add positions, drop."""
        scaled = steps * math.sqrt(steps.shape[2])
        if self.positions:
            scaled = scaled + sinusoids(steps.shape[1], steps.shape[2], steps.device)
        embedded: Tensor = self.embed_dropout(scaled)
        return embedded

    def _allowed(
        self, query: Tensor, source: Tensor, query_mask: Tensor | None, source_mask: Tensor | None
    ) -> Tensor | None:
        """(B or 1, 1, Lq or 1, Ls) bool for all heads; None: every step sees every step."""
        allowed = None if source_mask is None else source_mask.unsqueeze(1)  # (B, 1, Ls)
        if self.causal:
            seen = allowed_steps(query, source, query_mask, source_mask)
            allowed = seen if allowed is None else seen & allowed
        return None if allowed is None else allowed.unsqueeze(1)


class _Layer(nn.Module):
    """x + attention(norm(x), norm(source)), then x + W2 ReLU(W1 norm(x)), W1 four times as wide."""

    def __init__(
        self,
        attention: _Attention,
        size: int,
        *,
        relu_dropout: nn.Dropout,
        residual_dropout: nn.Dropout,
    ) -> None:
        super().__init__()
        self.attention = attention
        self.norms = nn.ModuleList([nn.LayerNorm(size), nn.LayerNorm(size)])
        self.feed = nn.Sequential(
            *(nn.Linear(size, 4 * size), nn.ReLU(), relu_dropout),
            nn.Linear(4 * size, size),
        )
        self.dropout = residual_dropout
        for module in (self.feed[0], self.feed[3]):
            _xavier(module)

    def forward(
        self, state: Tensor, sources: tuple[Tensor, Tensor] | None, allowed: Tensor | None
    ) -> Tensor:
        """(B, Lq, D) and keys and values (B, Ls, D) each -> (B, Lq, D)."""
        first, second = self.norms
        query = first(state)
        keys, values = (query, query) if sources is None else map(first, sources)
        state = state + self.dropout(self.attention(query, keys, values, allowed))
        updated: Tensor = state + self.dropout(self.feed(second(state)))
        return updated


class _Attention(nn.Module):
    """Multi-head scaled dot-product attention."""

    def __init__(
        self, size: int, heads: int, dropout: float, attend: Callable[..., Tensor]
    ) -> None:
        super().__init__()
        self.inputs = nn.Linear(size, 3 * size)  # queries, keys and values
        self.output = nn.Linear(size, size)
        self.heads, self.dropout, self.attend = heads, dropout, attend
        for module in (self.inputs, self.output):
            _xavier(module)

    def forward(
        self, query: Tensor, keys: Tensor, values: Tensor, allowed: Tensor | None
    ) -> Tensor:
        """(B, Lq, D), (B, Ls, D), (B, Ls, D) -> (B, Lq, D)."""
        parts = zip(
            (query, keys, values),
            self.inputs.weight.chunk(3),
            self.inputs.bias.chunk(3),
            strict=True,
        )
        # Heads before steps: (B, heads, Lq or Ls, D / heads) each.
        q, k, v = (linear(*part).unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts)
        dropout = self.dropout if self.training else 0.0
        mixed = self.attend(q, k, v, attn_mask=allowed, dropout_p=dropout)
        joined: Tensor = self.output(mixed.transpose(1, 2).flatten(2))  # (B, Lq, D)
        return joined


def allowed_steps(
    query: Tensor, source: Tensor, query_mask: Tensor | None, source_mask: Tensor | None
) -> Tensor:
    """(B or 1, Lq, Ls) bool: step i of Nq may see source step j of Ns when j ≤ i + |Nq - Ns|.

    Counts are of true steps where masks are given, so that padding does not move the diagonal.
    """
    gap = (_steps(query, query_mask) - _steps(source, source_mask)).abs()  # (B or 1,)
    reader = torch.arange(query.shape[1], device=query.device)  # (Lq,)
    read = torch.arange(source.shape[1], device=query.device)  # (Ls,)
    return read <= reader.unsqueeze(1) + gap[:, None, None]


def sinusoids(steps: int, size: int, device: torch.device | None = None) -> Tensor:
    """(steps, size): sines, then cosines, of positions 1 to ``steps``; a last odd feature is 0.

    Wavelengths grow geometrically from 2π to 20000π.
    """
    half = size // 2
    rates = torch.exp(torch.arange(half, device=device) * (-math.log(1e4) / max(1, half - 1)))
    angles = torch.arange(1, steps + 1, device=device).unsqueeze(1) * rates  # (steps, half)
    waves = torch.cat([angles.sin(), angles.cos()], dim=1)  # (steps, 2 half)
    return nn.functional.pad(waves, (0, size - 2 * half))


def _steps(sequence: Tensor, mask: Tensor | None) -> Tensor:
    """(B,) true steps, or (1,) all of them."""
    if mask is None:
        return torch.tensor([sequence.shape[1]], device=sequence.device)
    return mask.sum(1)


def _xavier(module: nn.Module) -> None:
    assert isinstance(module, nn.Linear)
    nn.init.xavier_uniform_(module.weight)
    nn.init.zeros_(module.bias)
