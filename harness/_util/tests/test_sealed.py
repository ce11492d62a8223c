"""A file with its digest is read as it was written, or not at all."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from harness._util.sealed import kept, kept_array, read_array, read_sealed, seal_file, sealed
from harness.errors import StoreError

CONTENT = {"nothing": b"", "a line": b"text\n", "bytes": bytes(range(256)) * 40}


@pytest.mark.parametrize("what", CONTENT)
def test_what_is_sealed_is_read_back(tmp_path: Path, what: str) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(sealed(CONTENT[what]))
    other.write_bytes(CONTENT[what])
    seal_file(other)
    assert one.read_bytes() == other.read_bytes()
    assert read_sealed(one) == CONTENT[what]


@pytest.mark.parametrize("seed", range(300))
def test_no_changed_byte_goes_unnoticed(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    content = bytearray(sealed(CONTENT["bytes"]))
    content[draw.randrange(len(content))] ^= draw.randrange(1, 256)
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"not what was written|does not end with a digest"):
        read_sealed(path)


@pytest.mark.parametrize("length", [0, 1, 72, 73, 74, 10_000])
def test_a_file_that_was_cut_is_damaged(tmp_path: Path, length: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(sealed(CONTENT["bytes"])[:length])
    with pytest.raises(ValueError, match="does not end with a digest"):
        read_sealed(path)


def test_a_kept_array_is_made_once_and_again_where_it_is_damaged(tmp_path: Path, caplog) -> None:
    made: list[int] = []

    def make() -> np.ndarray:
        made.append(1)
        return np.arange(12, dtype=np.float32).reshape(3, 4)

    path = tmp_path / "vectors" / "a.npy"
    for _ in range(2):
        np.testing.assert_array_equal(
            kept_array(path, make), np.arange(12, dtype=np.float32).reshape(3, 4)
        )
    assert len(made) == 1
    np.testing.assert_array_equal(np.load(path), read_array(path))
    whole = path.read_bytes()
    draw = random.Random(7)
    for count in range(40):
        broken = bytearray(whole)
        broken[draw.randrange(len(broken))] ^= 1 << draw.randrange(8)
        path.write_bytes(broken)
        caplog.clear()
        np.testing.assert_array_equal(
            kept_array(path, make), np.arange(12, dtype=np.float32).reshape(3, 4)
        )
        assert len(made) == 2 + count
        assert path.read_bytes() == whole
        assert "vectors/a.npy in the cache is damaged and made again" in caplog.text


def test_a_file_of_an_earlier_version_is_made_again(tmp_path: Path, caplog) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    assert kept(path, lambda: b"new") == b"new"
    assert read_sealed(path) == b"new"
    assert "earlier version" in caplog.text


def test_a_disk_that_refuses_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness._util.sealed.write_atomic", full)
    with pytest.raises(StoreError, match=r"tokens/a of the cache could not be stored: .*No space"):
        kept(tmp_path / "tokens" / "a", lambda: b"content")
