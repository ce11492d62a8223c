"""MCTN."""

from __future__ import annotations

from harness.testing.parity.counterpart import Counterpart

__all__ = ["MCTN"]

MCTN = Counterpart(
    name="mctn",
    left_out={"*": "not reproduced on purpose, see its card"},
)
