"""MLMF: LMF that also learns what each stream alone would say.

Shapes: B clips, H_t, H_a, H_v sizes of the vectors of text, audio, vision.
"""

from __future__ import annotations

from dataclasses import dataclass

from baselines._shared.multitask import MultitaskParams, UnimodalHeads, multitask_groups
from baselines.lmf import LMFParams, LowRankFusion
from harness.data.batching import Batch
from harness.spec import ReleasedSelection, SelectionRule
from harness.system import Card, Dims, Output, ParameterGroup, System, TrainingParams, param

__all__ = ["MLMF", "MLMFParams", "MultitaskLowRankFusion"]


@dataclass(frozen=True, kw_only=True)
class MLMFParams(MultitaskParams, LMFParams):
    """Hyper-parameters of MLMF."""

    text_hidden: int = param(256, low=1, source="MMSA, SIMS")
    audio_hidden: int = param(32, low=1, source="MMSA, SIMS")
    vision_hidden: int = param(256, low=1, source="MMSA, SIMS")


class MultitaskLowRankFusion(LowRankFusion):
    """LMF and a predictor on each stream's vector."""

    def __init__(self, dims: Dims, params: MLMFParams) -> None:
        super().__init__(dims, params)
        self.heads = UnimodalHeads(dims, params, params.text_hidden // 2)

    def forward(self, batch: Batch) -> Output:
        """Predict one batch, with the losses of all four tasks."""
        vectors = self.nets(batch)  # (B, H_t), (B, H_a), (B, H_v)
        return self.heads.output(self.fuse(*vectors), vectors, batch)

    def parameter_groups(self, params: TrainingParams) -> list[ParameterGroup]:
        """Weight decay by stream; factors at a learning rate of their own."""
        assert isinstance(params, MLMFParams)
        others = [self.weights, self.bias, *self.heads.parameters()]
        factors: ParameterGroup = {"params": list(self.factors), "lr": self.factor_lr}
        return [*multitask_groups(self.nets, others, params), factors]


MLMF = System(
    name="mlmf",
    card=Card(
        title="MLMF",
        paper="Yu, Xu, Meng, Zhu, Ma, Wu, Zou, Yang. CH-SIMS: A Chinese Multimodal Sentiment"
        " Analysis Dataset with Fine-grained Annotation of Modality. ACL 2020; as implemented"
        " in MMSA",
        year=2020,
        url="https://aclanthology.org/2020.acl-main.343",
        text="T-feat",
        deviations=(
            "quirk=fixed: audio and vision are averaged over true frames, the LSTM stops at the"
            " last word; MMSA includes the padding in both",
            "quirk=fixed: the rank weights w and the bias b are trained; MMSA gives both a"
            " learning rate of zero",
            "The text task has no weight on CH-SIMS v2 (MMSA): its predictor stays as drawn",
            "MMSA selects on the weighted validation loss of all four tasks, we on the fused MAE",
            "MMSA's text and fusion dropouts are not parameters: it never applies them",
        ),
        selection=ReleasedSelection(
            source="MMSA 2.2.1, trains/multiTask/MLMF.py",
            rules=(SelectionRule(monitor="total", digits=4, patience=8),),
        ),
    ),
    params=MLMFParams,
    presets={
        "sims": {
            **{"text_hidden": 256, "audio_hidden": 32, "vision_hidden": 256, "rank": 3},
            **{"audio_dropout": 0.3, "vision_dropout": 0.3},
            **{"text_head": 8, "audio_head": 4, "vision_head": 32},
            **{"text_head_dropout": 0.4, "audio_head_dropout": 0.4, "vision_head_dropout": 0.4},
            **{"fused_weight": 0.2, "text_weight": 1.0, "audio_weight": 0.4, "vision_weight": 0.8},
            **{"text_decay": 1e-4, "audio_decay": 0.0, "vision_decay": 1e-4},
            **{"batch_size": 128, "lr": 1e-3, "factor_lr": 1e-3, "weight_decay": 5e-3},
        },
        "simsv2": {
            **{"text_hidden": 64, "audio_hidden": 16, "vision_hidden": 64, "rank": 6},
            **{"audio_dropout": 0.3, "vision_dropout": 0.3},
            **{"text_head": 16, "audio_head": 5, "vision_head": 16},
            **{"text_head_dropout": 0.4, "audio_head_dropout": 0.4, "vision_head_dropout": 0.4},
            **{"fused_weight": 0.4, "text_weight": 0.0, "audio_weight": 0.4, "vision_weight": 1.0},
            **{"text_decay": 0.0, "audio_decay": 1e-5, "vision_decay": 1e-5},
            **{"batch_size": 64, "lr": 5e-3, "factor_lr": 5e-4, "weight_decay": 1e-3},
        },
    },
    inputs=frozenset({"text", "audio", "vision", "unimodal"}),
    build=MultitaskLowRankFusion,
)
