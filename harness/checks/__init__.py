"""Checks of systems, datasets, metrics and printed numbers.

``conformance`` holds every system to the contract, ``datasets`` and ``metrics`` do it with theirs,
``fidelity`` compares sizes with released code, ``leak_gate`` asks whether explanations know the
label, and ``reported_numbers`` whether a printed table is possible at all.
"""

__all__ = [
    "conformance",
    "datasets",
    "fidelity",
    "findings",
    "leak_gate",
    "machine",
    "metrics",
    "needs",
]
