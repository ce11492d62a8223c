"""What QA-MoE (ACL 2026) trains on by a digest of its paper: one strength for a whole batch."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from harness.spec.laws import Law

if TYPE_CHECKING:
    from harness.corruption import Damage, LawDraws


def _damage(draw: LawDraws, *, most: float) -> Damage:
    noise, eta = most * draw.batch("λ"), most * draw.batch("η")
    return draw.damage(
        noise=dict.fromkeys(draw.modalities, noise),
        gone=draw.gone(dict.fromkeys(draw.modalities, eta)),
    )


def _law(name: str, most: float, place: float) -> Law:
    return Law(
        name=name,
        about=f"for each batch one λ and one η ~ U(0, {most:g}): noise of λ in all modalities, then"
        " whole modalities with probability η; no clip loses all three, none is spared",
        damage=functools.partial(_damage, most=most),
        seen=frozenset({"noise", "modality"}),
        shared=True,
        place=place,
    )


BATCH = _law("batch", 1.0, 22)

TESTED = _law("batch@0.7", 0.7, 24)
"""Up to the greatest strengths that the paper reports results for."""
