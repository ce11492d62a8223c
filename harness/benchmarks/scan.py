"""The selective scan over unbound steps against the loop that indexes discretised ones.

Shapes: B clips, E channels, N states of a channel, L steps.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from harness.benchmarks.measure import BenchmarkRow, Scale, alternate, cpu

__all__ = ["indexed_scan", "selective_scan"]

_CLIPS, _CHANNELS, _STATES = 16, 256, 16  # channels and states of TEXT's Mamba variant
_PATIENCE = 1000  # steps; the reference takes 40 s forward and backward over 375 of them

Way: TypeAlias = Callable[..., Tensor]


def selective_scan(folder: Path, scale: Scale) -> list[BenchmarkRow]:
    """Forward, and forward with backward, at the lengths of ``scale``."""
    return [row for steps in scale.scan_steps for row in _rows(steps, scale)]


def indexed_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, z: Tensor, bias: Tensor
) -> Tensor:
    """The same values, (B, E, L): coefficients of all steps first, then step by step.

    The backward pass of each index fills a tensor as large as the coefficients of all steps.
    """
    size = functional.softplus(delta + bias.unsqueeze(1))
    decay = torch.exp(size.unsqueeze(3) * A.unsqueeze(1))  # (B, E, L, N)
    written = (size * u).unsqueeze(3) * B.transpose(1, 2).unsqueeze(1)
    state = torch.zeros_like(written[:, :, 0])
    read = []
    for t in range(u.shape[2]):
        state = decay[:, :, t] * state + written[:, :, t]
        read.append((state @ C[:, :, t].unsqueeze(2)).squeeze(2))
    return (torch.stack(read, dim=2) + D.unsqueeze(1) * u) * functional.silu(z)


def _rows(steps: int, scale: Scale) -> list[BenchmarkRow]:
    from harness.system import scan

    unbound = functools.partial(scan.selective_scan, delta_softplus=True)
    inputs = _inputs(steps)
    repeats = min(scale.repeats, max(1, _PATIENCE // steps))
    measured = {
        name: alternate(
            cpu(work(unbound, inputs)), cpu(work(indexed_scan, inputs)), repeats=repeats
        )
        for name, work in (("forward", _forward), ("forward and backward", _both_ways))
    }
    return [
        BenchmarkRow(
            what=f"Selective scan over {steps} unbound steps, {name}",
            reference="a loop that indexes discretised steps",
            ours=ours,
            theirs=theirs,
            note=f"{_CLIPS} clips, {_CHANNELS} channels, {_STATES} states; processor seconds; the"
            " reference is the form of mamba-ssm's and transformers' fallbacks",
        )
        for name, (ours, theirs) in measured.items()
    ]


def _inputs(steps: int) -> list[Tensor]:
    """u, delta, A, B, C, D, z and delta_bias."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    along, state = (_CLIPS, _CHANNELS, steps), (_CLIPS, _STATES, steps)
    rates = -normal(_CHANNELS, _STATES).exp()
    per_channel = normal(_CHANNELS), normal(_CHANNELS)
    inputs = [normal(*along), normal(*along), rates, normal(*state), normal(*state)]
    inputs += [per_channel[0], normal(*along), per_channel[1]]
    return [part.requires_grad_() for part in inputs]


def _forward(scan: Way, inputs: list[Tensor]) -> Callable[[], object]:
    @torch.inference_mode()
    def work() -> Tensor:
        return scan(*inputs)

    return work


def _both_ways(scan: Way, inputs: list[Tensor]) -> Callable[[], object]:
    return lambda: torch.autograd.grad(scan(*inputs).sum(), inputs)
