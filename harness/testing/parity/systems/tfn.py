"""TFN."""

from __future__ import annotations

from harness.testing.parity.counterpart import Counterpart
from harness.testing.parity.systems._rules import CONSTANT_RANGE, NETS

__all__ = ["TFN"]

TFN = Counterpart(
    name="tfn",
    model="tfn",
    rules=NETS,
    own=CONSTANT_RANGE,
    ours={"text_out": 16},  # else the layer behind the product has up to 35 M weights
    theirs={"text_out": 16},
)
