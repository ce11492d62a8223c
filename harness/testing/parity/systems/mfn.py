"""MFN."""

from __future__ import annotations

from harness.testing.parity.counterpart import Counterpart
from harness.testing.parity.systems._rules import mfn

__all__ = ["MFN"]

MFN = Counterpart(
    name="mfn",
    model="mfn",
    rules=(
        *mfn(r"core\.", "Model."),
        (r"head\.0\.(.+)", r"Model.out_fc1.\1"),
        (r"head\.3\.(.+)", r"Model.out_fc2.\1"),
    ),
)
