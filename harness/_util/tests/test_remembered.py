"""What is remembered is believed by the same rules alone, and its loss is no error."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness._util.remembered import Remembered
from harness._util.sealed import sealed


def numbers(table) -> dict[str, int]:
    return {name: int(value) for name, value in table["numbers"].items()}


def test_it_comes_back_by_the_same_rules_alone(tmp_path) -> None:
    path = tmp_path / "in" / "a folder"
    Remembered(path, "first").write(lambda: {"numbers": {"a": 1}})
    assert Remembered(path, "first").read(numbers) == {"a": 1}
    assert Remembered(path, "second").read(numbers) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"rules": 1, "numbers": {"a": 1}}',
        sealed(b'{"rules": 1, "numbers": {"a": 1}}', "other name"),
        *(
            sealed(text, "file")
            for text in (
                b"",
                b"[]",
                b"{}",
                b'{"numbers": {"a": 1}}',
                b'{"rules": 1}',
                b'{"rules": 1, "numbers": [1]}',
                b'{"rules": 1, "numbers": {"a": "one"}}',
                b'{"rules": 1, "numbers": {"a": null}}',
                b"[" * 100_000,
                b"\xff",
            )
        ),
    ],
)
def test_what_is_damaged_is_not_remembered(tmp_path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    found = Remembered(tmp_path / "file", 1)
    assert found.read(numbers) is None
    found.write(lambda: {"numbers": {"b": 2}})
    assert found.read(numbers) == {"b": 2}


def test_nothing_is_written_where_nothing_is_made(tmp_path) -> None:
    Remembered(tmp_path / "file", 1).write(lambda: None)
    assert not (tmp_path / "file").exists()


def test_a_place_that_cannot_be_written_is_no_error(tmp_path) -> None:
    (tmp_path / "file").write_text("in the way of a folder")
    found = Remembered(tmp_path / "file" / "below", 1)
    found.write(lambda: {"numbers": {}})
    assert found.read(numbers) is None


def test_what_two_add_at_once_is_there(tmp_path) -> None:
    path = tmp_path / "file"

    def add(number: int) -> None:
        found = Remembered(path, 1)
        found.write(lambda: {"numbers": (found.read(numbers) or {}) | {str(number): number}})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    assert Remembered(path, 1).read(numbers) == {str(number): number for number in range(40)}


def test_the_file_is_json(tmp_path) -> None:
    path: Path = tmp_path / "file"
    Remembered(path, 1).write(lambda: {"numbers": {"a": 1}})
    assert json.loads(path.read_bytes().splitlines()[0]) == {"rules": 1, "numbers": {"a": 1}}
