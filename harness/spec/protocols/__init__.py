"""Protocols, one file each. The noun itself is ``harness.spec.Protocol``."""

from __future__ import annotations

from harness._util.registry import Registry
from harness.spec import Protocol

__all__ = ["protocols"]

protocols: Registry[Protocol] = Registry(
    "protocol", Protocol, packages=("harness.spec.protocols",), group="msa_harness.protocols"
)
