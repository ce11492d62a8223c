"""Published code beside ours on weights and clips by formula; see ``harness.testing.golden``."""

from __future__ import annotations

import pytest

from baselines.tests.rehearsals import differences

# epochs of the short test; of 0 predictions and the optimiser are left
SHORT = {"almt": 1, "lnln": 2, "dlf": 2, "kuda": 0, "confede": 1}


@pytest.mark.parametrize("name", SHORT)
def test_a_system_begins_as_published(name, tmp_path, monkeypatch):
    assert differences(name, tmp_path, monkeypatch, epochs=SHORT[name]) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORT)
def test_a_system_learns_as_published(name, tmp_path, monkeypatch):
    assert differences(name, tmp_path, monkeypatch) == []
