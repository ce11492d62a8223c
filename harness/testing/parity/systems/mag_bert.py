"""MAG-BERT."""

from __future__ import annotations

from harness.testing.parity.counterpart import Counterpart, per_stream
from harness.testing.parity.systems._rules import bert

__all__ = ["MAG_BERT"]

_LETTERS = {"audio": "a", "vision": "v"}
_GATE = "Model.model.bert.MAG"

MAG_BERT = Counterpart(
    name="mag_bert",
    model="bert_mag",
    rules=(
        *bert("Model.model.bert"),
        *per_stream(r"gate\.gate\.{}\.(.+)", rf"{_GATE}.W_h{{}}.\1", **_LETTERS),
        *per_stream(r"gate\.project\.{}\.(.+)", rf"{_GATE}.W_{{}}.\1", **_LETTERS),
        (r"gate\.norm\.(.+)", rf"{_GATE}.LayerNorm.\1"),
        (r"head\.(.+)", r"Model.model.classifier.\1"),
    ),
    mends={"*": ("windows",)},
)
