"""Sub-networks of the early systems: LF-DNN, TFN and LMF differ only in what comes after them.

Shapes: B clips, T frames, D features, H hidden size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.data.batching import Batch, Sequence
from harness.data.corpus import EXPLANATIONS
from harness.spec import search
from harness.system import ClueParams, Dims, TrainingParams, param

__all__ = [
    "FeatureNet",
    "StreamNets",
    "StreamParams",
    "TextNet",
    "last_state",
    "streams",
    "time_mean",
    "with_one",
]


@dataclass(frozen=True, kw_only=True)
class StreamParams(TrainingParams):
    """Sizes and dropouts of the three sub-networks."""

    text_hidden: int = param(
        128, low=1, source="MMSA, MOSI", search=search(choices=(32, 64, 128, 256))
    )
    audio_hidden: int = param(16, low=1, source="MMSA, MOSI", search=search(choices=(8, 16, 32)))
    vision_hidden: int = param(
        128, low=1, source="MMSA, MOSI", search=search(choices=(32, 64, 128, 256))
    )
    audio_dropout: float = param(
        0.3, low=0.0, high=1.0, source="MMSA, MOSI", search=search(0.0, 0.5)
    )
    vision_dropout: float = param(
        0.3, low=0.0, high=1.0, source="MMSA, MOSI", search=search(0.0, 0.5)
    )
    quirk: str = param(
        "fixed",
        choices=("fixed", "published"),
        source="ours; published: means over the padded length, LSTM state after the padding",
    )


def streams(batch: Batch) -> tuple[Sequence, Sequence, Sequence]:
    """Text, audio and vision of a batch that has all three."""
    assert batch.text is not None and batch.audio is not None and batch.vision is not None
    return batch.text, batch.audio, batch.vision


def time_mean(sequence: Sequence, *, padded: bool) -> Tensor:
    """(B, D) mean over each clip's true frames, or over the padded length."""
    total = sequence.values.sum(1)  # padding is zero
    return total / (sequence.frames if padded else sequence.lengths.unsqueeze(1))


def last_state(lstm: nn.LSTM, sequence: Sequence, *, padded: bool) -> Tensor:
    """(B, H) state of the last layer after each clip's last true frame, or after its padding."""
    if padded:
        _, (hidden, _) = lstm(sequence.untrimmed())
    else:
        _, (hidden, _) = lstm(sequence.packed())
    state: Tensor = hidden[-1]  # (B, H)
    return state


def with_one(features: Tensor) -> Tensor:
    """(B, H) -> (B, 1 + H), a leading 1 that keeps lower-order terms in a product."""
    return torch.cat([torch.ones_like(features[:, :1]), features], dim=1)


class FeatureNet(nn.Sequential):
    """(B, D) -> (B, H): batch normalisation, dropout, three rectified layers."""

    def __init__(self, size: int, hidden: int, dropout: float) -> None:
        super().__init__(
            nn.BatchNorm1d(size),
            nn.Dropout(dropout),
            *(nn.Linear(size, hidden), nn.ReLU()),
            *(nn.Linear(hidden, hidden), nn.ReLU()),
            *(nn.Linear(hidden, hidden), nn.ReLU()),
        )


class TextNet(nn.Module):
    """(B, T, D) -> (B, out): the final state of an LSTM, projected.

    Args:
        size: D.
        hidden: Of the LSTM.
        out: Size of the result.
        padded: Whether the final state is that after the padding.
        told: Size of a vector that joins the final state; 0 for none.
    """

    def __init__(self, size: int, hidden: int, out: int, *, padded: bool, told: int = 0) -> None:
        super().__init__()
        self.lstm = nn.LSTM(size, hidden, batch_first=True)
        self.project = nn.Linear(hidden + told, out)
        self.padded = padded

    def forward(self, text: Sequence, told: Tensor | None = None) -> Tensor:
        """Encode a batch of texts, with what is told of them (B, told) where the network is."""
        state = last_state(self.lstm, text, padded=self.padded)
        joined = state if told is None else torch.cat([state, told], dim=1)  # (B, H + told)
        vector: Tensor = self.project(joined)
        return vector


class StreamNets(nn.Module):
    """One vector per stream and clip; explanations, where they are read, join the text.

    Args:
        dims: Sizes of the corpus.
        params: Sizes of the sub-networks.
        text_out: Size of the text vector; audio and vision have their hidden sizes.

    Raises:
        SpecError: For a stream that is not there, or an encoder of explanations.
    """

    def __init__(self, dims: Dims, params: StreamParams, text_out: int) -> None:
        super().__init__()
        self.padded = params.quirk == "published"
        (_, text), (_, audio), (_, vision) = map(dims.need, ("text", "audio", "vision"))
        self.told = _told(dims, params)
        self.text = TextNet(text, params.text_hidden, text_out, padded=self.padded, told=self.told)
        self.audio = FeatureNet(audio, params.audio_hidden, params.audio_dropout)
        self.vision = FeatureNet(vision, params.vision_hidden, params.vision_dropout)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Text (B, text_out), audio (B, H_a) and vision (B, H_v)."""
        text, audio, vision = streams(batch)
        return (
            self.text(text, batch.clue_vectors if self.told else None),
            self.audio(time_mean(audio, padded=self.padded)),
            self.vision(time_mean(vision, padded=self.padded)),
        )


def _told(dims: Dims, params: StreamParams) -> int:
    """Size of the explanations' sentence vectors; 0 for systems that do not read them."""
    if not isinstance(params, ClueParams) or params.explanations == "none":
        return 0
    return len(EXPLANATIONS) * dims.need_encoder().hidden_size
