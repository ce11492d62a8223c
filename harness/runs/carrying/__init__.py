"""``msa carry``: a sample of a suite's stored runs, executed again by the code of today.

What is executed is the planned cell under its own key, so that each is a run of today's code like
any other and is committed as such; nothing is executed only to be thrown away. Where all that was
compared of a system came out the same, a record says so (``harness.runs.equivalence``), and its
other stored runs count; where anything did not, none of them does.
"""

from harness.runs.carrying.calling import TOLERANCE, carry
from harness.runs.carrying.report import CarryReport, Change

__all__ = ["TOLERANCE", "CarryReport", "Change", "carry"]
