"""What is run, as data: protocols, run specifications, suites and conditions.

A value of this package says what is to be compared and how; it is hashed, stored and printed, and
computes nothing. ``protocols/`` has one file per protocol, ``conditions`` names the corruptions
that test clips are seen under.
"""

from harness._util.schema import Scalar, check_keys
from harness.spec.protocol import Protocol, refine
from harness.spec.run import RunSpec, record_of, spec_of
from harness.spec.suite import Entry, Query, Suite, SuiteFile, algorithm_of

__all__ = [
    "Entry",
    "Protocol",
    "Query",
    "RunSpec",
    "Scalar",
    "Suite",
    "SuiteFile",
    "algorithm_of",
    "check_keys",
    "conditions",
    "record_of",
    "refine",
    "spec_of",
]
