"""MISA."""

from __future__ import annotations

from harness.testing.parity.counterpart import Counterpart, per_stream
from harness.testing.parity.systems._rules import bert

__all__ = ["MISA"]

_TWO = {"audio": "a", "vision": "v"}
_THREE = {"text": "t", **_TWO}

MISA = Counterpart(
    name="misa",
    model="misa",
    rules=(
        *bert("Model.bertmodel.model"),
        *per_stream(r"streams\.{}\.lower\.(.+)", r"Model.{}rnn1.\1", **_TWO),
        *per_stream(r"streams\.{}\.upper\.(.+)", r"Model.{}rnn2.\1", **_TWO),
        *per_stream(r"streams\.{}\.norm\.(.+)", r"Model.{}layer_norm.\1", **_TWO),
        *per_stream(r"project\.{}\.0\.(.+)", r"Model.project_{}.project_{}.\1", **_THREE),
        *per_stream(
            r"project\.{}\.2\.(.+)", r"Model.project_{}.project_{}_layer_norm.\1", **_THREE
        ),
        (r"private\.audio\.(.+)", r"Model.private_a.private_a_3.\1"),
        *per_stream(r"private\.{}\.(.+)", r"Model.private_{}.private_{}_1.\1", **_THREE),
        (r"shared\.(.+)", r"Model.shared.shared_1.\1"),
        *per_stream(r"rebuild\.{}\.(.+)", r"Model.recon_{}.recon_{}_1.\1", **_THREE),
        (r"fusion\.(.+)", r"Model.transformer_encoder.layers.0.\1"),
        (r"head\.0\.(.+)", r"Model.fusion.fusion_layer_1.\1"),
        (r"head\.3\.(.+)", r"Model.fusion.fusion_layer_3.\1"),
        (r"unused\.0\.(.+)", r"Model.tlayer_norm.\1"),
        (r"unused\.1\.(.+)", r"Model.sp_discriminator.sp_discriminator_layer_1.\1"),
    ),
)
