"""What a grid of conditions says of a checkpoint: areas, worst cells, sets, single modalities.

``reliability`` studies the rows of a grid in its selection metric, ``study`` in any; ``tables``
shows what they found.
"""

from leaderboards.sections.reliability import tables
from leaderboards.sections.reliability.analysis import (
    AREAS,
    Area,
    Gain,
    Reliability,
    RowReliability,
    reliability,
    study,
)
from leaderboards.sections.reliability.section import SECTION

__all__ = [
    "AREAS",
    "SECTION",
    "Area",
    "Gain",
    "Reliability",
    "RowReliability",
    "reliability",
    "study",
    "tables",
]
