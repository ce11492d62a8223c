"""Graph-MFN."""

from __future__ import annotations

from harness.testing.parity.counterpart import Counterpart, per_stream
from harness.testing.parity.systems._rules import memory

__all__ = ["GRAPH_MFN"]

_LETTERS = {"0": "l", "1": "a", "2": "v"}
_GRAPH = "Model.graph_mfn"

GRAPH_MFN = Counterpart(
    name="graph_mfn",
    model="graph_mfn",
    rules=(
        *per_stream(r"lstms\.{}\.(.+)_l0", r"Model.lstm_{}.\1", **_LETTERS),
        *per_stream(r"singles\.{}\.(.+)", r"Model.{}_transform.\1", **_LETTERS),
        *(
            rule
            for layer, place in (("0", "0"), ("1", "1.0"))
            for rule in per_stream(
                rf"graph\.vertices\.{{}}\.{layer}\.(.+)",
                rf"{_GRAPH}.networks.{{}}.{place}.\1",
                **{"0": "0-1", "1": "0-2", "2": "1-2", "3": "0-1-2"},
            )
        ),
        (r"graph\.output\.0\.(.+)", rf"{_GRAPH}.t_network.0.\1"),
        (r"graph\.output\.1\.(.+)", rf"{_GRAPH}.t_network.1.0.\1"),
        (r"graph\.efficacy\.1\.(.+)", rf"{_GRAPH}.efficacy_model.1.0.\1"),
        (r"graph\.efficacy\.(.+)", rf"{_GRAPH}.efficacy_model.\1"),
        *memory("", "Model."),
        (r"head\.0\.(.+)", r"Model.out_fc1.\1"),
        (r"head\.3\.(.+)", r"Model.out_fc2.\1"),
    ),
    mends={"mosi": ("windows",), "sims": ("windows",)},
    remarks=("vertex networks are no parameters in either code: given, and never trained",),
)
