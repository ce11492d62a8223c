"""Submissions: foreign predictions, what their authors state, and what this harness found.

A submission is a predictions file and, optionally, a manifest. ``read_submission`` brings the file
into the harness's columns, ``check`` refuses what cannot be scored and flags what a reader of the
board must know, and ``SubmissionStore`` keeps the result. Scores are never stored: they are
computed from the stored predictions.
"""

from harness.submissions.checking import Checked, Gold, check
from harness.submissions.flags import Flag, score_runs
from harness.submissions.manifest import NOT_STATED, Badge, Manifest
from harness.submissions.reading import read_submission
from harness.submissions.store import Record, StoredSubmission, SubmissionStore

__all__ = [
    "NOT_STATED",
    "Badge",
    "Checked",
    "Flag",
    "Gold",
    "Manifest",
    "Record",
    "StoredSubmission",
    "SubmissionStore",
    "check",
    "read_submission",
    "score_runs",
]
