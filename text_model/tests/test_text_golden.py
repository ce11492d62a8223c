"""The released TEXT beside ``text@published`` on weights and clips by formula."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.testing.golden import disagreements, figures_of, perform, zero_where_none
from text_model.text import TEXT_PUBLISHED

FIGURES = figures_of(Path(__file__).parent / "golden" / "text.json")
# In this run the authors' idle experts were given a gradient of zero.
CHANGES = {"capacity_idle_zero": zero_where_none}


def differences(run, folder, epochs):
    figures = FIGURES[run]
    found = perform(TEXT_PUBLISHED, figures, folder, epochs=epochs, after=CHANGES.get(run))
    return disagreements(found, figures.expected)


def test_text_begins_as_published(tmp_path):
    assert differences("plain", tmp_path, 2) == []


@pytest.mark.slow
@pytest.mark.parametrize("run", FIGURES)
def test_text_learns_as_published(tmp_path, run):
    assert differences(run, tmp_path, None) == []
