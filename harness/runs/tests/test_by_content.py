"""What boards remember is a function of content: a board made from it is the board made anew."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import leaderboards
from harness.home import Home
from harness.runs import compared, removing, scored
from harness.runs.store import RunStore
from harness.tests.stores import SEEDS, Off, Row, make_store

ROWS = [
    Row(label=label, cells={seed: Off(0.2 + off + seed / 1e4) for seed in SEEDS})
    for label, off in (("A", 0.0), ("B", 0.3), ("C", 0.35))
]


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return make_store(tmp_path / "store", ROWS)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was computed instead of remembered."""
    done: list[str] = []

    def counting(module: object, name: str) -> None:
        original: Callable[..., object] = getattr(module, name)

        def called(*arguments: object) -> object:
            done.append(name)
            return original(*arguments)

        monkeypatch.setattr(module, name, called)

    counting(compared, "pair_tests")
    counting(scored, "predictions_of")
    return done


def files_of(store: RunStore, folder: Path) -> list[bytes]:
    path = leaderboards.write(store, "small", folder / "board.md")
    return [file.read_bytes() for file in leaderboards.files_of(path)]


def remembered(store: RunStore) -> list[Path]:
    return sorted(store.computed.rglob("*.f8"))


def test_a_remembered_board_is_the_board_made_anew(store, tmp_path, work) -> None:
    anew = files_of(store, tmp_path)
    assert {"pair_tests", "predictions_of"} == set(work)
    work.clear()
    assert files_of(store, tmp_path) == anew
    assert work == []
    shutil.rmtree(store.computed)
    assert files_of(store, tmp_path) == anew


@pytest.mark.parametrize("damage", [lambda old: b"", lambda old: old[:-1], lambda old: b"x" + old])
def test_what_is_damaged_is_computed_again(store, tmp_path, work, damage) -> None:
    anew, count = files_of(store, tmp_path), len(work)
    work.clear()
    for file in remembered(store):
        file.write_bytes(damage(file.read_bytes()))
    assert files_of(store, tmp_path) == anew
    assert len(work) == count
    work.clear()
    assert files_of(store, tmp_path) == anew
    assert work == [], "what was computed again is remembered again"


def test_one_entry_does_not_stand_for_another(store, tmp_path) -> None:
    anew = files_of(store, tmp_path)
    first, second, *_ = sorted((store.computed / "pairs").iterdir())
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)
    assert files_of(store, tmp_path) == anew


def test_a_changed_prediction_is_another_entry(store, tmp_path, work) -> None:
    anew = files_of(store, tmp_path)
    changed = Row(label="A", cells=dict.fromkeys(SEEDS, Off(0.9)))
    other = make_store(tmp_path / "other", [changed, *ROWS[1:]])
    shutil.copytree(store.computed, other.computed)
    work.clear()
    found = files_of(other, tmp_path)
    assert work.count("predictions_of") == len(SEEDS), "those of the changed row alone"
    assert "pair_tests" in work
    shutil.rmtree(other.computed)
    assert files_of(other, tmp_path) == found != anew


def test_a_damaged_run_is_a_hole_whatever_is_remembered(store, tmp_path) -> None:
    files_of(store, tmp_path)
    run = next(iter(store))
    (run.folder / "predictions.parquet").write_bytes(b"damaged")
    assert "damaged" in leaderboards.render(store, "small")


def test_a_store_that_cannot_be_written_has_its_board(store, tmp_path) -> None:
    anew = files_of(store, tmp_path)
    shutil.rmtree(store.computed)
    store.computed.write_text("a file where the folder should be", "utf-8")
    assert files_of(store, tmp_path) == anew


def test_clean_takes_it_away(store, tmp_path) -> None:
    anew = files_of(store, tmp_path)
    count = len(remembered(store))
    found = {one.what: one for one in removing.clean(Home(tmp_path))}
    assert found["remembered numbers of boards"].count == count > 0
    assert not store.computed.exists()
    assert files_of(store, tmp_path) == anew
