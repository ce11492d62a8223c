"""What nobody touched is not read again; whatever may have changed is."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness._util import canonical, untouched
from harness._util.canonical import file_digest
from harness._util.known_digests import KnownDigests

DAY = 24 * 3600 * 10**9


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a large and a small file, looked at a day after they were written."""
    (tmp_path / "large").write_bytes(random.Random(1).randbytes(2**20 + 5))
    (tmp_path / "small").write_bytes(b"few")
    now = time.time_ns
    monkeypatch.setattr(untouched.time, "time_ns", lambda: now() + DAY)
    return tmp_path


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The files that were read, by name."""
    names: list[str] = []

    def counted(path: Path) -> str:
        names.append(path.name)
        return file_digest(path)

    monkeypatch.setattr(canonical, "file_digest", counted)
    return names


def sums(folder: Path) -> dict[Path, str]:
    return {folder / name: file_digest(folder / name) for name in ("large", "small")}


def known(folder: Path) -> KnownDigests:
    return KnownDigests(folder / ".checked.json")


def test_a_large_file_is_read_once(folder: Path, read: list[str]) -> None:
    for _ in range(3):
        assert known(folder).differing(sums(folder)) == {}
    assert sorted(read) == ["large", "small", "small", "small"]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def flip_and_hide(path: Path) -> None:
    before = path.stat()
    flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path: Path) -> None:
    before = path.stat()
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [flip, flip_and_hide, replace])
@pytest.mark.parametrize("name", ["large", "small"])
def test_what_was_changed_since_is_found(folder: Path, change, name: str) -> None:
    expected = sums(folder)
    assert known(folder).differing(expected) == {}
    change(folder / name)
    for _ in range(2):
        assert known(folder).differing(expected) == {
            folder / name: f"{name} is not what was written"
        }


def test_what_is_missing_or_unreadable_is_named(folder: Path) -> None:
    expected = sums(folder)
    (folder / "large").unlink()
    (folder / "small").unlink()
    (folder / "small").mkdir()
    assert list(known(folder).differing(expected).values()) == [
        "large is missing",
        "small cannot be read: Is a directory",
    ]


def test_the_memory_is_no_authority(folder: Path, read: list[str]) -> None:
    expected = sums(folder)
    known(folder).differing(expected)
    path = folder / ".checked.json"
    whole = path.read_bytes()
    draw = random.Random(3)
    for _ in range(100):
        content = bytearray(whole)
        content[draw.randrange(len(content))] ^= draw.randrange(1, 256)
        path.write_bytes(content)
        assert known(folder).differing(expected) == {}
    other = {file: "0" * 64 for file in expected}
    assert len(known(folder).differing(other)) == 2
    path.unlink()
    path.mkdir()  # cannot be written
    read.clear()
    assert known(folder).differing(expected) == {}
    assert "large" in read


def test_a_file_written_just_now_is_not_relied_on(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(untouched, "_SETTLED", 2 * DAY)
    assert known(folder).differing(sums(folder)) == {}
    assert not (folder / ".checked.json").exists()
