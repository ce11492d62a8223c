"""Losses that move vectors together or apart.

Shapes: B clips, T steps, D features, N vectors, P and Q pairs.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

__all__ = ["masked_mse", "nt_xent", "orthogonality", "triplet_loss"]


def masked_mse(left: Tensor, right: Tensor, mask: Tensor | None) -> Tensor:
    """Mean squared difference of (B, T, D) and (B, T, D) over true steps (B, T); None: all."""
    squares = (left - right).square()
    return squares.mean() if mask is None else squares[mask].mean()


def orthogonality(own: Tensor, shared: Tensor, mask: Tensor | None, pieces: int = 1) -> Tensor:
    """Mean of max(0, cos(own, shared)) over true steps, each cut into equal pieces.

    Args:
        own: (B, T, D).
        shared: (B, T, D).
        mask: (B, T) true steps; None: all.
        pieces: Parts of a step, each compared for itself.
    """
    shape = (pieces, -1)
    # (B, T, pieces, D / pieces) twice -> (B, T, pieces).
    cosines = cosine_similarity(own.unflatten(2, shape), shared.unflatten(2, shape), dim=3).relu()
    return cosines.mean() if mask is None else cosines[mask].mean()


def triplet_loss(vectors: Tensor, labels: Tensor, margin: float = 0.15) -> Tensor:
    """Same labels should be nearer than others, by a margin that grows with the difference.

    For an anchor i the mean of max(0, margin |y_i - y_k| - cos(i, j) + cos(i, k)) over all pairs
    of another j with the label of i and a k with another label; then the mean over the anchors
    that have both.

    Args:
        vectors: (N, D).
        labels: (N,).
        margin: Per unit of label difference.

    Source: Li, Wang, Cui. Decoupled Multimodal Distilling for Emotion Recognition, 2023.
    """
    cosines = cosine_similarity(vectors.unsqueeze(1), vectors.unsqueeze(0), dim=2)  # (N, N)
    gaps = (labels.unsqueeze(1) - labels).abs()  # (N, N)
    others = gaps > 0
    same = ~others & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    hinges = ((margin * gaps + cosines).unsqueeze(1) - cosines.unsqueeze(2)).relu()  # (i, j, k)
    pairs = same.unsqueeze(2) & others.unsqueeze(1)  # (i, j, k)
    counts = pairs.sum((1, 2))  # (N,)
    means = (hinges * pairs).sum((1, 2)) / counts.clamp(min=1)  # (N,)
    return means.sum() / (counts > 0).sum().clamp(min=1)


def nt_xent(vectors: Tensor, positive: Tensor, negative: Tensor, temperature: float) -> Tensor:
    """Every positive pair against all negative pairs of its anchor.

    The mean over positive pairs (a, p) of -log(e^s(a,p) / (e^s(a,p) + Σ_n e^s(a,n))), where n runs
    over the negatives of a and s is the cosine over the temperature.

    Args:
        vectors: (..., N, D); leading dimensions are separate problems, averaged.
        positive: (2, P) anchors and positives, indices into N.
        negative: (2, Q) anchors and negatives.
        temperature: Of the cosines.
    """
    units = torch.nn.functional.normalize(vectors, dim=-1)  # (..., N, D)
    scores = units @ units.mT / temperature  # (..., N, N)
    attracted = scores[..., positive[0], positive[1]]  # (..., P)
    repelled = scores[..., negative[0], negative[1]].unsqueeze(-2)  # (..., 1, Q)
    foreign = negative[0] != positive[0].unsqueeze(1)  # (P, Q)
    repelled = repelled.masked_fill(foreign, -torch.inf)  # (..., P, Q)
    every = torch.cat([attracted.unsqueeze(-1), repelled.expand(*attracted.shape, -1)], dim=-1)
    return (every.logsumexp(-1) - attracted).mean()
