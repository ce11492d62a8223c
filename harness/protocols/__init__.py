"""Protocols, one file each. The noun itself is ``harness.specs.Protocol``."""

from __future__ import annotations

from harness.registry import Registry
from harness.specs import Protocol

__all__ = ["protocols"]

protocols: Registry[Protocol] = Registry(
    "protocol", Protocol, packages=("harness.protocols",), group="msa_harness.protocols"
)
