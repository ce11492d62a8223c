"""MLF-DNN."""

from __future__ import annotations

from harness.testing.parity.counterpart import Counterpart
from harness.testing.parity.systems._rules import HEADS, NETS, audio_first

__all__ = ["MLF_DNN"]

MLF_DNN = Counterpart(
    name="mlf_dnn",
    model="mlf_dnn",
    rules=(*NETS, *HEADS),
    columns={"head.1.weight": audio_first},
    shapes=("sims",),
    mends={"*": ("log_line",)},
)
