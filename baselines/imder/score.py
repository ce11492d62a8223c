"""The score network of IMDer: a U-net over time whose every level reads the condition.

Shapes: B clips, D features of a stream, N steps, W width of a level, E size of a time's features.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, silu

from baselines._shared.transformer import CrossModalEncoder
from baselines.imder.diffusion import std

__all__ = ["ScoreNetwork", "StepNorm", "shown"]

_LEVELS = 4  # each twice as wide as the one before, and half as long
_FIRST_GROUPS, _GROUPS = 4, 32  # of normalisation, where a level has as many features
_FREQUENCY = 30.0  # deviation of the frequencies of time


def shown(values: Tensor, mask: Tensor | None) -> Tensor:
    """(B, W, N) with zeros where (B, N) is False; None: as they are."""
    return values if mask is None else values * mask.unsqueeze(1)


class StepNorm(nn.GroupNorm):
    """Group normalisation over the true steps alone."""

    def forward(self, values: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, W, N) and (B, N) bool, True on true steps, of which each clip has some."""
        if mask is None:
            whole: Tensor = super().forward(values)
            return whole
        grouped = values.unflatten(1, (self.num_groups, -1))  # (B, G, W / G, N)
        places = mask[:, None, None, :]  # (B, 1, 1, N)
        count = mask.sum(1)[:, None, None, None] * grouped.shape[2]
        mean = (grouped * places).sum((2, 3), keepdim=True) / count
        centred = (grouped - mean) * places
        variance = centred.square().sum((2, 3), keepdim=True) / count
        normal = (centred * (variance + self.eps).rsqrt()).flatten(1, 2)  # (B, W, N)
        scaled: Tensor = normal * self.weight.unsqueeze(1) + self.bias.unsqueeze(1)
        return scaled


class Level(nn.Module):
    """h = conv(h) + attention(conv(h), c) + W e, normalised and gated by itself (swish).

    Args:
        convolve: (B, W', N') -> (B, W, N).
        follow: The same of the condition; None: it stays.
        width: W.
        read: Attends to the condition.
        time_size: E.
        groups: Of the normalisation; 0: neither time nor anything after it.
    """

    def __init__(
        self,
        convolve: nn.Module,
        follow: nn.Module | None,
        width: int,
        read: CrossModalEncoder,
        time_size: int,
        groups: int,
    ) -> None:
        super().__init__()
        self.convolve, self.follow, self.read = convolve, follow, read
        self.when = nn.Linear(time_size, width) if groups else None
        self.norm = StepNorm(groups, width) if groups else None

    def forward(
        self, state: Tensor, condition: Tensor, time: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """State and condition (B, W', N'), time (B, E), (B, N) true steps -> (B, W, N) twice."""
        state = shown(self.convolve(state), mask)
        if self.follow is not None:
            condition = shown(self.follow(condition), mask)
        told = self.read(state.mT, condition.mT, query_mask=mask, source_mask=mask).mT
        state = state + told
        if self.when is not None and self.norm is not None:
            state = silu(self.norm(state + self.when(time).unsqueeze(2), mask))
        return shown(state, mask), condition


class ScoreNetwork(nn.Module):
    """∇ ln p_t(x | c) = U-net(x, c, t) / std(t).

    Args:
        size: D.
        heads: Of all attention.
        layers: Of each level's attention.
        time_size: E.
        kind: Of encoder.
    """

    def __init__(
        self, size: int, heads: int, layers: int, time_size: int, kind: type[CrossModalEncoder]
    ) -> None:
        super().__init__()
        frequencies = _FREQUENCY * torch.randn(time_size // 2)
        self.frequencies = nn.Parameter(frequencies, requires_grad=False)
        self.time = nn.Linear(2 * len(frequencies), time_size)

        def level(
            convolve: nn.Module, follow: nn.Module | None, width: int, groups: int = _GROUPS
        ) -> Level:
            read = kind(width, heads, layers)
            return Level(
                convolve, follow, width, read, time_size, groups and math.gcd(groups, width)
            )

        widths = [size << k for k in range(_LEVELS)]
        self.down = nn.ModuleList([level(_narrow(size, size, 1), None, size, _FIRST_GROUPS)])
        for before, width in itertools.pairwise(widths):
            self.down.append(level(_narrow(before, width, 2), _narrow(before, width, 2), width))
        self.up = nn.ModuleList()
        for joined, before, width in zip((1, 2, 2), widths[:0:-1], widths[-2::-1], strict=True):
            self.up.append(level(_widen(joined * before, width), _widen(before, width), width))
        last, follow = nn.ConvTranspose1d(2 * size, size, 3, padding=1), _last(size)
        self.up.append(level(last, follow, size, groups=0))

    def forward(
        self, stream: Tensor, time: Tensor, condition: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """The score.

        Args:
            stream: (B, D, N), x with its noise.
            time: (B,) in (0, 1], t.
            condition: (B, D, N), c with its noise.
            mask: (B, N) bool, True on true steps, of which each clip has some; None: all.

        Returns:
            (B, D, N); steps beyond a clip's own are meaningless.
        """
        length = stream.shape[2]
        missing = -length % (1 << (_LEVELS - 1))  # halved steps must double to as many
        state, condition = (pad(part, (0, missing)) for part in (stream, condition))
        masks = _halved(None if mask is None else pad(mask, (0, missing)))
        state, condition = shown(state, masks[0]), shown(condition, masks[0])
        angles = 2 * math.pi * time.unsqueeze(1) * self.frequencies  # (B, E / 2)
        when = silu(self.time(torch.cat([angles.sin(), angles.cos()], dim=1)))  # (B, E)
        passed = []
        for level, places in zip(self.down, masks, strict=True):
            state, condition = level(state, condition, when, places)
            passed.append(state)
        state = passed.pop()
        for level, places in zip(self.up, [*masks[-2::-1], masks[0]], strict=True):
            state, condition = level(state, condition, when, places)
            if passed:
                state = torch.cat([state, passed.pop()], dim=1)
        return state[:, :, :length] / std(time)[:, None, None]


def _halved(mask: Tensor | None) -> list[Tensor | None]:
    """(B, N) of each level: a step is there as long as one of the two it comes from is."""
    if mask is None:
        return [None] * _LEVELS
    return [mask[:, :: 1 << level] for level in range(_LEVELS)]


def _narrow(before: int, width: int, stride: int) -> nn.Module:
    return nn.Conv1d(before, width, 3, stride=stride, padding=1, bias=False)


def _widen(before: int, width: int) -> nn.Module:
    return nn.ConvTranspose1d(before, width, 3, stride=2, padding=1, output_padding=1, bias=False)


def _last(size: int) -> nn.Module:
    return nn.ConvTranspose1d(size, size, 3, padding=1)
