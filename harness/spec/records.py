"""A run's specification, read back from its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from harness.spec import Protocol, RunSpec

__all__ = ["spec_of"]


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
