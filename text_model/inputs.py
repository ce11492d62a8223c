"""What a batch gives TEXT: every stream brought to the same number of steps.

Shapes: B clips, T frames as they come, K steps wanted, D features, L tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from harness.data.batching import Sequence, Tokens
from text_model.encoders import Padded

__all__ = ["first_frames", "pooled_frames", "resized", "resized_tokens"]


def pooled_frames(sequence: Sequence, steps: int) -> Padded:
    """Adaptive mean pooling of each clip's true frames to K steps; shorter clips stay as they are.

    With n = min(length, K), step i < n is the mean of frames ⌊i · length / n⌋ up to, and without,
    ⌈(i + 1) · length / n⌉.

    Returns:
        (B, K, D), zero from step n on.
    """
    length = sequence.lengths.unsqueeze(1)  # (B, 1)
    count = length.clamp(max=steps)  # (B, 1), n
    step = torch.arange(steps, device=length.device)  # (K,)
    start = step * length // count  # (B, K)
    stop = -(-(step + 1) * length // count)  # (B, K), rounded up
    frame = torch.arange(sequence.values.shape[1], device=length.device)  # (T,)
    inside = (start.unsqueeze(2) <= frame) & (frame < stop.unsqueeze(2))  # (B, K, T)
    mask = step < count  # (B, K)
    chosen = (inside & mask.unsqueeze(2)).to(sequence.values.dtype)  # (B, K, T)
    # A matrix product of 0s and 1s sums the frames of each step: (B, K, D).
    return Padded(chosen @ sequence.values / (stop - start).unsqueeze(2), mask)


def first_frames(sequence: Sequence, steps: int) -> Padded:
    """K frames of each clip from the first one on that is not all zero: (B, K, D).

    A clip whose last K padded frames begin earlier gives those, and streams of K frames are as
    they come.
    """
    values, length = sequence.values, sequence.lengths.unsqueeze(1)  # (B, T, D), (B, 1)
    latest = max(0, sequence.frames - steps)
    silent = (values == 0).all(2).cumprod(1).sum(1, keepdim=True)  # (B, 1), frames before it
    frame = silent.clamp(max=latest) + torch.arange(steps, device=values.device)  # (B, K)
    inside = frame < length
    places = frame.clamp(max=values.shape[1] - 1).unsqueeze(2).expand(-1, -1, values.shape[2])
    return Padded(values.gather(1, places) * inside.unsqueeze(2), inside)


def resized(stream: Padded, steps: int) -> Padded:
    """(B, L, D) -> (B, K, D): padding added or steps cut at the end."""
    missing = steps - stream.values.shape[1]  # below 0, padding cuts
    return Padded(pad(stream.values, (0, 0, 0, missing)), pad(stream.mask, (0, missing)))


def resized_tokens(tokens: Tokens, steps: int) -> Tokens:
    """(B, L) -> (B, K): padding added or tokens cut at the end."""

    def fit(part: Tensor) -> Tensor:
        return pad(part, (0, steps - part.shape[1]))

    return Tokens(fit(tokens.ids), fit(tokens.mask), fit(tokens.segments))
