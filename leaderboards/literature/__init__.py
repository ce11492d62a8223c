"""Published numbers and sizes of systems, each digit with its source; read, never measured.

One CSV per published table lies beside the code; ``table`` reads one, ``for_board`` what a dataset
has. ``parameter_counts`` are the sizes.
"""

from leaderboards.literature.numbers import (
    PublishedRow,
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

__all__ = [
    "COUNTS_FILE",
    "ParameterCount",
    "PublishedRow",
    "for_board",
    "lines",
    "literature",
    "of_conditions",
    "parameter_counts",
    "read",
    "read_counts",
    "table",
    "tables",
]
