"""Damage by chance, in short; ``tox -e chaos`` does it two thousand times."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from harness.tests.chaos import attempt
from harness.tests.chaos.damage import ON_FILES, TYPES
from harness.tests.chaos.report import DATA, PAGE, page, total
from harness.tests.chaos.trials import STOPPED


@pytest.mark.slow
def test_no_damage_by_chance_is_silent(tmp_path: Path) -> None:
    trials = attempt(tmp_path, trials=48, seed=11, jobs=2, log=tmp_path / "log.jsonl")
    assert len(trials) == 48
    assert [trial for trial in trials if trial.outcome not in ("healed", "named")] == []
    assert {trial.thing for trial in trials} == {*TYPES, *STOPPED}


def test_the_page_shows_the_attempt_that_is_kept() -> None:
    assert PAGE.read_text("utf-8") == page(json.loads(DATA.read_text("utf-8")))


def test_the_attempt_that_is_kept_has_every_type_and_nothing_silent() -> None:
    after = json.loads(DATA.read_text("utf-8"))["after"]
    found = total(after["counts"])
    assert found.total() == after["trials"] >= 2000
    assert not found["silent"] + found["traceback"] + found["hung"]
    assert set(TYPES) < set(after["counts"])


@pytest.mark.parametrize("way", ON_FILES)
def test_every_kind_of_damage_changes_a_file(tmp_path: Path, way: str) -> None:
    content = bytes(range(1, 200))
    changed = 0
    for seed in range(20):
        path = tmp_path / "file"
        path.write_bytes(content)
        ON_FILES[way](path, random.Random(seed))
        changed += not path.is_file() or path.read_bytes() != content
    assert changed >= 18
