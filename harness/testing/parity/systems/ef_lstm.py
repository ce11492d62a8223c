"""EF-LSTM."""

from __future__ import annotations

from harness.testing.parity.counterpart import Counterpart

__all__ = ["EF_LSTM"]

EF_LSTM = Counterpart(
    name="ef_lstm",
    model="ef_lstm",
    rules=(
        (r"(norm|lstm)\.(.+)", r"Model.\1.\2"),
        (r"head\.1\.(.+)", r"Model.linear.\1"),
        (r"head\.4\.(.+)", r"Model.out.\1"),
    ),
    mends={"mosi": ("windows",), "sims": ("windows",)},
)
