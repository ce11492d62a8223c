"""Published code beside ours on weights and clips by formula; see ``harness.testing.golden``."""

from __future__ import annotations

from pathlib import Path

import pytest

import baselines.lnln
from baselines.confede.system import ConFEDE
from baselines.tests.published_inputs import damaged, drawn
from harness.system import systems
from harness.testing.golden import disagreements, figures_of, perform

FILES = Path(__file__).parent / "golden"
# epochs of the short test
SHORT = {"almt": 1, "lnln": 2, "dlf": 2, "kuda": 1, "confede": 1}


@pytest.fixture
def rehearse(monkeypatch, tmp_path):
    """Train a system as its figures were; what they drew at random is a formula, too."""

    def run(name, epochs):
        figures = figures_of(FILES / f"{name}.json")["released"]
        monkeypatch.setattr(baselines.lnln, "damaged", damaged("mosi", figures.clips))
        monkeypatch.setattr(ConFEDE, "_draw", drawn(figures.clips))
        return perform(systems[name], figures, tmp_path, epochs=epochs), figures.expected

    return run


@pytest.mark.parametrize("name", SHORT)
def test_a_system_begins_as_published(rehearse, name):
    assert disagreements(*rehearse(name, SHORT[name])) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORT)
def test_a_system_learns_as_published(rehearse, name):
    assert disagreements(*rehearse(name, None)) == []
