"""Self-MM."""

from __future__ import annotations

from harness.testing.parity.counterpart import Counterpart, per_stream
from harness.testing.parity.systems._rules import bert

__all__ = ["SELF_MM"]

_STREAMS = {"audio": "audio", "vision": "video"}
_HEADS = {"fusion": "fusion", "text": "text", **_STREAMS}

SELF_MM = Counterpart(
    name="self_mm",
    model="self_mm",
    rules=(
        *bert("Model.text_model.model"),
        *per_stream(r"{}\.lstm\.(.+)", r"Model.{}_model.rnn.\1", **_STREAMS),
        *per_stream(r"{}\.project\.(.+)", r"Model.{}_model.linear_1.\1", **_STREAMS),
        *per_stream(r"heads\.{}\.feature\.1\.(.+)", r"Model.post_{}_layer_1.\1", **_HEADS),
        *per_stream(r"heads\.{}\.answer\.0\.(.+)", r"Model.post_{}_layer_2.\1", **_HEADS),
        *per_stream(r"heads\.{}\.answer\.2\.(.+)", r"Model.post_{}_layer_3.\1", **_HEADS),
    ),
    remarks=("each epoch ends with an incomplete step, from which only made labels move",),
)
