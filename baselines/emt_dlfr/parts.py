"""What EMT-DLFR is made of: streams behind an LSTM, the unit that all share, its losses.

Shapes: B clips, T steps of a stream, d model size, K size of a vector.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import (
    cosine_similarity,
    gelu,
    scaled_dot_product_attention,
    smooth_l1_loss,
)

from harness.data.batching import Sequence

__all__ = [
    "AttractionHead",
    "GlobalPool",
    "MutualUnit",
    "StreamReader",
    "attraction",
    "interleaved_sinusoids",
    "restoration_loss",
]


class StreamReader(nn.Module):
    """An LSTM over true frames; one linear map of its last state and of all of them.

    Args:
        size: Features of a frame.
        hidden: Of the LSTM.
        out: K; without a linear map where the LSTM is as large.
    """

    def __init__(self, size: int, hidden: int, out: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(size, hidden, batch_first=True)
        self.project = nn.Identity() if hidden == out else nn.Linear(hidden, out)

    def forward(self, sequence: Sequence) -> tuple[Tensor, Tensor]:
        """(B, K) of the clip and (B, T, K) of its steps; those beyond its length mean nothing."""
        states, (last, _) = self.lstm(sequence.packed())
        steps = sequence.unpacked(states, sequence.values.shape[1])  # (B, T, hidden)
        return self.project(last[-1]), self.project(steps)


class _Attention(nn.Module):
    """Multi-head attention without biases before the scores."""

    def __init__(self, size: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.query = nn.Linear(size, size, bias=False)
        self.source = nn.Linear(size, 2 * size, bias=False)  # keys, then values
        self.output = nn.Linear(size, size)
        self.heads, self.dropout = heads, dropout

    def forward(self, query: Tensor, source: Tensor, mask: Tensor | None) -> Tensor:
        """(B, Tq, d), (B, Ts, d) and (B, Ts) bool, None: all steps -> (B, Tq, d)."""
        parts = self.query(query), *self.source(source).chunk(2, dim=2)
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts)
        read = scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=None if mask is None else mask[:, None, None],  # (B, 1, 1, Ts)
            dropout_p=self.dropout if self.training else 0.0,
        )  # (B, heads, Tq, d / heads)
        told: Tensor = self.output(read.transpose(1, 2).flatten(2))
        return told


class MutualUnit(nn.Module):
    """x += attention(x, context), x += attention(x, x), x += W2 (a · gelu(b)), [a; b] = W1 x.

    A norm stands before each step, and another before the context.

    Args:
        size: d.
        heads: Of the attention.
        expansion: Size of a and of b in units of d.
        attention_dropout: Share of attention weights dropped.
        feed_dropout: Share of what the last step adds dropped.
    """

    def __init__(
        self,
        size: int,
        heads: int,
        *,
        expansion: int,
        attention_dropout: float,
        feed_dropout: float,
    ) -> None:
        super().__init__()
        self.norms = nn.ModuleDict(
            {name: nn.LayerNorm(size) for name in ("reader", "context", "itself", "feed")}
        )
        self.reads = _Attention(size, heads, attention_dropout)
        self.attends = _Attention(size, heads, attention_dropout)
        self.widen = nn.Linear(size, 2 * expansion * size)
        self.narrow = nn.Linear(expansion * size, size)
        self.dropout = nn.Dropout(feed_dropout)

    def forward(
        self,
        steps: Tensor,
        context: Tensor,
        *,
        mask: Tensor | None = None,
        context_mask: Tensor | None = None,
    ) -> Tensor:
        """Steps (B, T, d) in the light of a context (B, S, d).

        Args:
            steps: What is updated.
            context: What is read.
            mask: (B, T) bool, True on true steps, of which each clip has some; None: all.
            context_mask: (B, S) bool, likewise.
        """
        steps = steps + self.reads(
            self.norms["reader"](steps), self.norms["context"](context), context_mask
        )
        own = self.norms["itself"](steps)
        steps = steps + self.attends(own, own, mask)
        values, gates = self.widen(self.norms["feed"](steps)).chunk(2, dim=2)
        updated: Tensor = steps + self.dropout(self.narrow(values * gelu(gates)))
        return updated


class GlobalPool(nn.Module):
    """Σ_m softmax_m(w · tanh(W g_m + b) + c) g_m over the streams' versions g_m of the tokens."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(size, size), nn.Tanh(), nn.Linear(size, 1))

    def forward(self, versions: Tensor) -> Tensor:
        """(B, M, K) -> (B, K)."""
        weights = self.score(versions).softmax(1)  # (B, M, 1)
        pooled: Tensor = (weights * versions).sum(1)
        return pooled


class AttractionHead(nn.Module):
    """z, a normalised linear map of a vector, and p, what it makes one expect of another view's z.

    Args:
        size: K.
        narrow: Of the bottleneck.
    """

    def __init__(self, size: int, narrow: int) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Linear(size, size), nn.BatchNorm1d(size, affine=False))
        self.predict = nn.Sequential(
            *(nn.Linear(size, narrow, bias=False), nn.BatchNorm1d(narrow), nn.ReLU()),
            nn.Linear(narrow, size),
        )

    def forward(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """(B, K) -> z and p, (B, K) each."""
        projected = self.project(vector)
        return projected, self.predict(projected)


Told = tuple[Tensor, Tensor]
"""z and p of one view, (B, K) each."""


def attraction(complete: Told, incomplete: Told) -> Tensor:
    """Minus the mean cosine of what either view predicts and what the other, a constant, is.

    Source: Chen, He. Exploring Simple Siamese Representation Learning, 2021.
    """
    similar = [
        cosine_similarity(predicted, target.detach(), dim=1).mean()
        for (_, predicted), (target, _) in ((incomplete, complete), (complete, incomplete))
    ]
    return -0.5 * (similar[0] + similar[1])


def restoration_loss(rebuilt: Tensor, target: Tensor, lost: Tensor) -> Tensor:
    """Sum of smooth L1 over lost steps, by the number of values lost.

    Args:
        rebuilt: (B, T, K).
        target: (B, T, K).
        lost: (B, T) bool.
    """
    hole = lost.unsqueeze(2).to(target.dtype)  # (B, T, 1)
    distance = smooth_l1_loss(rebuilt * hole, target * hole, reduction="sum")
    return distance / (hole.sum() * target.shape[2] + 1e-6)  # defined where nothing was lost


def interleaved_sinusoids(steps: int, size: int, device: torch.device | None = None) -> Tensor:
    """(steps, size): sine in even and cosine in odd features of positions from 0."""
    places = torch.arange(size, device=device)
    rates = 10_000.0 ** (-(places - places % 2) / size)  # (size,)
    angles = torch.arange(steps, device=device).unsqueeze(1) * rates  # (steps, size)
    return torch.where(places % 2 == 0, angles.sin(), angles.cos())
