"""What is run, as data: protocols, run specifications, suites and conditions.

A value of this package says what is to be compared and how; it is hashed, stored and printed, and
computes nothing. ``protocols/`` has one file per protocol, ``conditions`` names the corruptions
that test clips are seen under.
"""

from harness.spec.suite import (
    Entry,
    Protocol,
    Query,
    RunSpec,
    Scalar,
    Suite,
    algorithm_of,
    check_keys,
    refine,
)

__all__ = [
    "Entry",
    "Protocol",
    "Query",
    "RunSpec",
    "Scalar",
    "Suite",
    "algorithm_of",
    "check_keys",
    "refine",
]
