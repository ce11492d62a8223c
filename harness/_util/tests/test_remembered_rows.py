"""What is remembered by key is what was written under the same rules, or nothing."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness._util import remembered_rows
from harness._util.remembered_rows import RememberedRows

ROWS = {f"key {i}": ["text", i, i / 7] for i in range(300)}


def everything() -> set[str]:
    return set(ROWS) | {"one more"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    RememberedRows(tmp_path / "in" / "rows #1%", "rules").change(ROWS, (), everything)
    return tmp_path / "in" / "rows #1%"


def test_rows_come_back_by_the_same_rules_alone(path) -> None:
    assert {key: RememberedRows(path, "rules").get(key) for key in ROWS} == ROWS
    assert RememberedRows(path, "rules").get("one more") is None
    assert RememberedRows(path, "others").get("key 7") is None
    assert RememberedRows(path, "rules").keys() == set(ROWS)


def test_rows_by_other_rules_are_replaced(path) -> None:
    RememberedRows(path, "others").change({"key 7": [1]}, (), everything)
    assert RememberedRows(path, "others").get("key 7") == [1]
    assert RememberedRows(path, "rules").get("key 7") is None


def test_forgotten_and_vanished_rows_are_gone(path) -> None:
    RememberedRows(path, "rules").change({}, ["key 1", "unknown"], set)
    assert RememberedRows(path, "rules").keys() == set(ROWS) - {"key 1"}
    RememberedRows(path, "rules").change({"key 2": []}, (), lambda: {"key 2", "key 3"})
    assert RememberedRows(path, "rules").keys() == {"key 2", "key 3"}


@pytest.mark.parametrize("seed", range(40))
def test_of_a_damaged_file_nothing_wrong_is_believed_and_it_is_made_anew(path, seed) -> None:
    chance, content = random.Random(seed), bytearray(path.read_bytes())
    first = chance.randrange(len(content))
    content[first : first + chance.choice([1, 9, 5000])] = chance.randbytes(chance.choice([1, 40]))
    path.write_bytes(content if seed % 4 else content[:first])
    found = {key: RememberedRows(path, "rules").get(key) for key in ROWS}
    assert all(value in (None, ROWS[key]) for key, value in found.items())
    for _ in range(2):  # a page that lost its order may hide rows from the first
        RememberedRows(path, "rules").change(ROWS, (), everything)
    assert {key: RememberedRows(path, "rules").get(key) for key in ROWS} == ROWS


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE remembered SET value = x'00ff'",
        "UPDATE remembered SET value = NULL, sum = NULL",
        "UPDATE remembered SET key = CAST(x'ff' AS TEXT) WHERE key = 'key 7'",
        "UPDATE remembered SET value = CAST(x'ff' AS TEXT)",
        "UPDATE remembered SET value = '[\"text\",1,0]'",
        "DROP TABLE remembered",
        "ALTER TABLE remembered RENAME COLUMN sum TO total",
        "DROP TABLE remembered; CREATE TABLE remembered (key, value, sum)",
    ],
)
def test_rows_that_somebody_changed_are_not_believed(path, spoil) -> None:
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.executescript(spoil)
    assert RememberedRows(path, "rules").get("key 7") is None
    RememberedRows(path, "rules").change(ROWS, (), everything)
    assert RememberedRows(path, "rules").get("key 7") == ROWS["key 7"]


def test_a_file_that_is_busy_for_long_stays_as_it_is(path, monkeypatch) -> None:
    monkeypatch.setattr(remembered_rows, "_PATIENCE", 0.05)
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("BEGIN IMMEDIATE")
        RememberedRows(path, "rules").change({"one more": [1]}, (), everything)
        assert RememberedRows(path, "rules").get("key 7") == ROWS["key 7"]
    assert RememberedRows(path, "rules").get("one more") is None


def test_where_no_file_can_be_nothing_is_remembered(tmp_path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "rows"):
        rows = RememberedRows(path, "rules")
        rows.change({"a": [1]}, (), everything)
        assert rows.get("a") is None
        assert rows.keys() == set()


def test_many_at_once_lose_nothing(tmp_path) -> None:
    def learn(number: int) -> None:
        RememberedRows(tmp_path / "rows", "rules").change({f"key {number}": []}, (), everything)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(learn, range(24)))
    assert len(RememberedRows(tmp_path / "rows", "rules").keys()) == 24
