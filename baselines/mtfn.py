"""MTFN: TFN that also learns what each stream alone would say.

Shapes: B clips, H_t, H_a, H_v sizes of the vectors of text, audio, vision.
"""

from __future__ import annotations

from dataclasses import dataclass

from baselines._shared.multitask import MultitaskParams, UnimodalHeads, multitask_groups
from baselines.tfn import TensorFusion, TFNParams, tensor_product
from harness.data.batching import Batch
from harness.spec import ReleasedSelection, SelectionRule
from harness.system import Card, Dims, Output, ParameterGroup, System, TrainingParams, param

__all__ = ["MTFN", "MTFNParams", "MultitaskTensorFusion"]


@dataclass(frozen=True, kw_only=True)
class MTFNParams(MultitaskParams, TFNParams):
    """Hyper-parameters of MTFN."""

    text_hidden: int = param(256, low=1, source="MMSA, SIMS")
    audio_hidden: int = param(32, low=1, source="MMSA, SIMS")
    vision_hidden: int = param(256, low=1, source="MMSA, SIMS")
    text_out: int = param(256, low=1, source="MMSA, SIMS")
    fusion_size: int = param(64, low=1, source="MMSA, SIMS")
    fusion_dropout: float = param(0.2, low=0.0, high=1.0, source="MMSA, SIMS")


class MultitaskTensorFusion(TensorFusion):
    """TFN and a predictor on each stream's vector; only the fused one is squeezed into a range."""

    def __init__(self, dims: Dims, params: MTFNParams) -> None:
        super().__init__(dims, params)
        self.heads = UnimodalHeads(dims, params, params.text_out)

    def forward(self, batch: Batch) -> Output:
        """Predict one batch, with the losses of all four tasks."""
        vectors = self.nets(batch)  # (B, H_t), (B, H_a), (B, H_v)
        share = self.head(tensor_product(*vectors)).squeeze(1)  # (B,) in (0, 1)
        return self.heads.output(self.low + (self.high - self.low) * share, vectors, batch)

    def parameter_groups(self, params: TrainingParams) -> list[ParameterGroup]:
        """Weight decay by stream; as released nothing else decays."""
        assert isinstance(params, MTFNParams)
        others = [*self.head.parameters(), *self.heads.parameters()]
        *streams, rest = multitask_groups(self.nets, others, params)
        return [*streams, {**rest, "weight_decay": 0.0} if params.quirk == "published" else rest]


MTFN = System(
    name="mtfn",
    card=Card(
        title="MTFN",
        paper="Yu, Xu, Meng, Zhu, Ma, Wu, Zou, Yang. CH-SIMS: A Chinese Multimodal Sentiment"
        " Analysis Dataset with Fine-grained Annotation of Modality. ACL 2020; as implemented"
        " in MMSA",
        year=2020,
        url="https://aclanthology.org/2020.acl-main.343",
        text="T-feat",
        deviations=(
            "quirk=fixed: audio and vision are averaged over true frames, the LSTM stops at the"
            " last word; MMSA includes the padding in both",
            "quirk=fixed: the output spans the dataset's label range; MMSA keeps -3 to 3 on"
            " CH-SIMS too, where labels lie in -1 to 1",
            "quirk=fixed: the predictors and the fusion decay by the decay that is configured for"
            " them; MMSA never passes it on",
            "The audio task has no weight on CH-SIMS (MMSA): its predictor stays as drawn",
            "MMSA selects on the weighted validation loss of all four tasks, we on the fused MAE",
            "MMSA's text dropout is not a parameter: its single-layer LSTM switches it off",
        ),
        selection=ReleasedSelection(
            source="MMSA 2.2.1, trains/multiTask/MTFN.py",
            rules=(SelectionRule(monitor="total", digits=4, patience=8),),
        ),
    ),
    params=MTFNParams,
    presets={
        "sims": {
            **{"text_hidden": 256, "audio_hidden": 32, "vision_hidden": 256},
            **{"text_out": 256, "fusion_size": 64},
            **{"audio_dropout": 0.2, "vision_dropout": 0.2, "fusion_dropout": 0.2},
            **{"text_head": 64, "audio_head": 4, "vision_head": 8},
            **{"text_head_dropout": 0.2, "audio_head_dropout": 0.2, "vision_head_dropout": 0.2},
            **{"fused_weight": 0.6, "text_weight": 0.4, "audio_weight": 0.0, "vision_weight": 1.0},
            **{"text_decay": 1e-3, "audio_decay": 1e-4, "vision_decay": 1e-5},
            **{"batch_size": 64, "lr": 5e-3, "weight_decay": 5e-3},
        },
        "simsv2": {
            **{"text_hidden": 64, "audio_hidden": 16, "vision_hidden": 64},
            **{"text_out": 32, "fusion_size": 64},
            **{"audio_dropout": 0.3, "vision_dropout": 0.3, "fusion_dropout": 0.5},
            **{"text_head": 16, "audio_head": 5, "vision_head": 64},
            **{"text_head_dropout": 0.5, "audio_head_dropout": 0.5, "vision_head_dropout": 0.5},
            **{"fused_weight": 1.0, "text_weight": 0.4, "audio_weight": 0.4, "vision_weight": 0.8},
            **{"text_decay": 1e-5, "audio_decay": 1e-4, "vision_decay": 1e-4},
            **{"batch_size": 32, "lr": 5e-4, "weight_decay": 0.01},
        },
    },
    inputs=frozenset({"text", "audio", "vision", "unimodal"}),
    build=MultitaskTensorFusion,
)
