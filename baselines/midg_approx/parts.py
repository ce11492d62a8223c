"""Parts of the approximation of MIDG: encoders, cross-modal adapters, gated experts, their router.

Shapes: B clips, T steps of a modality, S steps of another, D size of a state, E experts.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from baselines._shared.bert import TokenEncoder
from baselines._shared.transformer import sinusoids
from harness.data.batching import Sequence, Tokens
from harness.system import Dims

__all__ = [
    "CrossModalAdapter",
    "Expert",
    "HardConcrete",
    "MIDGRouter",
    "MIDGStreamEncoder",
    "MIDGTextEncoder",
    "load_imbalance",
]

STRETCH = (-0.1, 1.1)
"""A gate may reach 0 and 1, since its distribution is stretched beyond them."""


class MIDGTextEncoder(nn.Module):
    """The corpus's pretrained encoder and a projection of its last hidden states."""

    def __init__(self, dims: Dims, size: int) -> None:
        super().__init__()
        self.bert = TokenEncoder(dims)
        self.project = nn.Linear(self.bert.size, size)

    def forward(self, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """States (B, T, D) and the mask of true steps (B, T)."""
        return self.project(self.bert(tokens)), tokens.mask.bool()


class MIDGStreamEncoder(nn.Module):
    """A Transformer over the frames of one stream."""

    def __init__(self, features: int, size: int, heads: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.project = nn.Linear(features, size)
        layer = nn.TransformerEncoderLayer(
            *(size, heads, 4 * size, dropout),
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.layers = nn.TransformerEncoder(
            layer, layers, norm=nn.LayerNorm(size), enable_nested_tensor=False
        )

    def forward(self, sequence: Sequence) -> tuple[Tensor, Tensor]:
        """States (B, T, D) and the mask of true steps (B, T)."""
        embedded = self.project(sequence.values)  # (B, T, D)
        embedded = embedded + sinusoids(embedded.shape[1], embedded.shape[2], embedded.device)
        return self.layers(embedded, src_key_padding_mask=~sequence.mask), sequence.mask


class CrossModalAdapter(nn.Module):
    """What a modality learns from another: W_up attention(W_down x, y), W_up zero at first."""

    def __init__(self, size: int, bottleneck: int, heads: int) -> None:
        super().__init__()
        self.down = nn.Linear(size, bottleneck)
        self.attention = nn.MultiheadAttention(
            bottleneck, heads, kdim=size, vdim=size, batch_first=True
        )
        self.up = nn.Linear(bottleneck, size)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, reader: Tensor, read: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) of one, (B, S, D) of another with its true steps (B, S) -> (B, T, D)."""
        query = self.down(reader)  # (B, T, bottleneck)
        told, _ = self.attention(query, read, read, key_padding_mask=~mask, need_weights=False)
        added: Tensor = self.up(told)
        return added


class HardConcrete(nn.Module):
    """A gate per feature that is exactly 0 or 1 with positive probability.

    In training z = clip(ζ' s + γ, 0, 1), s = sigmoid((log u - log(1 - u) + a) / τ), u uniform,
    γ = -0.1, ζ' = 1.2; in evaluation s = sigmoid(a).

    Args:
        size: D.
        temperature: τ.

    Source: Louizos, Welling, Kingma. Learning Sparse Neural Networks through L0 Regularization,
    2018.
    """

    def __init__(self, size: int, temperature: float) -> None:
        super().__init__()
        self.openness = nn.Parameter(torch.ones(size))
        self.temperature = temperature

    def forward(self, features: Tensor) -> Tensor:
        """(B, D) -> (B, D); in training the gates are drawn once for the batch."""
        low, high = STRETCH
        gates = self._drawn() if self.training else self.openness.sigmoid()
        return features * (gates * (high - low) + low).clamp(0, 1)

    def _drawn(self) -> Tensor:
        noise = torch.rand_like(self.openness).clamp(1e-6, 1 - 1e-6).logit()  # (D,), logistic
        return ((noise + self.openness) / self.temperature).sigmoid()

    def open_share(self) -> Tensor:
        """The expected share of gates that are not 0."""
        low, high = STRETCH
        shift = self.temperature * math.log(-low / high)
        # The probability that a stretched gate lies above 0, in closed form.
        return (self.openness - shift).sigmoid().mean()


class Expert(nn.Module):
    """(B, inputs) -> (B, D): gates, if it has any, and two layers."""

    def __init__(self, inputs: int, size: int, dropout: float, temperature: float | None) -> None:
        super().__init__()
        self.gate = None if temperature is None else HardConcrete(inputs, temperature)
        self.layers = nn.Sequential(
            *(nn.Linear(inputs, size), nn.GELU(), nn.Dropout(dropout)),
            nn.Linear(size, size),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Judge a batch by the features of some modalities."""
        judged: Tensor = self.layers(features if self.gate is None else self.gate(features))
        return judged


class MIDGRouter(nn.Module):
    """(B, inputs) -> (B, E) weights, those of the best ``top`` experts, adding up to 1.

    Args:
        inputs: Size of what decides.
        experts: E.
        top: Experts that are heard.
        noise: Deviation of what is added to the logits in training, so that all are tried.
    """

    def __init__(self, inputs: int, experts: int, top: int, noise: float) -> None:
        super().__init__()
        self.logits = nn.Linear(inputs, experts)
        self.top, self.noise = min(top, experts), noise

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """The weights (B, E), and the softmax over all experts (B, E) that they are taken from."""
        logits = self.logits(features)
        if self.training:
            logits = logits + self.noise * torch.randn_like(logits)
        shares = logits.softmax(1)  # (B, E)
        best = shares.topk(self.top, dim=1)  # (B, top)
        weights = torch.zeros_like(shares).scatter(1, best.indices, best.values)
        return weights / weights.sum(1, keepdim=True), shares


def load_imbalance(weights: Tensor, shares: Tensor) -> Tensor:
    """E times the sum over experts of how often they are heard times their mean share.

    1 when all are heard alike, more otherwise.

    Args:
        weights: (B, E), 0 for experts that are not heard.
        shares: (B, E) softmax over all experts.

    Source: Fedus, Zoph, Shazeer. Switch Transformers, 2022; for several experts per clip.
    """
    heard = (weights > 0).float()
    frequency = heard.mean(0) / heard.sum(1).mean()  # (E,)
    return shares.shape[1] * (frequency * shares.mean(0)).sum()
