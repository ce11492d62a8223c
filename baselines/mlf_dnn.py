"""MLF-DNN: LF-DNN that also learns what each stream alone would say.

Shapes: B clips, H_t, H_a, H_v sizes of the vectors of text, audio, vision.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from baselines._shared.multitask import MultitaskParams, UnimodalHeads, multitask_groups
from baselines.lf_dnn import LateFusion, LFDNNParams
from harness.data.batching import Batch
from harness.spec import ReleasedSelection, SelectionRule
from harness.system import Card, Dims, Output, ParameterGroup, System, TrainingParams, param

__all__ = ["MLF_DNN", "MLFDNNParams", "MultitaskLateFusion"]


@dataclass(frozen=True, kw_only=True)
class MLFDNNParams(MultitaskParams, LFDNNParams):
    """Hyper-parameters of MLF-DNN."""

    text_hidden: int = param(64, low=1, source="MMSA, SIMS")
    audio_hidden: int = param(32, low=1, source="MMSA, SIMS")
    vision_hidden: int = param(64, low=1, source="MMSA, SIMS")
    text_out: int = param(32, low=1, source="MMSA, SIMS")
    fusion_size: int = param(32, low=1, source="MMSA, SIMS")
    fusion_dropout: float = param(0.5, low=0.0, high=1.0, source="MMSA, SIMS")


class MultitaskLateFusion(LateFusion):
    """LF-DNN and a predictor on each stream's vector."""

    def __init__(self, dims: Dims, params: MLFDNNParams) -> None:
        super().__init__(dims, params)
        self.heads = UnimodalHeads(dims, params, params.text_out)

    def forward(self, batch: Batch) -> Output:
        """Predict one batch, with the losses of all four tasks."""
        vectors = self.nets(batch)  # (B, H_t), (B, H_a), (B, H_v)
        prediction = self.head(torch.cat(vectors, dim=1)).squeeze(1)  # (B,)
        return self.heads.output(prediction, vectors, batch)

    def parameter_groups(self, params: TrainingParams) -> list[ParameterGroup]:
        """Weight decay by stream."""
        assert isinstance(params, MLFDNNParams)
        others = [*self.head.parameters(), *self.heads.parameters()]
        return multitask_groups(self.nets, others, params)


MLF_DNN = System(
    name="mlf_dnn",
    card=Card(
        title="MLF-DNN",
        paper="Yu, Xu, Meng, Zhu, Ma, Wu, Zou, Yang. CH-SIMS: A Chinese Multimodal Sentiment"
        " Analysis Dataset with Fine-grained Annotation of Modality. ACL 2020; as implemented"
        " in MMSA",
        year=2020,
        url="https://aclanthology.org/2020.acl-main.343",
        text="T-feat",
        deviations=(
            "quirk=fixed: audio and vision are averaged over true frames, the LSTM stops at the"
            " last word; MMSA includes the padding in both",
            "MMSA selects on the weighted validation loss of all four tasks, we on the fused MAE",
            "MMSA's text dropout is not a parameter: its single-layer LSTM switches it off",
        ),
        selection=ReleasedSelection(
            source="MMSA 2.2.1, trains/multiTask/MLF_DNN.py",
            rules=(SelectionRule(monitor="total", digits=4, patience=8),),
        ),
    ),
    params=MLFDNNParams,
    presets={
        "sims": {
            **{"text_hidden": 64, "audio_hidden": 32, "vision_hidden": 64},
            **{"text_out": 32, "fusion_size": 32},
            **{"audio_dropout": 0.3, "vision_dropout": 0.3, "fusion_dropout": 0.5},
            **{"text_head": 16, "audio_head": 4, "vision_head": 32},
            **{"text_head_dropout": 0.5, "audio_head_dropout": 0.5, "vision_head_dropout": 0.5},
            **{"fused_weight": 0.6, "text_weight": 0.2, "audio_weight": 0.8, "vision_weight": 0.8},
            **{"text_decay": 1e-4, "audio_decay": 1e-3, "vision_decay": 1e-4},
            **{"batch_size": 32, "lr": 2e-3, "weight_decay": 0.0},
        },
        "simsv2": {
            **{"text_hidden": 128, "audio_hidden": 32, "vision_hidden": 128},
            **{"text_out": 32, "fusion_size": 64},
            **{"audio_dropout": 0.2, "vision_dropout": 0.2, "fusion_dropout": 0.3},
            **{"text_head": 32, "audio_head": 4, "vision_head": 64},
            **{"text_head_dropout": 0.3, "audio_head_dropout": 0.3, "vision_head_dropout": 0.3},
            **{"fused_weight": 0.8, "text_weight": 1.0, "audio_weight": 0.6, "vision_weight": 0.8},
            **{"text_decay": 0.0, "audio_decay": 1e-5, "vision_decay": 1e-5},
            **{"batch_size": 64, "lr": 5e-3, "weight_decay": 1e-4},
        },
    },
    inputs=frozenset({"text", "audio", "vision", "unimodal"}),
    build=MultitaskLateFusion,
)
