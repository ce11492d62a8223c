"""TFN: the outer product of the three streams, so that every interaction has its own weight.

Shapes: B clips, H_t, H_a, H_v sizes of the vectors of text, audio, vision.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from baselines._shared.blocks import StreamNets, StreamParams, with_one
from baselines._shared.dropout import LaneDropout
from harness.data.batching import Batch
from harness.data.corpus import STREAMS
from harness.spec import ReleasedSelection, SelectionRule
from harness.system import Card, ClueParams, Dims, Network, Output, System, param

__all__ = ["TFN", "TFN_CLUES", "TFNClueParams", "TFNParams", "TensorFusion", "tensor_product"]


@dataclass(frozen=True, kw_only=True)
class TFNParams(StreamParams):
    """Hyper-parameters of TFN."""

    audio_hidden: int = param(32, low=1, source="MMSA, MOSI")
    text_out: int = param(32, low=1, source="MMSA, MOSI")
    fusion_size: int = param(64, low=1, source="MMSA, MOSI")
    fusion_dropout: float = param(0.5, low=0.0, high=1.0, source="MMSA, MOSI")


@dataclass(frozen=True, kw_only=True)
class TFNClueParams(ClueParams, TFNParams):
    """Hyper-parameters of TFN with explanations."""

    encoder: str = param("minilm-l6", source="ours: English, as explanations are; frozen")


class TensorFusion(Network):
    """z = [1; h_a] ⊗ [1; h_v] ⊗ [1; h_t]; y = low + (high - low) σ(MLP(dropout(z)))."""

    def __init__(self, dims: Dims, params: TFNParams) -> None:
        super().__init__()
        self.nets = StreamNets(dims, params, params.text_out)
        volume = (params.audio_hidden + 1) * (params.vision_hidden + 1) * (params.text_out + 1)
        self.head = nn.Sequential(
            LaneDropout(params.fusion_dropout),
            *(nn.Linear(volume, params.fusion_size), nn.ReLU()),
            *(nn.Linear(params.fusion_size, params.fusion_size), nn.ReLU()),
            *(nn.Linear(params.fusion_size, 1), nn.Sigmoid()),
        )
        published = params.quirk == "published"  # the range of MOSI on every dataset
        self.low, self.high = (-3.0, 3.0) if published else (dims.low, dims.high)

    def forward(self, batch: Batch) -> Output:
        """Predict one batch."""
        text, audio, vision = self.nets(batch)  # (B, H_t), (B, H_a), (B, H_v)
        product = tensor_product(text, audio, vision)  # (B, volume)
        share = self.head(product).squeeze(1)  # (B,) in (0, 1)
        return Output(self.low + (self.high - self.low) * share)


def tensor_product(text: Tensor, audio: Tensor, vision: Tensor) -> Tensor:
    """(B, H_t), (B, H_a), (B, H_v) -> (B, (H_a + 1) (H_v + 1) (H_t + 1))."""
    # As matrix products, whose gradients are products too: no array of terms that are then summed.
    pairs = with_one(audio).unsqueeze(2) @ with_one(vision).unsqueeze(1)  # (B, H_a + 1, H_v + 1)
    triples = pairs.flatten(1).unsqueeze(2) @ with_one(text).unsqueeze(1)
    return triples.flatten(1)


TFN = System(
    name="tfn",
    card=Card(
        title="TFN",
        paper="Zadeh, Chen, Poria, Cambria, Morency. Tensor Fusion Network for Multimodal"
        " Sentiment Analysis. EMNLP 2017; as implemented in MMSA",
        year=2017,
        url="https://aclanthology.org/D17-1115",
        text="T-feat",
        deviations=(
            "quirk=fixed: audio and vision are averaged over true frames, the LSTM stops at the"
            " last word; MMSA includes the padding in both",
            "quirk=fixed: the output spans the dataset's label range; MMSA keeps -3 to 3 on"
            " CH-SIMS too, where labels lie in -1 to 1",
            "MMSA's text dropout is not a parameter: its single-layer LSTM switches it off",
        ),
        selection=ReleasedSelection(
            source="MMSA 2.2.1, trains/singleTask/TFN.py",
            rules=(SelectionRule(monitor="l1", digits=4, patience=8),),
        ),
    ),
    params=TFNParams,
    presets={
        "mosi": {
            **{"text_hidden": 128, "audio_hidden": 32, "vision_hidden": 128},
            **{"text_out": 32, "fusion_size": 64},
            **{"audio_dropout": 0.3, "vision_dropout": 0.3, "fusion_dropout": 0.5},
            **{"batch_size": 32, "lr": 1e-3},
        },
        "mosei": {
            **{"text_hidden": 128, "audio_hidden": 16, "vision_hidden": 128},
            **{"text_out": 128, "fusion_size": 16},
            **{"audio_dropout": 0.4, "vision_dropout": 0.4, "fusion_dropout": 0.4},
            **{"batch_size": 128, "lr": 5e-3},
        },
        "sims": {
            **{"text_hidden": 128, "audio_hidden": 32, "vision_hidden": 128},
            **{"text_out": 256, "fusion_size": 32},
            **{"audio_dropout": 0.4, "vision_dropout": 0.4, "fusion_dropout": 0.4},
            **{"batch_size": 32, "lr": 5e-4},
        },
        "simsv2": {
            **{"text_hidden": 128, "audio_hidden": 32, "vision_hidden": 128},
            **{"text_out": 128, "fusion_size": 32},
            **{"audio_dropout": 0.3, "vision_dropout": 0.3, "fusion_dropout": 0.5},
            **{"batch_size": 128, "lr": 2e-3},
        },
    },
    inputs=frozenset({"text", "audio", "vision"}),
    build=TensorFusion,
)

TFN_CLUES = System(
    name="tfn@clues",
    card=Card(
        title="TFN + explanations",
        paper=TFN.card.paper,
        year=TFN.card.year,
        url=TFN.card.url,
        text="T-feat",
        unlisted="a control of ours, which no paper scores",
        deviations=(
            "Ours, a control: frozen sentence vectors of the three explanations join the final"
            " state of the text LSTM; everything else is TFN",
            *TFN.card.deviations,
        ),
    ),
    params=TFNClueParams,
    presets=TFN.presets,
    inputs=frozenset({*STREAMS, "clue_vectors"}),
    build=TensorFusion,
)
