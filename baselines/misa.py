"""MISA: each modality split into what it shares with the others and what is its own.

Shapes: B clips, T frames of a stream, D features of a frame, H hidden size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.linalg import vector_norm
from torch.nn.functional import mse_loss
from torch.nn.utils.rnn import PackedSequence

from baselines._shared.bert import TokenEncoder, audio_vision, masked_mean, tokens_of
from harness.data.batching import Batch, Sequence, Tokens
from harness.spec import ReleasedSelection, SelectionRule
from harness.system import (
    Card,
    Dims,
    Network,
    Output,
    ParameterGroup,
    QuirkParams,
    System,
    TokenParams,
    TrainingParams,
    param,
)

__all__ = ["MISA", "MISAParams", "SharedPrivate", "StackedLSTM", "difference", "moment_distance"]

_MODALITIES = ("text", "vision", "audio")
_MOMENTS = 5
_EPS = 1e-6


@dataclass(frozen=True, kw_only=True)
class MISAParams(TokenParams, QuirkParams):
    """Hyper-parameters of MISA."""

    hidden: int = param(128, low=2, source="MMSA, MOSI")
    dropout: float = param(0.2, low=0.0, high=1.0, source="MMSA, MOSI")
    difference_weight: float = param(0.1, low=0.0, source="MMSA, MOSI")
    similarity_weight: float = param(0.3, low=0.0, source="MMSA, MOSI")
    reconstruction_weight: float = param(1.0, low=0.0, source="MMSA, MOSI")
    loss: str = param("mse", choices=("l1", "mse"), source="MMSA")
    lr: float = param(1e-4, low=0.0, source="MMSA; of BERT too")
    batch_size: int = param(16, low=2, source="MMSA, MOSI")
    accumulate: int = param(2, low=1, source="MMSA")
    clip_value: float = param(0.8, low=0.0, source="MMSA, MOSI")


class StackedLSTM(nn.Module):
    """(B, T, D) -> (B, 4 D): final states of two bidirectional LSTMs, a layer norm between them."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.lower = nn.LSTM(size, size, batch_first=True, bidirectional=True)
        self.norm = nn.LayerNorm(2 * size)
        self.upper = nn.LSTM(2 * size, size, batch_first=True, bidirectional=True)

    def forward(self, stream: Sequence) -> Tensor:
        """Read the true frames of each clip."""
        states, (low, _) = self.lower(stream.packed())  # low: (2, B, D)
        _, (high, _) = self.upper(PackedSequence(self.norm(states.data), *states[1:]))
        both = torch.cat([low, high], dim=2)  # (directions, B, 2 D)
        return both.transpose(0, 1).flatten(1)  # (B, 4 D)


class SharedPrivate(Network):
    """p_m = σ(P_m u_m), s_m = σ(S u_m); y reads a Transformer layer over all six.

    S is one matrix for all modalities. A decoder rebuilds u_m from p_m + s_m.
    """

    def __init__(self, dims: Dims, params: MISAParams) -> None:
        super().__init__()
        (_, audio), (_, vision) = map(dims.need, ("audio", "vision"))
        self.encoder = TokenEncoder(dims)
        self.streams = nn.ModuleDict({"audio": StackedLSTM(audio), "vision": StackedLSTM(vision)})
        sizes = {"text": self.encoder.size, "vision": 4 * vision, "audio": 4 * audio}
        hidden = params.hidden
        self.project = nn.ModuleDict({m: _projection(sizes[m], hidden) for m in _MODALITIES})
        self.private = nn.ModuleDict({m: nn.Linear(hidden, hidden) for m in _MODALITIES})
        self.shared = nn.Linear(hidden, hidden)
        self.rebuild = nn.ModuleDict({m: nn.Linear(hidden, hidden) for m in _MODALITIES})
        self.fusion = nn.TransformerEncoderLayer(hidden, nhead=2, batch_first=True)
        self.head = nn.Sequential(
            *(nn.Linear(6 * hidden, 3 * hidden), nn.Dropout(params.dropout), nn.ReLU()),
            nn.Linear(3 * hidden, 1),
        )
        self.params = params
        if params.published:
            self.unused = _unused(self.encoder.size, hidden)

    def forward(self, batch: Batch) -> Output:
        """Predict one batch."""
        vectors = {m: self.project[m](u) for m, u in self._read(batch).items()}  # (B, H) each
        private = {m: self.private[m](u).sigmoid() for m, u in vectors.items()}
        shared = {m: self.shared(u).sigmoid() for m, u in vectors.items()}
        parts = torch.stack([*private.values(), *shared.values()], dim=1)  # (B, 6, H)
        prediction = self.head(self.fusion(parts).flatten(1)).squeeze(1)  # from (B, 6 H)
        losses = self._losses(vectors, private, shared) if self.training else {}
        return Output(prediction, losses)

    def parameter_groups(self, params: TrainingParams) -> list[ParameterGroup]:
        """All at one rate; as released, the weight decay that is listed is not applied."""
        (group,) = super().parameter_groups(params)
        return [{**group, "weight_decay": 0.0} if self.params.published else group]

    def _read(self, batch: Batch) -> dict[str, Tensor]:
        """One vector per modality: text (B, H_t), vision (B, 4 D_v), audio (B, 4 D_a)."""
        tokens, (audio, vision) = tokens_of(batch), audio_vision(batch)
        return {
            "text": masked_mean(self.encoder(tokens), tokens),
            "vision": self.streams["vision"](self._frames(vision, tokens)),
            "audio": self.streams["audio"](self._frames(audio, tokens)),
        }

    def _frames(self, stream: Sequence, tokens: Tokens) -> Sequence:
        """What an LSTM reads: the clip's true frames; as released, as many as it has tokens."""
        if not self.params.published:
            return stream
        return tokens.stream(stream.untrimmed())

    def _losses(
        self,
        vectors: Mapping[str, Tensor],
        private: Mapping[str, Tensor],
        shared: Mapping[str, Tensor],
    ) -> dict[str, Tensor]:
        rebuilt = [
            mse_loss(self.rebuild[m](private[m] + shared[m]), vectors[m]) for m in _MODALITIES
        ]
        apart = [*((private[m], shared[m]) for m in _MODALITIES), *_pairs(private)]
        unlike = [difference(first, second) for first, second in apart]
        alike = [moment_distance(first, second) for first, second in _pairs(shared)]
        return {
            "difference": self.params.difference_weight * torch.stack(unlike).sum(),
            "similarity": self.params.similarity_weight * torch.stack(alike).mean(),
            "reconstruction": self.params.reconstruction_weight * torch.stack(rebuilt).mean(),
        }


def difference(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared entry of XᵀY, rows of X and Y centred over the batch and of unit length.

    Args:
        first: (B, H) features X.
        second: (B, H) features Y.
    """
    products = _unit_rows(first).T @ _unit_rows(second)  # (H, H)
    return products.square().mean()


def moment_distance(first: Tensor, second: Tensor, moments: int = _MOMENTS) -> Tensor:
    """Central moment discrepancy: Euclidean distances of means and of central moments, summed.

    Args:
        first: (B, H) features.
        second: (B, H) features.
        moments: Highest moment compared.

    Source: Zellinger et al., Central Moment Discrepancy for Domain-Invariant Representation
    Learning, ICLR 2017.
    """
    means = first.mean(0), second.mean(0)  # (H,) each
    centred = first - means[0], second - means[1]
    distances = [vector_norm(means[0] - means[1])]
    for order in range(2, moments + 1):
        own, other = ((values**order).mean(0) for values in centred)  # (H,) each
        distances.append(vector_norm(own - other))
    return torch.stack(distances).sum()


def _unit_rows(values: Tensor) -> Tensor:
    centred = values - values.mean(0)
    lengths = vector_norm(centred, dim=1, keepdim=True).detach()  # as released: not differentiated
    unit: Tensor = centred / (lengths + _EPS)
    return unit


def _pairs(parts: Mapping[str, Tensor]) -> list[tuple[Tensor, Tensor]]:
    return list(combinations(parts.values(), 2))


def _projection(size: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, hidden), nn.ReLU(), nn.LayerNorm(hidden))


def _unused(text: int, hidden: int) -> nn.ModuleList:
    """What the released network holds and no output or loss reads; frozen."""
    return nn.ModuleList([nn.LayerNorm(2 * text), nn.Linear(hidden, 4)]).requires_grad_(False)


MISA = System(
    name="misa",
    card=Card(
        title="MISA",
        paper="Hazarika, Zimmermann, Poria. MISA: Modality-Invariant and -Specific Representations"
        " for Multimodal Sentiment Analysis. ACM Multimedia 2020; as implemented in MMSA",
        year=2020,
        url="https://arxiv.org/abs/2005.03545",
        text="T-BERT",
        deviations=(
            "quirk=fixed: the LSTMs read each clip's true audio and video frames; MMSA cuts both to"
            " the number of text tokens, a rule that is right for word-aligned features only",
            "quirk=fixed: the weight decay that MMSA lists is applied; MMSA never passes it on",
            "quirk=fixed: batches of a step are averaged and the last, incomplete step is taken;"
            " MMSA sums them and drops it",
            "quirk=fixed: a layer norm and a discriminator that nothing reads are left out",
            "Gradients are clipped once per step; MMSA clips after each of its two batches",
            "Selection: the protocol's, on validation MAE; MMSA's on the validation loss, MSE, a"
            " mean of batch means rounded to four digits",
            "The adversarial variant is left out: all settings use the central moment discrepancy",
        ),
        selection=ReleasedSelection(
            source="MMSA 2.2.1, trains/singleTask/MISA.py",
            rules=(SelectionRule(monitor="mse", digits=4, patience=8),),
        ),
    ),
    params=MISAParams,
    presets={
        "mosi": {
            **{"hidden": 128, "dropout": 0.2, "batch_size": 16, "lr": 1e-4, "weight_decay": 0.0},
            **{"difference_weight": 0.1, "similarity_weight": 0.3, "reconstruction_weight": 1.0},
            **{"clip_value": 0.8},
        },
        "mosei": {
            **{"hidden": 128, "dropout": 0.5, "batch_size": 64, "lr": 1e-4, "weight_decay": 5e-5},
            **{"difference_weight": 0.3, "similarity_weight": 0.8, "reconstruction_weight": 1.0},
            **{"clip_value": 0.8},
        },
        "sims": {
            **{"hidden": 128, "dropout": 0.0, "batch_size": 64, "lr": 1e-4, "weight_decay": 5e-5},
            **{"difference_weight": 0.3, "similarity_weight": 1.0, "reconstruction_weight": 0.8},
            **{"clip_value": 1.0, "encoder": "bert-base-chinese", "max_tokens": 39},
        },
        "simsv2": {
            **{"hidden": 64, "dropout": 0.5, "batch_size": 16, "lr": 1e-4, "weight_decay": 5e-5},
            **{"difference_weight": 0.5, "similarity_weight": 1.0, "reconstruction_weight": 0.5},
            **{"clip_value": 0.8, "encoder": "bert-base-chinese"},
        },
    },
    inputs=frozenset({"tokens", "audio", "vision"}),
    build=SharedPrivate,
)
