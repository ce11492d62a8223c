"""Runs of an earlier source of the code that count as runs of today's, by evidence.

A key contains the code that computes its run, so that changed code asks for all runs anew. Where
some of them were executed again and came out the same, an *equivalence record* says so: which
system, of which source, of which later one, and which runs. ``Equivalences`` is the one place that
decides whether a stored run stands for a planned one through such records.

A record lies in ``equivalences/<name>.json`` of the store with its digest, and is believed no
further than what it is about: both sides of each run that it names have to be stored, differ in the
code alone, and give the numbers that it states. It stands for runs of corpora and of parameters
that it has evidence of, and for no others.
"""

from harness.runs.equivalence.plans import settled
from harness.runs.equivalence.reading import Carried, Equivalences
from harness.runs.equivalence.record import LARGEST_TOLERANCE, Equivalence, Replayed, replayed
from harness.runs.equivalence.sampling import Candidate, chosen
from harness.runs.equivalence.sources import Source, Sources, class_of
from harness.runs.equivalence.storing import (
    discard,
    evidence_of,
    file_of,
    names,
    put,
    read,
)
from harness.runs.equivalence.verifying import cells_in_doubt, damage_of

__all__ = [
    "LARGEST_TOLERANCE",
    "Candidate",
    "Carried",
    "Equivalence",
    "Equivalences",
    "Replayed",
    "Source",
    "Sources",
    "cells_in_doubt",
    "chosen",
    "class_of",
    "damage_of",
    "discard",
    "evidence_of",
    "file_of",
    "names",
    "put",
    "read",
    "replayed",
    "settled",
]
