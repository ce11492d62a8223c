"""From a condition, or from a law of training, to what happens to each clip.

Laws are files of ``harness.spec.laws``; here is what they are written in.

Shapes: B clips.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.corruption.draws import Draws, share, threshold
from harness.corruption.operators import Damage
from harness.spec.conditions import MODALITIES, Condition

__all__ = ["LawDraws", "damage_of"]

_CLEAN_SHARE = 0.5


def damage_of(condition: Condition, draws: Draws) -> Damage:
    """The same strength for every clip."""
    eta = _same({name: condition.missing for name in condition.hit}, draws)
    noise = _same({name: condition.noise for name in condition.hit}, draws)
    noise = noise if condition.noise else {}
    if condition.how in ("lnln", "lnln@published"):
        return _as_lnln(eta, noise, published=condition.how == "lnln@published")
    if not condition.missing:
        return Damage(noise=noise)
    if condition.how == "modality":
        return Damage(noise=noise, gone=_gone(eta, draws, everything=condition.leaves_nothing))
    return Damage(noise=noise, missing=eta, block=condition.how == "block")


def _same(strengths: Mapping[str, float], draws: Draws) -> dict[str, Tensor]:
    return {
        name: torch.full((len(draws),), strength, dtype=torch.float64, device=draws.device)
        for name, strength in strengths.items()
    }


def _as_lnln(
    eta: Mapping[str, Tensor], noise: Mapping[str, Tensor], *, published: bool = False
) -> Damage:
    """Frames become zero, words become unknown."""
    words = {name: rates for name, rates in eta.items() if name == "text"}
    frames = {name: rates for name, rates in eta.items() if name != "text"}
    return Damage(noise={**noise, **words}, missing=frames, published=published)


def _gone(
    eta: Mapping[str, Tensor], draws: Draws, *, everything: bool = False
) -> dict[str, Tensor]:
    """Modality -> (B,) bool. Where all three would go, the one that would go last stays."""
    drawn = {name: draws.clips(name, "modality") for name in eta}
    gone = {name: drawn[name] < threshold(rates) for name, rates in eta.items()}
    if everything or set(eta) != set(MODALITIES):
        return gone
    last = torch.stack(list(drawn.values())).amax(0)
    every = torch.stack(list(gone.values())).all(0)
    return {name: gone[name] & ~(every & (drawn[name] == last)) for name in gone}


@dataclass(frozen=True, eq=False)
class LawDraws:
    """What laws are written in: the draws of a batch, and what is made of them.

    Args:
        draws: Of the B clips.
    """

    draws: Draws

    modalities = MODALITIES

    def share(self, what: str, purpose: str) -> Tensor:
        """(B,) uniform in [0, 1), one draw for each clip, modality and purpose.

        Args:
            what: A modality, or ``clip`` for one draw that all of a clip's share.
            purpose: Names the draw; equal names give equal draws.
        """
        return share(self.draws.clips(what, purpose))

    def choice(self, what: str, purpose: str, count: int) -> Tensor:
        """(B,) one of 0 to ``count`` - 1, all equally likely."""
        return (self.draws.clips(what, purpose) * count) >> 32

    def batch(self, purpose: str) -> Tensor:
        """(B,) uniform in [0, 1), one draw for the whole batch.

        It is the fraction of the sum of its clips' own draws: it depends on which clips are in the
        batch, not on their order, and a batch that is made again gets it again.
        """
        drawn = self.share("batch", purpose)  # whole multiples of 2^-32: their sum is exact
        return drawn.sum().remainder(1).expand(len(drawn))

    def uniform(self, purpose: str) -> dict[str, Tensor]:
        """Modality -> (B,) uniform rates, for each by itself."""
        return {name: self.share(name, purpose) for name in MODALITIES}

    def same(self, strength: float) -> dict[str, Tensor]:
        """Modality -> (B,) the same strength."""
        return _same(dict.fromkeys(MODALITIES, strength), self.draws)

    def in_half(self, rates: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The rates of half of the clips, always the same half; zero for the others."""
        chosen = self.share("clip", "clean") >= _CLEAN_SHARE
        return {name: rate * chosen for name, rate in rates.items()}

    def gone(self, rates: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Modality -> (B,) bool, gone with probability ``rates``; never all three."""
        return _gone(rates, self.draws)

    def lnln(self, rates: Mapping[str, Tensor]) -> Damage:
        """LNLN's operators at these rates: frames become zero, words unknown."""
        return _as_lnln(rates, {})

    def damage(
        self,
        *,
        noise: Mapping[str, Tensor] | None = None,
        missing: Mapping[str, Tensor] | None = None,
        gone: Mapping[str, Tensor] | None = None,
        block: bool = False,
    ) -> Damage:
        """See ``Damage``."""
        return Damage(noise=noise or {}, missing=missing or {}, gone=gone or {}, block=block)
