"""Stored corpora audited by name, for callers who have no corpus in hand."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from harness import data
from harness.data.audit import audit as audit_corpora
from harness.data.store import CorpusStore
from harness.home import Home

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["audit"]


def audit(*names: str, home: Home | None = None) -> pd.DataFrame:
    """Check stored corpora: counts, ids, labels, texts, times, NaN, leakage, overlaps.

    Args:
        names: Corpora; all that are stored when there are none.
        home: Where corpora are stored; ``Home.default()`` when None.

    Returns:
        One line per check: ``corpus, name, verdict`` (``ok``, ``note``, ``warn`` or ``fail``),
        ``expected``, ``found`` and ``detail``.

    Raises:
        NotHere: For a corpus that is not here.
        DataError: For one that is damaged.
    """
    import pandas as pd

    home = home or Home.default()
    stored = names or tuple(CorpusStore(home.corpora).names())
    checks = audit_corpora([data.load(name, home) for name in stored])
    return pd.DataFrame([dataclasses.asdict(check) for check in checks])
