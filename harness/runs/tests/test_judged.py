"""What is remembered of runs that were judged sound, and when it is not believed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import leaderboards
from harness._util import untouched
from harness._util.remembered_rows import RememberedRows
from harness._util.sealed import sealed
from harness.home import Home
from harness.runs import judged, soundness
from harness.runs.judged import Judged, judging
from harness.runs.progress import status
from harness.runs.store import RunStore, StoredRun
from harness.runs.verify import verify
from harness.tests.stores import Off, Row, make_store

ROWS = [
    Row(label="TFN", cells={1111: Off(0.5), 1112: Off(0.6)}),
    Row(label="Ridge", cells={0: Off(0.9)}, deterministic=True),
]


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that were just written count as old."""
    monkeypatch.setattr(untouched, "_SETTLED", 0)


@pytest.fixture
def store(home: Home, settled: None) -> RunStore:
    return make_store(home.store, ROWS)


@pytest.fixture
def judgements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of runs whose content was looked at."""
    looked_at: list[str] = []
    judge = soundness.damage_of

    def noted(store: RunStore, run: StoredRun) -> tuple[str, ...]:
        looked_at.append(run.key)
        return judge(store, run)

    monkeypatch.setattr(soundness, "damage_of", noted)
    return looked_at


def remembered(home: Home) -> set[str]:
    """The keys of runs that are remembered as sound."""
    return RememberedRows(home.store / ".judged", "").keys()


def flip(path: Path) -> None:
    """Change one byte; size and modification time stay."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def stored(home: Home) -> tuple[int, int]:
    (found,) = status("small", home)
    return found.stored, found.damaged


def test_runs_that_nobody_touched_are_judged_once(home, store, judgements) -> None:
    assert stored(home) == (3, 0)
    assert sorted(judgements) == [run.key for run in store]
    assert stored(home) == (3, 0)
    leaderboards.render(store, "small")
    assert len(judgements) == 3


def test_verify_looks_at_content_whatever_is_remembered(home, store, judgements) -> None:
    stored(home)
    list(verify(home))
    assert len(judgements) == 6


def test_what_verify_found_sound_need_not_be_judged_again(home, store, judgements) -> None:
    list(verify(home))
    stored(home)
    assert len(judgements) == 3


@pytest.mark.parametrize("name", ["manifest.json", "history.json", "predictions.parquet"])
def test_a_write_is_seen_though_size_and_time_are_put_back(home, store, name) -> None:
    assert stored(home) == (3, 0)
    flip(next(iter(store)).folder / name)
    assert stored(home) == (2, 1)
    assert stored(home) == (2, 1)


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.with_name("mine").touch()])
def test_a_file_less_or_more_is_seen(home, store, spoil: Callable[[Path], None]) -> None:
    stored(home)
    spoil(next(iter(store)).folder / "history.json")
    assert stored(home) == (2, 1)


@pytest.fixture
def rotten(home: Home, store: RunStore, monkeypatch: pytest.MonkeyPatch) -> StoredRun:
    """A run of a judged store in which a disk changed a bit without telling anyone."""
    monkeypatch.setattr(judged, "mark_of", lambda *places: str(places[0]))
    assert stored(home) == (3, 0)
    run = next(iter(store))
    flip(run.folder / "predictions.parquet")
    assert stored(home) == (3, 0)  # this is what is not seen
    return run


def test_a_disk_that_changes_a_bit_is_found_by_verify_and_then_known_to_all(home, rotten) -> None:
    damaged = [found.name for found in verify(home) if found.damage]
    assert damaged == [rotten.key]
    assert stored(home) == (2, 1)


def test_a_board_uses_no_byte_that_a_disk_changed_and_tells_the_others(home, rotten) -> None:
    board = leaderboards.render(RunStore(home.store), "small")
    assert "predictions.parquet is not what was written" in board
    assert stored(home) == (2, 1)


def test_a_copy_of_a_store_is_judged_anew(home, store, judgements, tmp_path) -> None:
    stored(home)
    other = Home(tmp_path / "other")
    shutil.copytree(home.store, other.store)
    assert (other.store / ".judged").exists()
    assert stored(other) == (3, 0)
    assert len(judgements) == 6


def test_other_labels_are_compared_anew(home, store, judgements) -> None:
    stored(home)
    (table,) = store.root.glob("truth/*.parquet")
    os.utime(table)
    assert stored(home) == (3, 0)
    assert len(judgements) == 6


def test_other_rules_judge_anew(home, store, judgements, monkeypatch) -> None:
    stored(home)
    monkeypatch.setattr(judged, "_rules", lambda: "others")
    assert stored(home) == (3, 0)
    assert len(judgements) == 6


def test_the_rules_are_code_that_is_there() -> None:
    package = Path(judged.__file__).parents[1]
    assert all((package / name).is_file() for name in judged._RULES)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _of_another_release(path: Path) -> None:
    path.write_bytes(sealed(b'{"rules":1,"labels":{},"runs":{}}', path.name))


@pytest.mark.parametrize("spoil", [_cut, _empty, Path.unlink, _of_another_release])
def test_a_damaged_memory_costs_judging_again_and_is_written_anew(
    home, store, judgements, spoil
) -> None:
    stored(home)
    known = remembered(home)
    spoil(home.store / ".judged")
    assert stored(home) == (3, 0)
    looks = len(judgements)
    assert looks > 3
    assert remembered(home) == known
    assert stored(home) == (3, 0)
    assert len(judgements) == looks


def test_a_store_that_cannot_be_written_is_judged_each_time(home, store, judgements) -> None:
    (home.store / ".judged").mkdir()  # no file can be written there
    assert stored(home) == (3, 0)
    assert stored(home) == (3, 0)
    assert len(judgements) == 6


def test_what_was_just_written_is_not_relied_on(home, store, judgements, monkeypatch) -> None:
    monkeypatch.setattr(untouched, "_SETTLED", 10**12)
    stored(home)
    stored(home)
    assert len(judgements) == 6


def test_two_processes_add_to_what_is_remembered_and_forget_for_each_other(home, store) -> None:
    first, second, third = store
    with judging(RunStore(home.store)) as late:
        assert late.damage_of(first) == ()
        with judging(RunStore(home.store)) as early:
            assert early.damage_of(second) == early.damage_of(third) == ()
        with judging(RunStore(home.store)) as finder:
            finder.forget(second.key)
    assert remembered(home) == {first.key, third.key}


def test_runs_that_are_gone_are_forgotten_when_others_are_learnt(home, store) -> None:
    first, second, _ = store
    with judging(store) as known:
        known.damage_of(first)
    shutil.rmtree(first.folder)
    with judging(store) as known:
        known.damage_of(second)
    assert remembered(home) == {second.key}


def test_a_sound_run_is_known_by_what_it_took(home, store) -> None:
    run = next(iter(store))
    for _ in range(2):
        with judging(store) as known:
            assert known.damage_of(run) == ()
            assert known.seconds_of(run.key) == run.manifest.cost.seconds


def test_what_one_process_learns_another_takes_over_if_it_sees_the_same_labels(home, store) -> None:
    first, second, *_ = store
    there = Judged(store)
    assert (there.judge(first), there.judge(second)) == ((), ())
    told = {run.key: there.learnt(run.key) for run in (first, second)}
    assert None not in told.values()
    with judging(store) as here:
        here.learn(first.key, told[first.key])
        here.learn(second.key, told[second.key]._replace(labels="others"))
    assert remembered(home) == {first.key}
    assert Judged(store).learnt(first.key) is None


def test_nothing_is_written_where_nothing_was_learnt(store) -> None:
    with judging(store):
        pass
    assert not (store.root / ".judged").exists()
