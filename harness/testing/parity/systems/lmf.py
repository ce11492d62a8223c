"""LMF."""

from __future__ import annotations

from harness.testing.parity.counterpart import Counterpart
from harness.testing.parity.systems._rules import LOW_RANK, NETS

__all__ = ["LMF"]

LMF = Counterpart(name="lmf", model="lmf", rules=(*NETS, *LOW_RANK))
