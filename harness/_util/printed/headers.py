"""Headers that name two metrics at once: which half of ``83.2/84.1`` is which."""

from __future__ import annotations

import re

__all__ = ["pair_of"]

_BASE = "(acc2|f1score|f1)?"
_CLIPS = "(has0|non0)"
_PAIR = re.compile(f"{_BASE}{_CLIPS}{_BASE}/{_BASE}{_CLIPS}{_BASE}")


def pair_of(header: str) -> tuple[str, str] | None:
    """The two metrics that a header names, in its order; None when it does not name two.

    Example:
        >>> pair_of("Acc-2 (has0/non0)"), pair_of("Non0_F1_score / Has0_F1_score")
        (('acc2_has0', 'acc2_non0'), ('f1_non0', 'f1_has0'))
        >>> pair_of("Acc-2") is None
        True
    """
    found = _PAIR.fullmatch(re.sub(r"[^a-z0-9/]", "", header.lower()))
    if found is None or found[2] == found[5]:
        return None
    bases = {found[place].removesuffix("score") for place in (1, 3, 4, 6) if found[place]}
    if len(bases) != 1:
        return None
    (base,) = bases
    return f"{base}_{found[2]}", f"{base}_{found[5]}"
