"""MFN: three LSTMs and a memory that is written from what changes in their cells.

Shapes: B clips, T words, D features, H hidden size of a stream, ΣH of all three.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines._shared.blocks import streams, time_mean
from baselines._shared.memory import GatedMemory, MemoryParams, layer_presets, two_layers
from baselines._shared.words import Streams, at_step, on_words, with_previous
from harness.data.batching import Batch
from harness.spec import ReleasedSelection, SelectionRule
from harness.system import Card, Dims, Network, Output, System, param

__all__ = ["MFN", "MFNParams", "MemoryFusion", "MemoryFusionCore"]


@dataclass(frozen=True, kw_only=True)
class MFNParams(MemoryParams):
    """Hyper-parameters of MFN; its window is two steps, as in all published settings."""

    attention_hidden: int = param(32, low=1, source="MMSA, MOSI, NN1")
    attention_dropout: float = param(0.2, low=0.0, high=1.0, source="MMSA, MOSI, NN1")


class MemoryFusionCore(nn.Module):
    """c*_t = [c_{t-1}; c_t] of all streams; the memory reads softmax(MLP(c*_t)) ⊙ c*_t.

    Args:
        sizes: D of text, audio and vision.
        params: Sizes of everything else.
    """

    def __init__(self, sizes: tuple[int, ...], params: MFNParams) -> None:
        super().__init__()
        self.cells = nn.ModuleList(map(nn.LSTMCell, sizes, params.hiddens))
        hidden = sum(params.hiddens)
        self.attention = two_layers(
            2 * hidden, params.attention_hidden, 2 * hidden, params.attention_dropout
        )
        self.memory = GatedMemory(2 * hidden, params)
        self.size = hidden + params.memory

    def forward(self, steps: Streams) -> Tensor:
        """(B, T, D) each -> (B, T, size), hidden states and memory after each step."""
        states = [_states(cell, stream) for cell, stream in zip(self.cells, steps, strict=True)]
        # The states of all streams side by side, (B, T, ΣH) each.
        hidden, cell = (torch.cat(parts, dim=2) for parts in zip(*states, strict=True))
        window = with_previous(cell)  # (B, T, 2 ΣH)
        attended = self.attention(window).softmax(2) * window  # weighs features, not steps
        return torch.cat([hidden, self.memory(attended)], dim=2)


class MemoryFusion(Network):
    """y = MLP([h_text; h_audio; h_vision; memory]) after the last word."""

    def __init__(self, dims: Dims, params: MFNParams) -> None:
        super().__init__()
        sizes = tuple(dims.need(name)[1] for name in ("text", "audio", "vision"))
        self.core = MemoryFusionCore(sizes, params)
        self.head = two_layers(self.core.size, params.out_hidden, 1, params.out_dropout)
        self.published = params.published

    def forward(self, batch: Batch) -> Output:
        """Predict one batch."""
        steps, last = _means(batch) if self.published else on_words(batch, padded=False)
        return Output(self.head(at_step(self.core(steps), last)).squeeze(1))


def _states(cell: nn.Module, steps: Tensor) -> tuple[Tensor, Tensor]:
    """(B, T, D) -> hidden and cell states, (B, T, H) each."""
    state: tuple[Tensor, Tensor] | None = None
    states = []
    for step in steps.unbind(1):
        state = cell(step, state)
        states.append(state)
    hidden, cells = zip(*states, strict=True)
    return torch.stack(hidden, dim=1), torch.stack(cells, dim=1)


def _means(batch: Batch) -> tuple[Streams, Tensor]:
    """As released: text to the end of its padding, and the mean of audio and vision at each step.

    MMSA replaces both streams by their mean over the padded length before it aligns them.
    """
    text, audio, vision = streams(batch)
    heard, seen = (
        time_mean(stream, padded=True).unsqueeze(1).expand(-1, text.frames, -1)
        for stream in (audio, vision)
    )
    return (text.untrimmed(), heard, seen), torch.full_like(text.lengths, text.frames - 1)


MFN = System(
    name="mfn",
    card=Card(
        title="MFN",
        paper="Zadeh, Liang, Mazumder, Poria, Cambria, Morency. Memory Fusion Network for"
        " Multi-view Sequential Learning. AAAI 2018; as implemented in MMSA",
        year=2018,
        url="https://arxiv.org/abs/1802.00927",
        text="T-feat",
        deviations=(
            "quirk=fixed: audio and vision are pooled from true frames to the clip's own words and"
            " the state is read after the last word; MMSA repeats their mean over the padded"
            " length at every step and reads on to the end of the padding",
            "MMSA's numbers on MOSI and MOSEI are on aligned features",
        ),
        selection=ReleasedSelection(
            source="MMSA 2.2.1, trains/singleTask/MFN.py",
            rules=(SelectionRule(monitor="l1", digits=4, patience=8),),
        ),
    ),
    params=MFNParams,
    presets={
        "mosi": {
            **{"text_hidden": 256, "audio_hidden": 32, "vision_hidden": 256, "memory": 400},
            **layer_presets(attention=(32, 0.2), proposal=(64, 0.0), out=(128, 0.0)),
            **layer_presets(retain=(256, 0.7), update=(32, 0.5)),
            **{"batch_size": 128, "lr": 2e-3, "weight_decay": 0.0},
        },
        "mosei": {
            **{"text_hidden": 128, "audio_hidden": 32, "vision_hidden": 128, "memory": 128},
            **layer_presets(attention=(128, 0.2), proposal=(128, 0.5), out=(128, 0.5)),
            **layer_presets(retain=(256, 0.7), update=(256, 0.0)),
            **{"batch_size": 64, "lr": 5e-4, "weight_decay": 1e-4},
        },
        "sims": {
            **{"text_hidden": 64, "audio_hidden": 16, "vision_hidden": 64, "memory": 64},
            **layer_presets(attention=(128, 0.2), proposal=(128, 0.0), out=(64, 0.7)),
            **layer_presets(retain=(64, 0.2), update=(64, 0.7)),
            **{"batch_size": 32, "lr": 1e-3, "weight_decay": 0.0},
        },
        "simsv2": {
            **{"text_hidden": 128, "audio_hidden": 16, "vision_hidden": 128, "memory": 400},
            **layer_presets(attention=(32, 0.2), proposal=(128, 0.5), out=(64, 0.2)),
            **layer_presets(retain=(32, 0.5), update=(32, 0.2)),
            **{"batch_size": 64, "lr": 1e-3, "weight_decay": 0.0},
        },
    },
    inputs=frozenset({"text", "audio", "vision"}),
    build=MemoryFusion,
)
