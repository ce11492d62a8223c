"""MLMF."""

from __future__ import annotations

from harness.testing.parity.counterpart import Counterpart
from harness.testing.parity.systems._rules import HEADS, LOW_RANK, NETS

__all__ = ["MLMF"]

MLMF = Counterpart(
    name="mlmf",
    model="mlmf",
    rules=(*NETS, *HEADS, *LOW_RANK),
    shapes=("sims",),
    mends={"*": ("log_line",)},
    remarks=("rank weights and bias have a rate of zero there and are frozen here",),
)
