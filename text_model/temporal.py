"""The temporal block of TEXT: audio and vision, each convolved in time and gated by the other.

Shapes: B clips, L steps (La audio, Lv vision), D features, C = 2 D channels.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, silu

__all__ = ["GatedConvolution", "TemporalBlock"]

KERNEL = 4
"""Steps that a convolution sees: its own and the three before it."""


class TemporalBlock(Protocol):
    """What this block and all that replace it have in common."""

    def forward(
        self,
        audio: Tensor,
        vision: Tensor,
        audio_mask: Tensor | None = None,
        vision_mask: Tensor | None = None,
    ) -> Tensor:
        """Let two streams see each other.

        Args:
            audio: (B, La, D).
            vision: (B, Lv, D).
            audio_mask: (B, La) bool, True on true steps, which come first in a clip; None: all.
            vision_mask: (B, Lv) bool, likewise.

        Returns:
            (B, La + Lv, D), audio first; steps beyond a clip's own are meaningless.
        """


class GatedConvolution(nn.Module):
    """The released block: A + W_A (Conv(x_A) ⊙ SiLU(g_V)), V + W_V (Conv(x_V) ⊙ SiLU(g_A)).

    (x_m, g_m) = split(W_m RMSNorm(m)). A step that the other stream lacks has a closed gate: only
    its residual is left.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.audio, self.vision = _GatedStream(size), _GatedStream(size)

    def forward(
        self,
        audio: Tensor,
        vision: Tensor,
        audio_mask: Tensor | None = None,
        vision_mask: Tensor | None = None,
    ) -> Tensor:
        """(B, La, D), (B, Lv, D) -> (B, La + Lv, D)."""
        heard, audio_gate = self.audio.split(audio, audio_mask)  # (B, La, C) each
        seen, vision_gate = self.vision.split(vision, vision_mask)  # (B, Lv, C) each
        mixed = (
            audio + self.audio.mix(heard, vision_gate),
            vision + self.vision.mix(seen, audio_gate),
        )
        return torch.cat(mixed, dim=1)


class _GatedStream(nn.Module):
    """The weights of one stream."""

    def __init__(self, size: int) -> None:
        super().__init__()
        channels = 2 * size
        self.norm = nn.RMSNorm(size, eps=1e-5)
        self.project = nn.Linear(size, 2 * channels, bias=False)
        self.conv = nn.Conv1d(channels, channels, KERNEL, groups=channels)
        self.out = nn.Linear(channels, size, bias=False)

    def split(self, steps: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """(B, L, D) -> values and gates, (B, L, C) each, gates closed where there is no step."""
        values, gates = self.project(self.norm(steps)).chunk(2, dim=2)  # (B, L, C) each
        opened = silu(gates)
        return values, opened if mask is None else opened * mask.unsqueeze(2)

    def mix(self, values: Tensor, gates: Tensor) -> Tensor:
        """Convolve (B, L, C) causally, gate by the other stream's (B, ·, C), project: (B, L, D)."""
        past = pad(values.transpose(1, 2), (KERNEL - 1, 0))  # (B, C, 3 + L)
        convolved = self.conv(past).transpose(1, 2)  # (B, L, C)
        missing = values.shape[1] - gates.shape[1]  # below 0, padding cuts
        update: Tensor = self.out(convolved * pad(gates, (0, 0, 0, missing)))
        return update
