"""What a run of a suite would do and take, said before anything runs."""

from __future__ import annotations

from harness.runs.pricing.estimates import CostEstimate
from harness.runs.pricing.placeholders import AtHand, is_absent
from harness.runs.pricing.suite_estimate import RowEstimate, SuiteEstimate, estimate_suite

__all__ = ["AtHand", "CostEstimate", "RowEstimate", "SuiteEstimate", "estimate_suite", "is_absent"]
