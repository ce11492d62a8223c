"""A suite becomes stored runs: planned, carried out cell by cell, committed, checked, replayed.

``plan`` says which cells a suite has, ``cell`` carries out one, ``driver`` all that are missing on
an executor, ``store`` keeps what comes back. Predictions are the result; everything else is
computed from them.
"""

__all__ = [
    "archive",
    "carrying",
    "cell",
    "comparing",
    "equivalence",
    "finished",
    "identity",
    "judged",
    "labels",
    "looks",
    "manifest",
    "pairing",
    "plan",
    "progress",
    "provenance",
    "prune",
    "record",
    "replay",
    "running",
    "soundness",
    "store",
    "stored_plan",
    "suite_files",
    "until",
    "verify",
]
