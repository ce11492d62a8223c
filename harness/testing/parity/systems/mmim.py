"""MMIM."""

from __future__ import annotations

from harness.testing.parity.counterpart import Counterpart, per_stream
from harness.testing.parity.systems._rules import bert

__all__ = ["MMIM"]

_STREAMS = {"audio": "acoustic", "vision": "visual"}
_LETTERS = {"audio": "a", "vision": "v"}

MMIM = Counterpart(
    name="mmim",
    model="mmim",
    rules=(
        *bert("Model.bertmodel.model"),
        *per_stream(r"streams\.{}\.lstm\.(.+)", r"Model.{}_enc.rnn.\1", **_STREAMS),
        *per_stream(r"streams\.{}\.project\.(.+)", r"Model.{}_enc.linear_1.\1", **_STREAMS),
        *per_stream(r"estimators\.{}\.mean\.(.+)", r"Model.mi_t{}.mlp_mu.\1", **_LETTERS),
        *per_stream(
            r"estimators\.{}\.log_variance\.(.+)", r"Model.mi_t{}.mlp_logvar.\1", **_LETTERS
        ),
        *per_stream(r"estimators\.{}\.sketch\.(.+)", r"Model.mi_t{}.entropy_prj.\1", **_LETTERS),
        *per_stream(r"contrasts\.{}\.guess\.(.+)", r"Model.cpc_z{}.net.\1", text="t", **_LETTERS),
        (r"fusion\.fuse\.1\.(.+)", r"Model.fusion_prj.linear_1.\1"),
        (r"fusion\.fuse\.3\.(.+)", r"Model.fusion_prj.linear_2.\1"),
        (r"fusion\.answer\.(.+)", r"Model.fusion_prj.linear_3.\1"),
    ),
    clips=50,  # entropies want more clips of a sign than dimensions
    batch=20,
    remarks=("losses of both passes of an epoch",),
)
