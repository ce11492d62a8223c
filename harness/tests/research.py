"""Where tests find the research data, which never enters the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE_THE_CHECKOUT = Path(__file__).parents[3] / "shared" / "data"


def research_data(*parts: str) -> Path:
    """A path in the research data folder (``$MSA_RESEARCH_DATA``); skips the test when absent."""
    root = Path(os.environ.get("MSA_RESEARCH_DATA", _BESIDE_THE_CHECKOUT))
    path = root.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"research data not here: {'/'.join(parts)}")
    return path
