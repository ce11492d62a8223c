"""Which files of code a run depends on by name: its system, and what its settings name.

Objectives, laws of corruption and selection metrics are found in registries, so that no import
leads to them. A run's source fingerprint covers those it names and no other: a new file changes no
identity of old runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.metrics import metrics
from harness.runs.provenance import code_fingerprint
from harness.spec import Protocol, Scalar
from harness.spec.laws import laws
from harness.system import systems
from harness.system.objectives import objectives

__all__ = ["source_of"]


def source_of(system: str, params: Mapping[str, Scalar], protocol: Protocol) -> str:
    """The fingerprint of the source that can change a run's result.

    Args:
        system: Registered name.
        params: Resolved hyper-parameters.
        protocol: Names the selection metric and what validation clips go through.

    Returns:
        16 hexadecimal digits.
    """
    named = sorted(set(_named(params, protocol)))
    return code_fingerprint(systems.module_of(system), *named)


def _named(params: Mapping[str, Scalar], protocol: Protocol) -> Iterator[str]:
    yield metrics.module_of(protocol.selection_metric)
    if "objective" in params:
        yield objectives.module_of(str(params["objective"]))
    for law in (params.get("training_corruption", "none"), protocol.selection_corruption):
        if law != "none" and law in laws:
            yield laws.module_of(str(law))
