"""EF-LSTM: the three streams joined frame by frame and read by one LSTM.

Shapes: B clips, T words, N frames of a stream, D features, H hidden size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from baselines._shared.blocks import streams
from harness.data.batching import Batch, Sequence
from harness.spec import ReleasedSelection, SelectionRule
from harness.system import Card, Dims, Network, Output, System, TrainingParams, param

__all__ = ["EF_LSTM", "EFLSTMParams", "EarlyFusion", "pool_padded", "pool_to"]


@dataclass(frozen=True, kw_only=True)
class EFLSTMParams(TrainingParams):
    """Hyper-parameters of EF-LSTM."""

    hidden: int = param(128, low=1, source="MMSA, MOSI")
    layers: int = param(4, low=1, source="MMSA, MOSI")
    dropout: float = param(0.5, low=0.0, high=1.0, source="MMSA, MOSI")
    quirk: str = param(
        "fixed",
        choices=("fixed", "published"),
        source="ours; published: normalises each time step, reads the state after the padding",
    )


class EarlyFusion(Network):
    """x_t = [text; audio; vision]_t; y = W2 dropout(ReLU(W1 dropout(h_T)))."""

    def __init__(self, dims: Dims, params: EFLSTMParams) -> None:
        super().__init__()
        shapes = [dims.need(name) for name in ("text", "audio", "vision")]
        frames, width = shapes[0][0], sum(size for _, size in shapes)
        self.published = params.quirk == "published"
        self.norm = nn.BatchNorm1d(frames if self.published else width)  # MMSA normalises steps
        between = params.dropout if params.layers > 1 else 0.0
        self.lstm = nn.LSTM(width, params.hidden, params.layers, batch_first=True, dropout=between)
        self.head = nn.Sequential(
            nn.Dropout(params.dropout),
            *(nn.Linear(params.hidden, params.hidden), nn.ReLU()),
            nn.Dropout(params.dropout),
            nn.Linear(params.hidden, 1),
        )

    def forward(self, batch: Batch) -> Output:
        """Predict one batch."""
        read = self._read_padded if self.published else self._read
        return Output(self.head(read(*streams(batch))).squeeze(1))

    def _read(self, text: Sequence, audio: Sequence, vision: Sequence) -> Tensor:
        """(B, H): state after the last word; each feature is normalised over true frames."""
        joined = torch.cat([text.values, pool_to(text, audio), pool_to(text, vision)], dim=2)
        packed = text.packed(joined)
        frames = PackedSequence(self.norm(packed.data), *packed[1:])  # data: true frames only
        _, (hidden, _) = self.lstm(frames)
        state: Tensor = hidden[-1]  # (B, H)
        return state

    def _read_padded(self, text: Sequence, audio: Sequence, vision: Sequence) -> Tensor:
        """(B, H): state after the padding; each time step is normalised over features."""
        others = [pool_padded(stream.untrimmed(), text.frames) for stream in (audio, vision)]
        joined = torch.cat([text.untrimmed(), *others], dim=2)  # (B, T, D)
        _, (hidden, _) = self.lstm(self.norm(joined))
        state: Tensor = hidden[-1]  # (B, H)
        return state


def pool_to(text: Sequence, stream: Sequence) -> Tensor:
    """(B, T, D): each clip's true frames averaged into as many windows as it has words.

    Window t of T covers the frames from ⌊tN/T⌋ to ⌈(t+1)N/T⌉; aligned streams stay as they are.
    """
    device = stream.values.device
    step = torch.arange(text.values.shape[1], device=device)  # (T,)
    frame = torch.arange(stream.values.shape[1], device=device)  # (N,)
    words, frames = text.lengths.unsqueeze(1), stream.lengths.unsqueeze(1)  # (B, 1)
    start = step * frames // words  # (B, T)
    end = ((step + 1) * frames + words - 1) // words  # (B, T), rounded up
    inside = (frame >= start.unsqueeze(2)) & (frame < end.unsqueeze(2))  # (B, T, N)
    return (inside / (end - start).unsqueeze(2)) @ stream.values  # (B, T, D)


def pool_padded(values: Tensor, frames: int) -> Tensor:
    """(B, N, D) -> (B, frames, D) means of equal windows, the last frame repeated to fill them."""
    window = -(-values.shape[1] // frames)  # rounded up
    missing = window * frames - values.shape[1]
    filled = torch.cat([values, values[:, -1:].expand(-1, missing, -1)], dim=1)
    windows: Tensor = filled.unflatten(1, (frames, window))  # (B, frames, window, D)
    return windows.mean(2)


EF_LSTM = System(
    name="ef_lstm",
    card=Card(
        title="EF-LSTM",
        paper="Williams, Kleinegesse, Comanescu, Radu. Recognizing Emotions in Video Using"
        " Multimodal DNN Feature Fusion. Challenge-HML at ACL 2018; as implemented in MMSA",
        year=2018,
        url="https://github.com/thuiar/MMSA",
        text="T-feat",
        deviations=(
            "quirk=fixed: batch normalisation acts on features of true frames and the LSTM stops"
            " at the last word; MMSA normalises each padded time step and reads on to the end",
            "quirk=fixed: unaligned audio and vision are pooled from true frames to the clip's own"
            " text length; MMSA pools the padded arrays",
            "MMSA's numbers on MOSI and MOSEI are on aligned features; its CH-SIMS row is the"
            " training mean (a collapse)",
        ),
        selection=ReleasedSelection(
            source="MMSA 2.2.1, trains/singleTask/EF_LSTM.py",
            rules=(SelectionRule(monitor="l1", digits=4, patience=8),),
        ),
    ),
    params=EFLSTMParams,
    presets={
        "mosi": {
            **{"hidden": 128, "layers": 4, "dropout": 0.5},
            **{"batch_size": 32, "lr": 1e-3, "weight_decay": 5e-3},
        },
        "mosei": {
            **{"hidden": 256, "layers": 2, "dropout": 0.4},
            **{"batch_size": 128, "lr": 5e-3, "weight_decay": 1e-4},
        },
        "sims": {
            **{"hidden": 32, "layers": 3, "dropout": 0.5},
            **{"batch_size": 128, "lr": 5e-4, "weight_decay": 1e-3},
        },
        "simsv2": {
            **{"hidden": 128, "layers": 3, "dropout": 0.2},
            **{"batch_size": 32, "lr": 5e-4, "weight_decay": 0.0},
        },
    },
    inputs=frozenset({"text", "audio", "vision"}),
    build=EarlyFusion,
)
