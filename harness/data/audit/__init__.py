"""Audits of corpora: counts, ids, label grid, texts, times, streams, leakage, overlaps.

One module per thing that is looked at, each a few checks with what was expected and found;
``corpora`` runs them all.
"""

from harness.data.audit.check import Check
from harness.data.audit.corpora import audit

__all__ = ["Check", "agreement", "audit", "census", "check", "report"]
