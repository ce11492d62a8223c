"""Element drop: systems that learn from incomplete inputs damage their own training clips with it.

Every true step is lost independently with the rate of its clip and stream. A lost frame becomes
zero, a lost token the encoder's token for unknown words; the first and the last token stay. Draws
come from torch's generator, which the training loop seeds.

Shapes: B clips, T steps, L tokens.

Source: the protocol of TFR-Net, which LNLN takes over.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from harness.data.batching import Sequence, Tokens
from harness.errors import SpecError
from harness.system import Dims

__all__ = ["check_unknown", "kept_frames", "kept_tokens", "without_frames", "without_tokens"]


def kept_frames(sequence: Sequence, rates: Tensor) -> Tensor:
    """(B, T) bool, True on true frames that survive the loss rates (B,)."""
    return sequence.mask & _survivors(sequence.mask, rates)


def kept_tokens(tokens: Tokens, rates: Tensor) -> Tensor:
    """(B, L) bool, True on true tokens that survive the loss rates (B,); the ends always do."""
    places = torch.arange(tokens.mask.shape[1], device=tokens.mask.device)  # (L,)
    last = tokens.mask.sum(1, keepdim=True) - 1  # (B, 1)
    ends = (places == 0) | (places == last)
    return tokens.mask.bool() & (ends | _survivors(tokens.mask, rates))


def without_frames(sequence: Sequence, kept: Tensor) -> Sequence:
    """The stream with zeros where ``kept`` (B, T) is False; lengths stay."""
    return dataclasses.replace(sequence, values=sequence.values * kept.unsqueeze(2))


def without_tokens(tokens: Tokens, kept: Tensor, unknown: int) -> Tokens:
    """The tokens with ``unknown`` for true ones where ``kept`` (B, L) is False."""
    lost = tokens.mask.bool() & ~kept
    return dataclasses.replace(tokens, ids=tokens.ids.masked_fill(lost, unknown))


def check_unknown(dims: Dims, unknown: int) -> None:
    """Raise ``SpecError`` when the encoder has no token of that id."""
    vocabulary = dims.need_encoder().vocabulary
    if unknown >= vocabulary:
        raise SpecError(
            f"unknown_token is {unknown}, the encoder has {vocabulary} tokens",
            hint="the id of [UNK] in the encoder's vocabulary",
        )


def _survivors(steps: Tensor, rates: Tensor) -> Tensor:
    """(B, T) bool: rate 0 keeps every step, rate 1 none."""
    return torch.rand(steps.shape, device=steps.device) >= rates.unsqueeze(1)
