"""Published numbers and sizes of systems, each digit with its source; read, never measured.

One CSV per published table lies beside the code; ``table`` reads one, ``for_board`` what a dataset
has. ``parameter_counts`` are the sizes, ``reference_of`` gives the runs of released code by seed.
"""

from leaderboards.literature.numbers import (
    for_board,
    lines,
    literature,
    of_conditions,
    read,
    table,
    tables,
)
from leaderboards.literature.parameters import (
    COUNTS_FILE,
    ParameterCount,
    parameter_counts,
    read_counts,
)
from leaderboards.literature.reference import (
    REFERENCE_FILE,
    ReferenceRuns,
    read_reference_runs,
    reference_of,
    reference_runs,
)
from leaderboards.literature.rows import PublishedRow

__all__ = [
    "COUNTS_FILE",
    "REFERENCE_FILE",
    "ParameterCount",
    "PublishedRow",
    "ReferenceRuns",
    "for_board",
    "lines",
    "literature",
    "of_conditions",
    "parameter_counts",
    "read",
    "read_counts",
    "read_reference_runs",
    "reference_of",
    "reference_runs",
    "table",
    "tables",
]
