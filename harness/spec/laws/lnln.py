"""What LNLN trains on: as the paper says, and as the released code draws it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.spec.laws import Law

if TYPE_CHECKING:
    from harness.corruption import Damage, LawDraws

_SEEN = frozenset({"lnln", "lnln@published", "element"})


def _damage(draw: LawDraws) -> Damage:
    return draw.lnln(draw.in_half(draw.uniform("η")))


LNLN = Law(
    name="lnln",
    about="half of the clips clean, else lnln with η ~ U(0, 1) for each modality by itself",
    damage=_damage,
    seen=_SEEN,
    place=30,
)

PUBLISHED = Law(
    name="lnln@published",
    about="the same drawn once: its refresh reaches one of eight loading processes",
    damage=_damage,
    seen=_SEEN,
    static=True,
    place=40,
)
