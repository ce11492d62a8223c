"""What a network reads of a sequence: true steps, or padding too, as some released code does.

Shapes: B clips, T steps, D features, L tokens.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pad

from harness.data.batching import Sequence, Tokens

__all__ = ["masked_average", "padded_tokens", "steps_of"]


def masked_average(states: Tensor, mask: Tensor) -> Tensor:
    """(B, T, D) and (B, T) true steps -> (B, D)."""
    weights = mask.unsqueeze(2)  # (B, T, 1)
    return (states * weights).sum(1) / weights.sum(1)


def steps_of(sequence: Sequence, *, padded: bool) -> tuple[Tensor, Tensor | None]:
    """(B, T, D) values and (B, T) bool, True on true frames; None: every step counts.

    Args:
        sequence: A feature stream.
        padded: Whether the padding up to the corpus's length counts as frames.
    """
    if padded:
        return sequence.untrimmed(), None
    return sequence.values, sequence.mask


def padded_tokens(tokens: Tokens, length: int) -> Tokens:
    """The same tokens, each (B, L) with L at least ``length``."""
    missing = max(0, length - tokens.ids.shape[1])
    ids, mask, segments = (
        pad(part, (0, missing)) for part in (tokens.ids, tokens.mask, tokens.segments)
    )
    return Tokens(ids, mask, segments, tokens.on_host)
