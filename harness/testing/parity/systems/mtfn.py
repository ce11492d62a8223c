"""MTFN."""

from __future__ import annotations

from harness.testing.parity.counterpart import Counterpart
from harness.testing.parity.systems._rules import CONSTANT_RANGE, HEADS, NETS

__all__ = ["MTFN"]

MTFN = Counterpart(
    name="mtfn",
    model="mtfn",
    rules=(*NETS, *HEADS),
    own=CONSTANT_RANGE,
    # else the layer behind the product has 139 M weights
    ours={"text_hidden": 32, "audio_hidden": 8, "vision_hidden": 32, "text_out": 16},
    theirs={"hidden_dims": [32, 8, 32], "text_out": 16},
    shapes=("sims",),
    mends={"*": ("log_line",)},
)
