"""Submissions: foreign predictions, what their authors state, and what this harness found.

``submit`` reads, checks, flags and stores a predictions file with its manifest; ``score`` is for
files that are not to be stored. Scores are never stored but computed from stored predictions.
"""

from harness.submissions.checking import Checked, check
from harness.submissions.flags import Flag, score_runs
from harness.submissions.gold import Gold, find_gold
from harness.submissions.manifest import (
    NOT_STATED,
    Badge,
    SubmissionManifest,
    manifest_skeleton,
)
from harness.submissions.reading import read_submission
from harness.submissions.scoring import ScoredFile, score
from harness.submissions.store import StoredSubmission, SubmissionRecord, SubmissionStore
from harness.submissions.submitting import Submitted, submit

__all__ = [
    "NOT_STATED",
    "Badge",
    "Checked",
    "Flag",
    "Gold",
    "ScoredFile",
    "StoredSubmission",
    "SubmissionManifest",
    "SubmissionRecord",
    "SubmissionStore",
    "Submitted",
    "check",
    "find_gold",
    "flags",
    "fusing",
    "manifest_skeleton",
    "read_submission",
    "score",
    "score_runs",
    "submit",
]
