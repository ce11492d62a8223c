"""ConFEDE's encoder of audio and vision, its halves, and which of them attract and repel.

Shapes: B clips, T frames, D vector size, P and Q pairs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harness.data.batching import Sequence

__all__ = ["ConFEDEStreamEncoder", "contrast_pairs", "projector"]


class ConFEDEStreamEncoder(nn.Module):
    """(B, T, features) -> (B, D): a Transformer over a class step and the frames, averaged.

    Args:
        shape: Frames and features of the stream.
        size: D.
        layers: Of the Transformer.
        heads: Of its attention.
        dropout: Everywhere in it.
        padded: Whether the padded length is averaged over, as in the released code.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        size: int,
        layers: int,
        heads: int,
        dropout: float,
        *,
        padded: bool,
    ) -> None:
        super().__init__()
        frames, features = shape
        self.padded = padded
        self.project = nn.Linear(features, size)
        self.first = nn.Parameter(torch.ones(1, 1, size))
        self.positions = nn.Parameter(torch.zeros(1, frames + 1, size))
        self.dropout = nn.Dropout(dropout)
        layer = nn.TransformerEncoderLayer(
            size, heads, size, dropout, activation="gelu", batch_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(size)
        if padded:  # built by the released code and never called; frozen, they only count
            self.unused = nn.ModuleList([nn.Linear(features, size), nn.Linear(size, size)])

    def forward(self, sequence: Sequence) -> Tensor:
        """Encode a batch of one stream; ``padded`` means include the padding."""
        values = sequence.untrimmed() if self.padded else sequence.values
        steps = torch.cat([self.first.expand(len(values), -1, -1), self.project(values)], dim=1)
        steps = self.dropout(steps + self.positions[:, : steps.shape[1]])  # (B, 1 + T, D)
        # (B, 1 + T): the class step counts besides a clip's frames, hence ≤.
        true = torch.arange(steps.shape[1], device=steps.device) <= sequence.lengths.unsqueeze(1)
        encoded: Tensor = self.norm(self.layers(steps, src_key_padding_mask=~true))
        if self.padded:
            return encoded.mean(1)
        return (encoded * true.unsqueeze(2)).sum(1) / true.sum(1, keepdim=True)


def contrast_pairs(clips: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """(2, P) positive and (2, Q) negative pairs among the halves of a clip and those drawn for it.

    Half h of clip c has index h · clips + c; clip 0 is the anchor, 1 and 2 have its label. Within
    every clip the similar text half attracts the other similar halves and repels all dissimilar
    ones. Between clips each similar half of the anchor attracts those of 1 and 2 and repels those
    of the others.

    Args:
        clips: 7, or 1 when none was drawn.
        device: Where the pairs are wanted.
    """
    alike = range(1, min(3, clips))
    positive = [(m * clips, m * clips + c) for m in range(3) for c in alike]
    positive += [(c, m * clips + c) for c in range(clips) for m in (1, 2)]
    negative = [(m * clips, m * clips + c) for m in range(3) for c in range(3, clips)]
    negative += [(c, m * clips + c) for c in range(clips) for m in (3, 4, 5)]
    return torch.tensor(positive, device=device).T, torch.tensor(negative, device=device).T


def projector(size: int, out: int, dropout: float) -> nn.Sequential:
    """(B, size) -> (B, out): dropout(tanh(W norm(x)))."""
    return nn.Sequential(
        *(nn.LayerNorm(size), nn.Linear(size, out), nn.Tanh(), nn.Dropout(dropout))
    )
