"""A run's specification as its manifest has it, written and read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from harness._util import canonical
from harness._util.canonical import Json
from harness.spec import Protocol, RunSpec

__all__ = ["record_of", "spec_of"]


def record_of(spec: RunSpec) -> dict[str, Json]:
    """The specification as JSON, with the digest that tables are told apart by."""
    record = canonical.plain(spec)
    assert isinstance(record, dict)
    return record | {"protocol_digest": spec.protocol.digest}


def spec_of(record: Mapping[str, Any]) -> RunSpec:
    """The specification in a record; every value comes back as it was, so the key does too.

    Args:
        record: ``spec`` of a run's manifest.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: When it is not such a record.
    """
    table = {**record, "protocol": _protocol(record["protocol"])}
    return RunSpec(**{field.name: table[field.name] for field in fields(RunSpec)})


def _protocol(record: Mapping[str, Any]) -> Protocol:
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in record.items()}
    return Protocol(**values)
