"""From a condition, or from a law of training, to what happens to each clip.

Shapes: B clips.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from harness.corruption.draws import Draws, share, threshold
from harness.corruption.operators import Damage
from harness.spec.conditions import MODALITIES, Condition

__all__ = ["LAWS", "STATIC", "damage_of"]

_CLEAN_SHARE = 0.5
_CODE_NOISE = 0.1
_CODE_DROP = 0.1
_CODE_SETS = (
    *(("vision",), ("text",), ("audio",)),
    *(("text", "vision"), ("audio", "vision"), ("text", "audio")),
)
"""What QA-MoE's code drops, in its order; all three never."""


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


def _uniform(draws: Draws, purpose: str) -> dict[str, Tensor]:
    return {name: share(draws.clips(name, purpose)) for name in MODALITIES}


def _in_part(draws: Draws, rates: Mapping[str, Tensor], purpose: str) -> dict[str, Tensor]:
    """The rates of half of the clips; zero for the others."""
    chosen = share(draws.clips("clip", purpose)) >= _CLEAN_SHARE
    return {name: rate * chosen for name, rate in rates.items()}


def _spectrum(draws: Draws) -> Damage:
    noise = _in_part(draws, _uniform(draws, "λ"), "clean")
    eta = _in_part(draws, _uniform(draws, "η"), "clean")
    whole = share(draws.clips("clip", "how")) < 0.5
    return Damage(
        noise=noise,
        missing={name: rates * ~whole for name, rates in eta.items()},
        gone=_gone({name: rates * whole for name, rates in eta.items()}, draws),
    )


def _code(draws: Draws) -> Damage:
    drops = share(draws.clips("clip", "drop")) < _CODE_DROP
    chosen = (draws.clips("clip", "set") * len(_CODE_SETS)) >> 32
    gone = {
        name: drops & torch.isin(chosen, torch.tensor(places, device=draws.device))
        for name in MODALITIES
        if (places := [i for i, dropped in enumerate(_CODE_SETS) if name in dropped])
    }
    return Damage(noise=_same(dict.fromkeys(MODALITIES, _CODE_NOISE), draws), gone=gone)


def _lnln(draws: Draws) -> Damage:
    return _as_lnln(_in_part(draws, _uniform(draws, "η"), "clean"), {})


LAWS: Mapping[str, Callable[[Draws], Damage]] = {
    "spectrum": _spectrum,
    "code": _code,
    "lnln": _lnln,
    "lnln@published": _lnln,
}
"""Training laws by name, see ``harness.spec.conditions``."""

STATIC = frozenset({"lnln@published"})
"""Laws whose draws are those of the first epoch in every one."""
