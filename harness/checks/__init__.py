"""Checks of systems and of printed numbers.

``conformance`` holds every system to the contract, ``fidelity`` compares sizes with released code,
and ``reported_numbers`` asks whether a printed table is possible at all.
"""

__all__ = ["conformance", "fidelity", "machine"]
