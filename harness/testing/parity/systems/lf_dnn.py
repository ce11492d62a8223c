"""LF-DNN."""

from __future__ import annotations

from harness.testing.parity.counterpart import Counterpart
from harness.testing.parity.systems._rules import NETS, audio_first

__all__ = ["LF_DNN"]

LF_DNN = Counterpart(
    name="lf_dnn", model="lf_dnn", rules=NETS, columns={"head.1.weight": audio_first}
)
