"""LMF: tensor fusion whose weight tensor is a sum of rank-one terms, so it is never formed.

Shapes: B clips, H_t, H_a, H_v sizes of the vectors of text, audio, vision.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines._shared.blocks import StreamNets, StreamParams, with_one
from harness.data.batching import Batch
from harness.spec import ReleasedSelection, SelectionRule
from harness.system import Card, Dims, Network, Output, System, TrainingParams, param

__all__ = ["LMF", "LMFParams", "LowRankFusion"]


@dataclass(frozen=True, kw_only=True)
class LMFParams(StreamParams):
    """Hyper-parameters of LMF."""

    rank: int = param(3, low=1, source="MMSA, MOSI")
    factor_lr: float = param(1e-3, low=0.0, source="MMSA, MOSI")


class LowRankFusion(Network):
    """y = Σ_i w_i Π_m ([1; h_m] · F_m[i]) + b, with i over ranks and m over streams."""

    def __init__(self, dims: Dims, params: LMFParams) -> None:
        super().__init__()
        text_out = params.text_hidden // 2
        self.nets = StreamNets(dims, params, text_out)
        self.factors = nn.ParameterList(
            nn.Parameter(torch.empty(params.rank, size + 1))
            for size in (text_out, params.audio_hidden, params.vision_hidden)
        )
        self.weights = nn.Parameter(torch.empty(1, params.rank))
        self.bias = nn.Parameter(torch.zeros(1))
        for tensor in (*self.factors, self.weights):
            nn.init.xavier_normal_(tensor)
        if params.quirk == "published":  # MMSA leaves both out of its optimiser
            self.weights.requires_grad_(False)
            self.bias.requires_grad_(False)
        self.factor_lr = params.factor_lr

    def forward(self, batch: Batch) -> Output:
        """Predict one batch."""
        return Output(self.fuse(*self.nets(batch)))

    def fuse(self, text: Tensor, audio: Tensor, vision: Tensor) -> Tensor:
        """(B, H_t), (B, H_a), (B, H_v) -> (B,)."""
        product = torch.ones_like(text[:, :1])  # (B, 1)
        for features, factor in zip((text, audio, vision), self.factors, strict=True):
            product = product * (with_one(features) @ factor.T)  # (B, rank)
        return (product @ self.weights.T + self.bias).squeeze(1)  # (B,)

    def parameter_groups(self, params: TrainingParams) -> list[dict[str, object]]:
        """Factors at a learning rate of their own."""
        factors = {id(factor) for factor in self.factors}
        others = [p for p in self.parameters() if p.requires_grad and id(p) not in factors]
        return [{"params": others}, {"params": list(self.factors), "lr": self.factor_lr}]


LMF = System(
    name="lmf",
    card=Card(
        title="LMF",
        paper="Liu, Shen, Lakshminarasimhan, Liang, Zadeh, Morency. Efficient Low-rank Multimodal"
        " Fusion with Modality-Specific Factors. ACL 2018; as implemented in MMSA",
        year=2018,
        url="https://aclanthology.org/P18-1209",
        text="T-feat",
        deviations=(
            "quirk=fixed: audio and vision are averaged over true frames, the LSTM stops at the"
            " last word; MMSA includes the padding in both",
            "quirk=fixed: the rank weights w and the bias b are trained; MMSA leaves them at"
            " their random start",
            "MMSA's text and fusion dropouts are not parameters: it never applies them",
        ),
        selection=ReleasedSelection(
            source="MMSA 2.2.1, trains/singleTask/LMF.py",
            rules=(SelectionRule(monitor="l1", digits=4, patience=8),),
        ),
    ),
    params=LMFParams,
    presets={
        "mosi": {
            **{"text_hidden": 128, "audio_hidden": 16, "vision_hidden": 128, "rank": 3},
            **{"audio_dropout": 0.3, "vision_dropout": 0.3},
            **{"batch_size": 64, "lr": 1e-3, "factor_lr": 1e-3, "weight_decay": 5e-3},
        },
        "mosei": {
            **{"text_hidden": 128, "audio_hidden": 16, "vision_hidden": 128, "rank": 4},
            **{"audio_dropout": 0.2, "vision_dropout": 0.2},
            **{"batch_size": 32, "lr": 1e-3, "factor_lr": 1e-3, "weight_decay": 1e-3},
        },
        "sims": {
            **{"text_hidden": 64, "audio_hidden": 16, "vision_hidden": 64, "rank": 4},
            **{"audio_dropout": 0.2, "vision_dropout": 0.2},
            **{"batch_size": 64, "lr": 2e-3, "factor_lr": 5e-4, "weight_decay": 5e-3},
        },
        "simsv2": {
            **{"text_hidden": 64, "audio_hidden": 32, "vision_hidden": 64, "rank": 4},
            **{"audio_dropout": 0.3, "vision_dropout": 0.3},
            **{"batch_size": 32, "lr": 2e-3, "factor_lr": 5e-4, "weight_decay": 1e-4},
        },
    },
    inputs=frozenset({"text", "audio", "vision"}),
    build=LowRankFusion,
)
