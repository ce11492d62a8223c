"""The diffusion of IMDer: noise that grows with time, its score, and the way back.

dx = σ^t dw from t = 0 to 1. Streams are (B, D, N): B clips, D features, N steps.

Source: Song et al., Score-Based Generative Modeling through Stochastic Differential Equations,
2021, of which IMDer takes the variance-exploding equation with σ = 25.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

__all__ = ["Noise", "Score", "fixed_noise", "fresh_noise", "sampled", "score_errors", "std"]

SIGMA = 25.0
_EARLIEST = 1e-5  # time at which a score is learned
_LAST = 1e-3  # time at which sampling ends

Score = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(B, D, N) stream, (B,) times and (B, D, N) condition -> (B, D, N), the gradient of ln p."""

Noise = Callable[[], Tensor]
"""Standard normal numbers, (B, D, N) or (1, D, N); others at each call."""


def std(time: Tensor) -> Tensor:
    """Deviation of what has become of a point at times in [0, 1]: √((σ^2t - 1) / (2 ln σ))."""
    return (torch.expm1(2 * math.log(SIGMA) * time) / (2 * math.log(SIGMA))).sqrt()


def score_errors(score: Score, stream: Tensor, condition: Tensor, mask: Tensor | None) -> Tensor:
    """(B,): what each clip loses by the score at a time of its own.

    Σ (s(x + std(t) z, t, c + std(t) z) std(t) + z)² over features and true steps, t uniform, z
    standard normal and the same for stream and condition.

    Args:
        score: s.
        stream: (B, D, N), x.
        condition: (B, D, N), c.
        mask: (B, N) bool, True on true steps; None: all.
    """
    time = _EARLIEST + (1 - _EARLIEST) * torch.rand(len(stream), device=stream.device)  # (B,)
    noise = torch.randn_like(stream)
    scale = std(time)[:, None, None]
    found = score(stream + scale * noise, time, condition + scale * noise)
    errors = (found * scale + noise).square()  # (B, D, N)
    if mask is not None:
        errors = errors * mask.unsqueeze(1)
    return errors.sum((1, 2))


@torch.no_grad()
def sampled(score: Score, condition: Tensor, steps: int, noise: Noise) -> Tensor:
    """(B, D, N): streams drawn by Euler-Maruyama steps from t = 1 on, given a condition.

    The condition gets noise of its own at every step; the last step adds none to the stream.

    Args:
        score: Of the streams.
        condition: (B, D, N).
        steps: At least 2.
        noise: Asked once for the start, then twice a step.
    """
    times = torch.linspace(1.0, _LAST, steps, device=condition.device)
    gap = times[0] - times[1]
    stream = mean = (std(times[0]) * noise()).expand_as(condition)
    for time in times:
        seen = condition + std(time) * noise()
        rate = SIGMA**time
        mean = stream + rate.square() * gap * score(stream, time.expand(len(condition)), seen)
        stream = mean + gap.sqrt() * rate * noise()
    return mean


def fresh_noise(like: Tensor) -> Noise:
    """Noise from torch's generator, (B, D, N)."""
    return lambda: torch.randn_like(like)


def fixed_noise(like: Tensor, steps: int, length: int, seed: int) -> Noise:
    """Noise that is the same for every clip and in every batch, (1, D, N).

    Args:
        like: (B, D, N).
        steps: Of sampling.
        length: Most steps of a stream, N or more.
        seed: Of the table, which has another line for each call.
    """
    lines = iter(_table(steps, like.shape[1], length, seed)[:, :, : like.shape[2]])
    return lambda: next(lines).unsqueeze(0).to(like)


@functools.lru_cache(maxsize=8)
def _table(steps: int, size: int, length: int, seed: int) -> Tensor:
    """(1 + 2 steps, D, length) float32."""
    draws = np.random.default_rng(seed).standard_normal((1 + 2 * steps, size, length), np.float32)
    return torch.from_numpy(draws)
