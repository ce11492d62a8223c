"""ALMT: language, at several depths, decides what is taken from audio and vision.

Shapes: B clips, N tokens of a stream, H hidden size.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from baselines._shared.bert import audio_vision, tokens_of
from baselines.almt.blocks import HyperFusion, HyperParams, TokenStreams
from harness.data.batching import Batch
from harness.spec import ReleasedSelection, SelectionRule
from harness.system import Card, Dims, Network, Output, Stage, System, TrainingParams

__all__ = ["ALMT", "ALMTParams", "LanguageGuidedNetwork"]


@dataclass(frozen=True, kw_only=True)
class ALMTParams(HyperParams):
    """Hyper-parameters of ALMT."""


class LanguageGuidedNetwork(Network):
    """y = w · CrossTransformer(hyper-modality, language)[first token] + b."""

    def __init__(self, dims: Dims, params: ALMTParams) -> None:
        super().__init__()
        self.params = params
        self.streams = TokenStreams(dims, params)
        self.fusion = HyperFusion(params)
        self.head = nn.Linear(params.hidden, 1)

    def forward(self, batch: Batch) -> Output:
        """Predict one batch."""
        audio, vision = audio_vision(batch)
        fused = self.fusion(*self.streams(tokens_of(batch), audio, vision))  # (B, 1 + N, H)
        return Output(self.head(fused[:, 0]).squeeze(1))

    def stages(self, params: TrainingParams) -> tuple[Stage, ...]:
        """One, as long as the quirk wants it."""
        return self.params.own_stages


ALMT = System(
    name="almt",
    card=Card(
        title="ALMT",
        paper="Zhang, Wang, Yin, Liu, Liu, Yu. Learning Language-guided Adaptive Hyper-modality"
        " Representation for Multimodal Sentiment Analysis. EMNLP 2023",
        year=2023,
        url="https://aclanthology.org/2023.emnlp-main.49",
        text="T-BERT",
        deviations=(
            "quirk=fixed: padding is masked; the released code masks it inside BERT only",
            "quirk=fixed: the hyper-modality starts at random; it starts at ones, which its first"
            " layer norm turns into zeros, so that the norm's weight has no gradient at first",
            "quirk=fixed: the rate changes every step; as released it changes every epoch and is"
            " zero in the first",
            "MMSA lists a gradient norm of 2 and does not clip; so none is clipped here",
            "quirk=fixed: the protocol's patience, counted from the end of the warm-up; the authors"
            " train 200 epochs whatever happens, as quirk=published does, and MMSA waits 32",
            "Where a suite allows fewer epochs than released, schedules are made for those, as a"
            " whole",
            "Selection: the protocol's, on validation MAE; MMSA's on the validation loss, MSE, a"
            " mean of batch means rounded to four digits",
            "CH-SIMS v2: settings of CH-SIMS (ours); no code publishes any",
        ),
        declares={
            "parameters@published": "the first norm of the hyper-modality, of ones, has a weight"
            " that no gradient reaches before the first step",
        },
        selection=ReleasedSelection(
            source="MMSA (a94e65d), trains/singleTask/ALMT.py",
            rules=(SelectionRule(monitor="mse", digits=4, patience=32),),
            notes=("MMSA's; the authors' own code keeps the best test epoch of each metric",),
        ),
    ),
    params=ALMTParams,
    presets={
        "mosi": {"encoder": "bert-base-uncased", "max_tokens": 50, "fusion_layers": 2},
        "mosei": {"encoder": "bert-base-uncased", "max_tokens": 50, "fusion_layers": 4},
        "sims": {"encoder": "bert-base-chinese", "max_tokens": 39, "fusion_layers": 4},
        "simsv2": {"encoder": "bert-base-chinese", "max_tokens": 50, "fusion_layers": 4},
    },
    inputs=frozenset({"tokens", "audio", "vision"}),
    build=LanguageGuidedNetwork,
)
