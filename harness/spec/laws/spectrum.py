"""The spectrum of QA-MoE (ACL 2026, arXiv 2604.05704), without gaps: those stay unseen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.spec.laws import Law

if TYPE_CHECKING:
    from harness.corruption import Damage, LawDraws


def _damage(draw: LawDraws) -> Damage:
    noise = draw.in_half(draw.uniform("λ"))
    eta = draw.in_half(draw.uniform("η"))
    whole = draw.share("clip", "how") < 0.5
    return draw.damage(
        noise=noise,
        missing={name: rates * ~whole for name, rates in eta.items()},
        gone=draw.gone({name: rates * whole for name, rates in eta.items()}),
    )


SPECTRUM = Law(
    name="spectrum",
    about="half of the clips clean, else λ and η ~ U(0, 1) for each modality by itself,"
    " η as element or as modality; never block",
    damage=_damage,
    seen=frozenset({"noise", "element", "modality"}),
    place=10,
)
