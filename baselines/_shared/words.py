"""Streams at the pace of words, for systems that read text, audio and vision step by step.

Shapes: B clips, T words, D features, H hidden size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines._shared.blocks import streams
from baselines.ef_lstm import pool_padded, pool_to
from harness.data.batching import Batch

__all__ = ["Streams", "at_step", "on_words", "squared_error", "up_to", "with_previous"]

Streams = tuple[Tensor, Tensor, Tensor]
"""Text, audio and vision, (B, T, D) each, word by word."""


def on_words(batch: Batch, *, padded: bool) -> tuple[Streams, Tensor]:
    """The streams word by word, and each clip's last step (B,).

    Args:
        batch: Clips with all three streams.
        padded: As MMSA, pool padded arrays and read on to their end; otherwise pool true frames
            to the clip's own words and stop at the last.
    """
    text, audio, vision = streams(batch)
    if padded:
        pooled = [pool_padded(stream.untrimmed(), text.frames) for stream in (audio, vision)]
        return (text.untrimmed(), pooled[0], pooled[1]), torch.full_like(
            text.lengths, text.frames - 1
        )
    return (text.values, pool_to(text, audio), pool_to(text, vision)), text.lengths - 1


def at_step(states: Tensor, step: Tensor) -> Tensor:
    """(B, T, H) at one step (B,) per clip -> (B, H)."""
    return states[torch.arange(len(states), device=states.device), step]


def with_previous(states: Tensor) -> Tensor:
    """(B, T, H) -> (B, T, 2H), the state before each step, zero at first, and the state after."""
    before = nn.functional.pad(states[:, :-1], (0, 0, 1, 0))  # (B, T, H)
    return torch.cat([before, states], dim=2)


def up_to(last: Tensor, count: int) -> Tensor:
    """(B,) last steps -> (B, count) bool, True up to them."""
    return torch.arange(count, device=last.device) <= last.unsqueeze(1)


def squared_error(generated: Tensor, target: Tensor, inside: Tensor) -> Tensor:
    """Mean squared error of (B, T, D) over the steps that ``inside`` (B, T) marks."""
    errors = (generated - target).square().mean(2)  # (B, T)
    return (errors * inside).sum() / inside.sum()
