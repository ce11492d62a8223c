"""What is run, as data: protocols, run specifications, suites and conditions.

A value of this package says what is to be compared and how; it is hashed, stored and printed, and
computes nothing. ``protocols/`` has one file per protocol, ``conditions`` names the corruptions
that test clips are seen under, a ``PredictionCell`` says which predictions of a run are meant.
"""

from harness._util.schema import Scalar, check_keys
from harness.spec.prediction_cell import PredictionCell
from harness.spec.protocol import Protocol, refine
from harness.spec.released import NOT_STATED, CheckpointFile, ReleasedWeights
from harness.spec.run import RunSpec, record_of, spec_of
from harness.spec.search import SAMPLERS, Search, Tuned, TuningTable, search
from harness.spec.selection import ReleasedSelection, SelectionRule
from harness.spec.suite import Entry, Query, Seeds, Suite, SuiteFile, WeightsChoice, algorithm_of
from harness.spec.writing import toml_list, toml_value, written

__all__ = [
    "NOT_STATED",
    "SAMPLERS",
    "CheckpointFile",
    "Entry",
    "PredictionCell",
    "Protocol",
    "Query",
    "ReleasedSelection",
    "ReleasedWeights",
    "RunSpec",
    "Scalar",
    "Search",
    "Seeds",
    "SelectionRule",
    "Suite",
    "SuiteFile",
    "Tuned",
    "TuningTable",
    "WeightsChoice",
    "algorithm_of",
    "check_keys",
    "conditions",
    "prediction_cell",
    "record_of",
    "refine",
    "search",
    "selection",
    "spec_of",
    "toml_list",
    "toml_value",
    "written",
]
