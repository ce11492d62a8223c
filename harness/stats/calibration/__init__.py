"""Are the tests honest? Every procedure on simulated predictions whose true difference is known.

``designs`` says what is simulated, ``simulated`` scores it by the code that scores real
predictions, ``candidates`` holds the procedure of boards and its runners-up, ``boards`` asks what
rank sets claim, and ``study`` runs and keeps all of it. The page is
``leaderboards/docs/calibration.md``.
"""

from harness.stats.calibration import study
from harness.stats.calibration.boards import CORRECTIONS
from harness.stats.calibration.candidates import BEFORE, CANDIDATES, PRIMARY
from harness.stats.calibration.designs import DESIGNS, Design
from harness.stats.calibration.simulated import METRICS, pairs
from harness.stats.calibration.study import (
    CURVE,
    PARTS,
    Finding,
    Part,
    Progress,
    Rate,
    Results,
    Settings,
    find,
    load,
    run,
)

__all__ = [
    "BEFORE",
    "CANDIDATES",
    "CORRECTIONS",
    "CURVE",
    "DESIGNS",
    "METRICS",
    "PARTS",
    "PRIMARY",
    "Design",
    "Finding",
    "Part",
    "Progress",
    "Rate",
    "Results",
    "Settings",
    "find",
    "load",
    "pairs",
    "run",
    "study",
]
