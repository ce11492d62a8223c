"""TETFN."""

from __future__ import annotations

from harness.testing.parity.counterpart import Counterpart

__all__ = ["TETFN"]

TETFN = Counterpart(name="tetfn", left_out={"*": "not in the package, in its repository only"})
