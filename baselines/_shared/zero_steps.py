"""Positions as MulT's released code gives them, which some of its heirs kept.

Shapes: B clips, L steps, D features.
"""

from __future__ import annotations

import math

from torch import Tensor

from baselines._shared.transformer import CrossModalEncoder, sinusoids

__all__ = ["ValuedPositions"]


class ValuedPositions(CrossModalEncoder):
    """An encoder that reads a step whose first feature is exactly 0 as padding, with position 0.

    Behind a convolution without bias that is all padding, and silence within a clip that is longer
    than the kernel.
    """

    def _embed(self, steps: Tensor) -> Tensor:
        scaled = steps * math.sqrt(steps.shape[2])
        if self.positions:
            waves = sinusoids(steps.shape[1], steps.shape[2], steps.device)  # (L, D)
            scaled = scaled + waves * (scaled[:, :, :1] != 0)
        embedded: Tensor = self.embed_dropout(scaled)
        return embedded
