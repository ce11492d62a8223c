"""One run as data, its identity, and the way back from what is stored of it.

A run's identity is the digest of everything that can change its result: data fingerprint, protocol,
every resolved hyper-parameter, external artifacts by content, seed, and the fingerprint of the
source. No path, host, device or display name takes part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

from harness._util import canonical
from harness._util.canonical import Json
from harness._util.schema import Scalar
from harness.spec.protocol import Protocol
from harness.spec.selection import SelectionRule

__all__ = ["RunSpec", "record_of", "spec_of"]

KEY_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """One cell: dataset × protocol × system × hyper-parameters × seed.

    Args:
        corpus: Corpus name, for finding and display only.
        data: The corpus's content fingerprint.
        protocol: The protocol.
        system: Registered name of the system.
        params: Every resolved hyper-parameter, defaults included.
        labels: What a system is told of the dataset: ``low`` and ``high`` label, metric ``family``,
            ``language``.
        artifacts: Role -> content digest of external inputs (text encoder weights).
        seed: Training seed; 0 for systems without randomness.
        code: Fingerprint of the source that can change the result.
    """

    corpus: str
    data: str
    protocol: Protocol
    system: str
    params: Mapping[str, Scalar]
    labels: Mapping[str, Scalar]
    artifacts: Mapping[str, str] = field(default_factory=dict)
    seed: int
    code: str

    @cached_property
    def key(self) -> str:
        """Identity of the run, 32 hexadecimal digits."""
        payload = {
            "version": KEY_VERSION,
            "data": self.data,
            "protocol": self.protocol.identity,
            "system": self.system,
            "params": self.params,
            "labels": self.labels,
            "artifacts": self.artifacts,
            "seed": self.seed,
            "code": self.code,
        }
        return canonical.digest(payload)[:32]


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
    rules = tuple(SelectionRule(**_tuples(rule)) for rule in record.get("rules", ()))
    return Protocol(**{**_tuples(record), "rules": rules})


def _tuples(record: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in record.items()}
