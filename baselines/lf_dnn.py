"""LF-DNN: one small network per stream, joined late.

Shapes: B clips, H_t, H_a, H_v sizes of the vectors of text, audio, vision.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from baselines._shared.blocks import StreamNets, StreamParams
from harness.data.batching import Batch
from harness.data.corpus import STREAMS
from harness.spec import ReleasedSelection, SelectionRule
from harness.system import Card, ClueParams, Dims, Network, Output, System, param

__all__ = ["LF_DNN", "LF_DNN_CLUES", "LFDNNClueParams", "LFDNNParams", "LateFusion"]


@dataclass(frozen=True, kw_only=True)
class LFDNNParams(StreamParams):
    """Hyper-parameters of LF-DNN."""

    text_out: int = param(256, low=1, source="MMSA, MOSI")
    fusion_size: int = param(128, low=1, source="MMSA, MOSI")
    fusion_dropout: float = param(0.2, low=0.0, high=1.0, source="MMSA, MOSI")


@dataclass(frozen=True, kw_only=True)
class LFDNNClueParams(ClueParams, LFDNNParams):
    """Hyper-parameters of LF-DNN with explanations."""

    encoder: str = param("minilm-l6", source="ours: English, as explanations are; frozen")


class LateFusion(Network):
    """y = W3 ReLU(W2 ReLU(W1 dropout([h_t; h_a; h_v])))."""

    def __init__(self, dims: Dims, params: LFDNNParams) -> None:
        super().__init__()
        self.nets = StreamNets(dims, params, params.text_out)
        joined = params.text_out + params.audio_hidden + params.vision_hidden
        self.head = nn.Sequential(
            nn.Dropout(params.fusion_dropout),
            *(nn.Linear(joined, params.fusion_size), nn.ReLU()),
            *(nn.Linear(params.fusion_size, params.fusion_size), nn.ReLU()),
            nn.Linear(params.fusion_size, 1),
        )

    def forward(self, batch: Batch) -> Output:
        """Predict one batch."""
        joined = torch.cat(self.nets(batch), dim=1)  # (B, text_out + H_a + H_v)
        return Output(self.head(joined).squeeze(1))


LF_DNN = System(
    name="lf_dnn",
    card=Card(
        title="LF-DNN",
        paper="Williams, Comanescu, Radu, Tian. DNN Multimodal Fusion Techniques for Predicting"
        " Video Sentiment. Challenge-HML at ACL 2018; as implemented in MMSA",
        year=2018,
        url="https://github.com/thuiar/MMSA",
        text="T-feat",
        deviations=(
            "quirk=fixed: audio and vision are averaged over true frames, the LSTM stops at the"
            " last word; MMSA includes the padding in both",
            "MMSA's text dropout is not a parameter: its single-layer LSTM switches it off",
        ),
        selection=ReleasedSelection(
            source="MMSA 2.2.1, trains/singleTask/LF_DNN.py",
            rules=(SelectionRule(monitor="l1", digits=4, patience=8),),
        ),
    ),
    params=LFDNNParams,
    presets={
        "mosi": {
            **{"text_hidden": 128, "audio_hidden": 16, "vision_hidden": 128},
            **{"text_out": 256, "fusion_size": 128},
            **{"audio_dropout": 0.2, "vision_dropout": 0.2, "fusion_dropout": 0.2},
            **{"batch_size": 128, "lr": 1e-3, "weight_decay": 0.01},
        },
        "mosei": {
            **{"text_hidden": 128, "audio_hidden": 32, "vision_hidden": 128},
            **{"text_out": 128, "fusion_size": 128},
            **{"audio_dropout": 0.2, "vision_dropout": 0.2, "fusion_dropout": 0.2},
            **{"batch_size": 64, "lr": 2e-3, "weight_decay": 1e-3},
        },
        "sims": {
            **{"text_hidden": 128, "audio_hidden": 32, "vision_hidden": 128},
            **{"text_out": 256, "fusion_size": 32},
            **{"audio_dropout": 0.3, "vision_dropout": 0.3, "fusion_dropout": 0.5},
            **{"batch_size": 128, "lr": 5e-3, "weight_decay": 5e-3},
        },
        "simsv2": {
            **{"text_hidden": 64, "audio_hidden": 32, "vision_hidden": 64},
            **{"text_out": 256, "fusion_size": 32},
            **{"audio_dropout": 0.4, "vision_dropout": 0.4, "fusion_dropout": 0.4},
            **{"batch_size": 128, "lr": 5e-3, "weight_decay": 0.0},
        },
    },
    inputs=frozenset({"text", "audio", "vision"}),
    build=LateFusion,
)

LF_DNN_CLUES = System(
    name="lf_dnn@clues",
    card=Card(
        title="LF-DNN + explanations",
        paper=LF_DNN.card.paper,
        year=LF_DNN.card.year,
        url=LF_DNN.card.url,
        text="T-feat",
        unlisted="a control of ours, which no paper scores",
        deviations=(
            "Ours, a control: frozen sentence vectors of the three explanations join the final"
            " state of the text LSTM; everything else is LF-DNN",
            *LF_DNN.card.deviations,
        ),
    ),
    params=LFDNNClueParams,
    presets=LF_DNN.presets,
    inputs=frozenset({*STREAMS, "clue_vectors"}),
    build=LateFusion,
)
