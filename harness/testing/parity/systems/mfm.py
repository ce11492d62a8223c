"""MFM."""

from __future__ import annotations

from harness.testing.parity.counterpart import Counterpart, per_stream
from harness.testing.parity.systems._rules import mfn

__all__ = ["MFM"]

_LETTERS = {"0": "l", "1": "a", "2": "v"}

MFM = Counterpart(
    name="mfm",
    model="mfm",
    rules=(
        *mfn(r"core\.", "Model.mfn_encoder."),
        (r"unread\.0\.(.+)", r"Model.mfn_encoder.out_fc1.\1"),
        (r"unread\.3\.(.+)", r"Model.mfn_encoder.out_fc2.\1"),
        (r"label_code\.(.+)", r"Model.last_to_zy_fc1.\1"),
        (r"label_factor\.0\.(.+)", r"Model.zy_to_fy_fc1.\1"),
        (r"label_factor\.3\.(.+)", r"Model.zy_to_fy_fc2.\1"),
        *per_stream(r"encoders\.{}\.lstm\.(.+)_l0", r"Model.encoder_{}.lstm.\1", **_LETTERS),
        *per_stream(r"encoders\.{}\.project\.(.+)", r"Model.encoder_{}.fc1.\1", **_LETTERS),
        *per_stream(r"factors\.{}\.0\.(.+)", r"Model.z{}_to_f{}_fc1.\1", **_LETTERS),
        *per_stream(r"factors\.{}\.3\.(.+)", r"Model.z{}_to_f{}_fc2.\1", **_LETTERS),
        *per_stream(r"decoders\.{}\.cell\.(.+)", r"Model.decoder_{}.lstm.\1", **_LETTERS),
        *per_stream(r"decoders\.{}\.project\.(.+)", r"Model.decoder_{}.fc1.\1", **_LETTERS),
        (r"head\.0\.(.+)", r"Model.fy_to_y_fc1.\1"),
        (r"head\.3\.(.+)", r"Model.fy_to_y_fc2.\1"),
    ),
    mends={"mosi": ("windows",), "sims": ("windows",)},
    dtype="float64",  # a small difference of large terms, 200 times: 2e-5 in float32
    remarks=("the normal draws of both sides are given, the same for equal shapes",),
)
