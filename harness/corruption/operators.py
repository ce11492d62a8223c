"""The operators: what noise and missingness do to a batch, on the batch's device.

Shapes: B clips, T frames, D features, L tokens.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from harness.corruption.draws import Draws, threshold
from harness.data.batching import Batch, Sequence, Tokens
from harness.spec.conditions import MODALITIES

__all__ = ["Damage", "Units", "corrupt"]

_TOKENS = 50  # LNLN's padded length of texts


@dataclass(frozen=True, eq=False, kw_only=True)
class Damage:
    """What happens to each of B clips; a modality that is not named suffers nothing.

    Args:
        noise: Modality -> (B,) λ.
        missing: Modality -> (B,) η, share of the steps that go.
        gone: Modality -> (B,) bool, whether all of it goes.
        block: Whether the missing steps are one gap.
        published: Whether steps are drawn as LNLN's code draws them.
    """

    noise: Mapping[str, Tensor] = field(default_factory=dict)
    missing: Mapping[str, Tensor] = field(default_factory=dict)
    gone: Mapping[str, Tensor] = field(default_factory=dict)
    block: bool = False
    published: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class Units:
    """What strengths are measured in.

    Args:
        deviations: ``audio``, ``vision`` -> (D,) float32, what noise of λ = 1 has as deviation.
        unknown: The token that stands for a word nobody understood.
        spare_ends: Whether noise leaves the first and the last token alone.
    """

    deviations: Mapping[str, Tensor]
    unknown: int
    spare_ends: bool = True


@dataclass(frozen=True, eq=False)
class _Steps:
    """The steps of one modality that can suffer.

    Args:
        name: The modality.
        first: Position of the first of them.
        counts: (B,) how many each clip has.
        length: T or L.
        padded: The same in the corpus.
    """

    name: str
    first: int
    counts: Tensor
    length: int
    padded: int

    @property
    def places(self) -> Tensor:
        """(1, T) positions counted from the first."""
        return torch.arange(self.length, device=self.counts.device).unsqueeze(0) - self.first

    @property
    def inside(self) -> Tensor:
        """(B, T) bool."""
        return (self.places >= 0) & (self.places < self.counts.unsqueeze(1))

    def hit(self, damage: Damage, draws: Draws) -> Tensor | None:
        """(B, T) bool, steps that noise replaces; None where there is no noise."""
        if self.name not in damage.noise:
            return None
        drawn = self._draws("noise", damage, draws)
        return self.inside & (drawn < threshold(damage.noise[self.name]).unsqueeze(1))

    def left(self, damage: Damage, draws: Draws) -> Tensor:
        """(B, T) bool, steps that are not missing."""
        left = self.inside
        if self.name in damage.missing:
            limit = threshold(damage.missing[self.name])
            if damage.block:
                left = left & ~self._gap(limit, draws)
            else:
                left = left & (self._draws("element", damage, draws) >= limit.unsqueeze(1))
        if self.name in damage.gone:
            left = left & ~damage.gone[self.name].unsqueeze(1)
        return left

    def _draws(self, purpose: str, damage: Damage, draws: Draws) -> Tensor:
        purpose = "published" if damage.published else purpose
        return draws.steps(self.name, purpose, self.length, self.padded)

    def _gap(self, limit: Tensor, draws: Draws) -> Tensor:
        """(B, T) bool: one gap of η of the steps, which grows on both sides as η does.

        In whole numbers: width = round(η n), start = floor(u (n - width + 1)).
        """
        width = (limit * self.counts + 2**31) >> 32  # (B,); limit is η 2^32, the addend rounds
        start = (draws.clips(self.name, "block") * (self.counts - width + 1)) >> 32  # (B,)
        after = self.places - start.unsqueeze(1)  # (B, T)
        return (after >= 0) & (after < width.unsqueeze(1))


def corrupt(batch: Batch, damage: Damage, draws: Draws, units: Units) -> Batch:
    """The batch after noise, then missingness; its clips, lengths and tokens are new tensors.

    A stream that lost everything keeps one frame of zeros, a text its end tokens. ``present`` says
    which modalities still have something to say. Explanations are left alone.
    """
    present: dict[str, Tensor] = {}
    streams: dict[str, Sequence | None] = dict.fromkeys(MODALITIES)
    for name in MODALITIES:
        stream: Sequence | None = getattr(batch, name)
        if stream is not None:
            streams[name], present[name] = _stream(name, stream, damage, draws, units)
    tokens = batch.tokens
    if tokens is not None:
        tokens, present["text"] = _tokens(tokens, damage, draws, units)
    return dataclasses.replace(
        batch,
        text=streams["text"],
        audio=streams["audio"],
        vision=streams["vision"],
        tokens=tokens,
        present=present,
    )


def _stream(
    name: str, stream: Sequence, damage: Damage, draws: Draws, units: Units
) -> tuple[Sequence, Tensor]:
    """A stream with its noise and holes, and whether (B,) anything of it is left."""
    steps = _Steps(name, 0, stream.lengths, stream.values.shape[1], stream.frames)
    values, left = stream.values, steps.left(damage, draws)
    shown = left
    if name == "text":
        silenced = steps.hit(damage, draws)  # a frozen encoder has no vector for an unknown word
        shown = left if silenced is None else left & ~silenced
    elif name in damage.noise:
        normals = draws.normals(name, *values.shape[1:])  # (B, T, D)
        scale = damage.noise[name].float()[:, None, None] * units.deviations[name]  # (B, 1, D)
        values = values + scale * normals
    gone = damage.gone.get(name)
    lengths = stream.lengths if gone is None else stream.lengths.masked_fill(gone, 1)
    known = stream.on_host if gone is None else None  # draws are made where the batch is
    # Padding is never shown: noise drawn for it becomes zero again.
    return Sequence(values * shown.unsqueeze(2), lengths, stream.frames, known), left.any(1)


def _tokens(tokens: Tokens, damage: Damage, draws: Draws, units: Units) -> tuple[Tokens, Tensor]:
    """Words unknown, then words gone and the rest moved together."""
    counts = tokens.mask.sum(1)  # (B,)
    length = tokens.mask.shape[1]
    # Words lie between two end tokens.
    words = _Steps("text", 1, (counts - 2).clamp(min=0), length, _TOKENS)
    reach = words if units.spare_ends else _Steps("text", 0, counts, length, _TOKENS)
    unknown = reach.hit(damage, draws)
    ids = tokens.ids if unknown is None else tokens.ids.masked_fill(unknown, units.unknown)
    had, left = words.inside, words.left(damage, draws)  # (B, L) each
    kept = tokens.mask.bool() & (~had | left)  # (B, L)
    order = (~kept).long().argsort(dim=1, stable=True)  # those kept first, in their order
    mask = kept.gather(1, order).to(tokens.mask.dtype)
    moved = Tokens(ids.gather(1, order) * mask, mask, tokens.segments.gather(1, order) * mask)
    said = left.any(1)  # (B,)
    # Missing words do not silence a text that had none.
    return moved, said if damage.gone.get("text") is not None else said | ~had.any(1)
