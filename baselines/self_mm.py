"""Self-MM: uni-modal predictions, trained on labels made along the way, sharpen the encoders.

Shapes: B clips, T frames, D features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines._shared.bert import TokenEncoder, audio_vision, bert_groups, tokens_of
from baselines._shared.blocks import last_state
from baselines._shared.label_bank import UNIMODAL, SelfLabelled
from harness.data.batching import Batch, Sequence
from harness.spec import ReleasedSelection, SelectionRule
from harness.system import (
    Card,
    Dims,
    Output,
    ParameterGroup,
    QuirkParams,
    System,
    TokenParams,
    TrainingParams,
    param,
)

__all__ = ["SELF_MM", "SelfMM", "SelfMMParams"]


@dataclass(frozen=True, kw_only=True)
class SelfMMParams(TokenParams, QuirkParams):
    """Hyper-parameters of Self-MM; ``lr`` and ``weight_decay`` are those of all but encoders."""

    audio_hidden: int = param(16, low=1, source="MMSA, MOSI; state of the LSTM")
    vision_hidden: int = param(32, low=1, source="MMSA, MOSI; state of the LSTM")
    audio_out: int = param(16, low=1, source="MMSA, MOSI")
    vision_out: int = param(32, low=1, source="MMSA, MOSI")
    fusion_size: int = param(128, low=1, source="MMSA, MOSI")
    text_size: int = param(32, low=1, source="MMSA, MOSI")
    audio_size: int = param(16, low=1, source="MMSA, MOSI")
    vision_size: int = param(32, low=1, source="MMSA, MOSI")
    fusion_dropout: float = param(0.0, low=0.0, high=1.0, source="MMSA, MOSI")
    text_dropout: float = param(0.1, low=0.0, high=1.0, source="MMSA, MOSI")
    audio_dropout: float = param(0.1, low=0.0, high=1.0, source="MMSA, MOSI")
    vision_dropout: float = param(0.0, low=0.0, high=1.0, source="MMSA, MOSI")
    encoder_lr: float = param(5e-5, low=0.0, source="MMSA, MOSI")
    audio_lr: float = param(5e-3, low=0.0, source="MMSA, MOSI")
    vision_lr: float = param(5e-3, low=0.0, source="MMSA, MOSI")
    encoder_decay: float = param(1e-3, low=0.0, source="MMSA, MOSI")
    audio_decay: float = param(1e-3, low=0.0, source="MMSA, MOSI")
    vision_decay: float = param(1e-3, low=0.0, source="MMSA, MOSI")
    weight_decay: float = param(1e-3, low=0.0, source="MMSA, MOSI")
    label_bound: float = param(3.0, low=0.0, source="MMSA, MOSI; fixed: at most the label range")
    batch_size: int = param(16, low=2, source="MMSA, MOSI")
    accumulate: int = param(4, low=1, source="MMSA")


class StreamNet(nn.Module):
    """(B, T, D) -> (B, out): state of an LSTM after the last true frame, projected."""

    def __init__(self, size: int, hidden: int, out: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(size, hidden, batch_first=True)
        self.project = nn.Linear(hidden, out)

    def forward(self, stream: Sequence) -> Tensor:
        """Encode a batch of clips."""
        vector: Tensor = self.project(last_state(self.lstm, stream, padded=False))
        return vector


class Head(nn.Module):
    """f = ReLU(W1 dropout(x)), ŷ = w3 · ReLU(W2 f)."""

    def __init__(self, size: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.feature = nn.Sequential(nn.Dropout(dropout), nn.Linear(size, hidden), nn.ReLU())
        self.answer = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """(B, size) -> feature (B, hidden) and prediction (B,)."""
        feature = self.feature(vector)
        return feature, self.answer(feature).squeeze(1)


class SelfMM(SelfLabelled):
    """A head on [text; audio; vision] and one on each; text is the encoder's [CLS]."""

    def __init__(self, dims: Dims, params: SelfMMParams) -> None:
        (_, audio), (_, vision) = map(dims.need, ("audio", "vision"))
        hidden = {"fusion": params.fusion_size, "text": params.text_size}
        hidden |= {"audio": params.audio_size, "vision": params.vision_size}
        limit = params.label_bound
        # MMSA's bound of 3 lies outside the labels of CH-SIMS v2, which end at 1.
        super().__init__(hidden, limit if params.published else min(limit, dims.high))
        self.encoder = TokenEncoder(dims)
        self.audio = StreamNet(audio, params.audio_hidden, params.audio_out)
        self.vision = StreamNet(vision, params.vision_hidden, params.vision_out)
        width = {"text": self.encoder.size, "audio": params.audio_out, "vision": params.vision_out}
        width["fusion"] = sum(width.values())
        dropout = {name: getattr(params, f"{name}_dropout") for name in hidden}
        self.heads = nn.ModuleDict(
            {name: Head(width[name], hidden[name], dropout[name]) for name in hidden}
        )

    def forward(self, batch: Batch) -> Output:
        """Predict one batch."""
        audio, vision = audio_vision(batch)
        vectors = {
            "text": self.encoder.first(tokens_of(batch)),
            "audio": self.audio(audio),
            "vision": self.vision(vision),
        }
        vectors["fusion"] = torch.cat([vectors[name] for name in UNIMODAL], dim=1)  # (B, all three)
        answers = {name: head(vectors[name]) for name, head in self.heads.items()}
        features = {name: feature for name, (feature, _) in answers.items()}
        predictions = {name: prediction for name, (_, prediction) in answers.items()}
        return self.output(batch, predictions.pop("fusion"), predictions, features)

    def parameter_groups(self, params: TrainingParams) -> list[ParameterGroup]:
        """Encoder, audio, vision and heads, each at its rate."""
        assert isinstance(params, SelfMMParams)
        rates = (params.audio_lr, params.audio_decay), (params.vision_lr, params.vision_decay)
        return [
            *bert_groups(self.encoder, params.encoder_lr, params.encoder_decay),
            *(
                {"params": list(net.parameters()), "lr": rate, "weight_decay": decay}
                for net, (rate, decay) in zip((self.audio, self.vision), rates, strict=True)
            ),
            {"params": list(self.heads.parameters())},
        ]


SELF_MM = System(
    name="self_mm",
    card=Card(
        title="Self-MM",
        paper="Yu, Xu, Yuan, Wu. Learning Modality-Specific Representations with Self-Supervised"
        " Multi-Task Learning for Multimodal Sentiment Analysis. AAAI 2021; as implemented in MMSA",
        year=2021,
        url="https://arxiv.org/abs/2102.04830",
        text="T-BERT",
        deviations=(
            "quirk=fixed: batches of a step are averaged and the last, incomplete step is taken;"
            " MMSA sums them, and from an incomplete step only moves made labels",
            "quirk=fixed: made labels stay within the label range; MMSA lets them reach 3 on"
            " CH-SIMS v2, where labels lie in -1 to 1",
            "While no clip is positive, or none negative, labels stay as they are; MMSA's become"
            " undefined",
            "Distances are not divided by the root of the feature size, as the paper has it: MMSA"
            " does not either, and the ratio in which they enter is the same",
            "The parameters of the paper itself are lost; these are MMSA's",
        ),
        selection=ReleasedSelection(
            source="MMSA 2.2.1, trains/multiTask/SELF_MM.py",
            rules=(SelectionRule(monitor="l1", digits=4, patience=8),),
        ),
    ),
    params=SelfMMParams,
    presets={
        "mosi": {
            **{"audio_hidden": 16, "vision_hidden": 32, "audio_out": 16, "vision_out": 32},
            **{"fusion_size": 128, "text_size": 32, "audio_size": 16, "vision_size": 32},
            **{"fusion_dropout": 0.0, "text_dropout": 0.1},
            **{"audio_dropout": 0.1, "vision_dropout": 0.0},
            **{"encoder_lr": 5e-5, "audio_lr": 5e-3, "vision_lr": 5e-3, "lr": 1e-3},
            **{"encoder_decay": 1e-3, "audio_decay": 1e-3, "vision_decay": 1e-3},
            **{"weight_decay": 1e-3, "batch_size": 16, "label_bound": 3.0},
        },
        "mosei": {
            **{"audio_hidden": 16, "vision_hidden": 32, "audio_out": 16, "vision_out": 32},
            **{"fusion_size": 128, "text_size": 32, "audio_size": 16, "vision_size": 32},
            **{"fusion_dropout": 0.1, "text_dropout": 0.0},
            **{"audio_dropout": 0.0, "vision_dropout": 0.0},
            **{"encoder_lr": 5e-5, "audio_lr": 5e-3, "vision_lr": 1e-4, "lr": 1e-3},
            **{"encoder_decay": 1e-3, "audio_decay": 0.0, "vision_decay": 0.0},
            **{"weight_decay": 1e-2, "batch_size": 32, "label_bound": 3.0},
        },
        "sims": {
            **{"audio_hidden": 16, "vision_hidden": 64, "audio_out": 16, "vision_out": 32},
            **{"fusion_size": 128, "text_size": 64, "audio_size": 16, "vision_size": 32},
            **{"fusion_dropout": 0.0, "text_dropout": 0.1},
            **{"audio_dropout": 0.1, "vision_dropout": 0.0},
            **{"encoder_lr": 5e-5, "audio_lr": 5e-3, "vision_lr": 5e-3, "lr": 1e-3},
            **{"encoder_decay": 1e-3, "audio_decay": 1e-2, "vision_decay": 1e-2},
            **{"weight_decay": 1e-3, "batch_size": 32, "label_bound": 1.0},
            **{"encoder": "bert-base-chinese", "max_tokens": 39},
        },
        "simsv2": {
            **{"audio_hidden": 16, "vision_hidden": 64, "audio_out": 16, "vision_out": 32},
            **{"fusion_size": 128, "text_size": 64, "audio_size": 32, "vision_size": 32},
            **{"fusion_dropout": 0.0, "text_dropout": 0.0},
            **{"audio_dropout": 0.1, "vision_dropout": 0.0},
            **{"encoder_lr": 5e-5, "audio_lr": 1e-3, "vision_lr": 1e-3, "lr": 1e-3},
            **{"encoder_decay": 1e-2, "audio_decay": 0.0, "vision_decay": 0.0},
            **{"weight_decay": 1e-3, "batch_size": 16, "label_bound": 3.0},
            **{"encoder": "bert-base-chinese"},
        },
    },
    inputs=frozenset({"tokens", "audio", "vision"}),
    build=SelfMM,
)
