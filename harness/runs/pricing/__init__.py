"""What a run of a suite would do and take, said before anything runs."""

from __future__ import annotations

from harness.runs.pricing.estimates import CostEstimate
from harness.runs.pricing.quotes import Price, Quote, quote

__all__ = ["CostEstimate", "Price", "Quote", "quote"]
