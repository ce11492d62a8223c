"""What a run of a suite would do and take, said before anything runs."""

from __future__ import annotations

from harness.pricing.estimates import Estimate
from harness.pricing.quotes import Price, Quote, quote

__all__ = ["Estimate", "Price", "Quote", "quote"]
