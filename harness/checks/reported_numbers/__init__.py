"""The arithmetic of reported numbers: what no system can have scored.

An accuracy over n clips is k/n; two metrics of the same predictions bound one another; a constant
predictor has known scores. A printed number is read as the interval of values that round to it, so
a number that was really measured is never called impossible.
"""

from harness.checks.reported_numbers.constants import Constants, binary_constants, label_constants
from harness.checks.reported_numbers.lint import LintFinding, lint
from harness.checks.reported_numbers.reported import Reported, canonical_name, canonical_names

__all__ = [
    "Constants",
    "LintFinding",
    "Reported",
    "binary_constants",
    "canonical_name",
    "canonical_names",
    "label_constants",
    "lint",
    "table",
]
