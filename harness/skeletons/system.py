"""A skeleton: a small network over the average of each modality. Change what you like.

    msa check system skeleton         what every system must do, found out by running it
    msa card skeleton                 as others will see it
    msa run --system skeleton --system tfn --corpus mosi-twin@compact-x25 --seeds 3

Shapes: B clips of a batch, T frames, D features of a frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from harness.data.batching import Batch
from harness.system import Card, Dims, Network, Output, System, TrainingParams, param

__all__ = ["SKELETON"]

STREAMS = ("text", "audio", "vision")


@dataclass(frozen=True, kw_only=True)
class SkeletonParams(TrainingParams):
    """Hyper-parameters; those of training (lr, batch_size, epochs, …) are inherited."""

    # Each has a default, a range and the source of the default; `--set hidden=128` changes it.
    hidden: int = param(64, low=1, source="ours")
    dropout: float = param(0.1, low=0.0, high=1.0, source="ours")


class Skeleton(Network):
    """y = W2 dropout(ReLU(W1 [text; audio; vision])), each modality averaged over its frames."""

    def __init__(self, dims: Dims, params: SkeletonParams) -> None:
        super().__init__()
        width = sum(dims.need(name)[1] for name in STREAMS)  # (T, D) of each stream of the corpus
        self.layers = nn.Sequential(
            nn.Linear(width, params.hidden),
            nn.ReLU(),
            nn.Dropout(params.dropout),
            nn.Linear(params.hidden, 1),
        )

    def forward(self, batch: Batch) -> Output:
        """Predict one batch; with losses of its own: ``Output(prediction, {"name": loss})``."""
        means = []
        for stream in (batch.text, batch.audio, batch.vision):
            assert stream is not None  # `inputs` below asks for all three
            # Frames beyond a clip's length are zero, so that they add nothing to the sum.
            means.append(stream.values.sum(1) / stream.lengths.unsqueeze(1))  # (B, D)
        return Output(self.layers(torch.cat(means, 1)).squeeze(1))  # (B,)


SKELETON = System(
    name="skeleton",
    card=Card(
        title="A skeleton",
        paper="none",  # the citation, once there is one
        year=None,
        text="T-feat",  # reads the corpus's text features; "T-BERT" for systems with an encoder
        deviations=(),  # where it departs from its paper, a sentence each
    ),
    params=SkeletonParams,
    presets={},  # dataset -> hyper-parameters there: {"sims": {"hidden": 128}}
    inputs=frozenset(STREAMS),
    build=Skeleton,
)
