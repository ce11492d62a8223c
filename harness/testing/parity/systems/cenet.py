"""CENET."""

from __future__ import annotations

from harness.testing.parity.counterpart import Counterpart

__all__ = ["CENET"]

CENET = Counterpart(name="cenet", left_out={"*": "not in the package, in its repository only"})
