"""What the released code of QA-MoE (ACL 2026) does to training clips, as far as known."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING

from harness.spec.laws import Law

if TYPE_CHECKING:
    from harness.corruption import Damage, LawDraws

_NOISE = 0.1
_DROP = 0.1
_SETS = (
    *(("vision",), ("text",), ("audio",)),
    *(("text", "vision"), ("audio", "vision"), ("text", "audio")),
)
"""What is dropped, in the code's order; all three never."""


def _damage(draw: LawDraws) -> Damage:
    drops = draw.share("clip", "drop") < _DROP
    chosen = draw.choice("clip", "set", len(_SETS))
    gone = {}
    for name in draw.modalities:
        having = [chosen == place for place, dropped in enumerate(_SETS) if name in dropped]
        gone[name] = drops & functools.reduce(operator.or_, having)
    return draw.damage(noise=draw.same(_NOISE), gone=gone)


CODE = Law(
    name="code",
    about="noise 0.1 in raw units, ids 0 for words, one of six sets of modalities dropped in a"
    " tenth of the clips: the configuration of QA-MoE's released code as far as known",
    damage=_damage,
    seen=frozenset({"noise", "modality"}),
    raw=True,
    place=20,
)
