"""What the memory fusion networks share: a gated memory, two-layer networks and their settings.

Shapes: B clips, T words, S attended size, M memory size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.spec import Scalar
from harness.system import QuirkParams, param

__all__ = ["GatedMemory", "MemoryParams", "layer_presets", "two_layers"]


@dataclass(frozen=True, kw_only=True)
class MemoryParams(QuirkParams):
    """Sizes of the three LSTMs, of the memory and of its two-layer networks."""

    text_hidden: int = param(256, low=1, source="MMSA: MFN on MOSI")
    audio_hidden: int = param(32, low=1, source="MMSA: MFN on MOSI")
    vision_hidden: int = param(256, low=1, source="MMSA: MFN on MOSI")
    memory: int = param(400, low=1, source="MMSA: MFN on MOSI, memsize")
    proposal_hidden: int = param(64, low=1, source="MMSA: MFN on MOSI, NN2")
    proposal_dropout: float = param(0.0, low=0.0, high=1.0, source="MMSA: MFN on MOSI, NN2")
    retain_hidden: int = param(256, low=1, source="MMSA: MFN on MOSI, gamma1")
    retain_dropout: float = param(0.7, low=0.0, high=1.0, source="MMSA: MFN on MOSI, gamma1")
    update_hidden: int = param(32, low=1, source="MMSA: MFN on MOSI, gamma2")
    update_dropout: float = param(0.5, low=0.0, high=1.0, source="MMSA: MFN on MOSI, gamma2")
    out_hidden: int = param(128, low=1, source="MMSA: MFN on MOSI, out")
    out_dropout: float = param(0.0, low=0.0, high=1.0, source="MMSA: MFN on MOSI, out")

    @property
    def hiddens(self) -> tuple[int, int, int]:
        """Hidden sizes of text, audio and vision."""
        return self.text_hidden, self.audio_hidden, self.vision_hidden


def layer_presets(**layers: tuple[int, float]) -> dict[str, Scalar]:
    """Name = (hidden units, dropout) of each two-layer network -> hyper-parameters."""
    hidden: dict[str, Scalar] = {f"{name}_hidden": units for name, (units, _) in layers.items()}
    return hidden | {f"{name}_dropout": share for name, (_, share) in layers.items()}


def two_layers(size: int, hidden: int, out: int, dropout: float) -> nn.Sequential:
    """(..., size) -> (..., out): linear, ReLU, dropout, linear."""
    return nn.Sequential(
        *(nn.Linear(size, hidden), nn.ReLU()),
        *(nn.Dropout(dropout), nn.Linear(hidden, out)),
    )


class GatedMemory(nn.Module):
    """m_t = σ(R[a_t; m_{t-1}]) ⊙ m_{t-1} + σ(U[a_t; m_{t-1}]) ⊙ tanh(P a_t), m_0 = 0.

    P, R and U are two-layer networks.

    Args:
        size: S.
        params: Sizes and dropouts.
    """

    def __init__(self, size: int, params: MemoryParams) -> None:
        super().__init__()
        self.size = params.memory
        both = size + self.size
        self.proposal = two_layers(size, params.proposal_hidden, self.size, params.proposal_dropout)
        self.retain = two_layers(both, params.retain_hidden, self.size, params.retain_dropout)
        self.update = two_layers(both, params.update_hidden, self.size, params.update_dropout)

    def forward(self, attended: Tensor) -> Tensor:
        """(B, T, S) -> (B, T, M), the memory after each step."""
        # Proposals do not read the memory: those of all steps are made at once, (B, T, M).
        proposals = self.proposal(attended).tanh()
        memory = attended.new_zeros(len(attended), self.size)  # (B, M)
        memories = []
        for seen, proposal in zip(attended.unbind(1), proposals.unbind(1), strict=True):
            both = torch.cat([seen, memory], dim=1)  # (B, S + M)
            memory = self.retain(both).sigmoid() * memory + self.update(both).sigmoid() * proposal
            memories.append(memory)
        return torch.stack(memories, dim=1)
