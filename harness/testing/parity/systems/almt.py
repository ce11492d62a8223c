"""ALMT."""

from __future__ import annotations

from harness.testing.parity.counterpart import Counterpart

__all__ = ["ALMT"]

ALMT = Counterpart(name="almt", left_out={"*": "not in the package, in its repository only"})
