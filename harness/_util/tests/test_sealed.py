"""A file with its digest is read as it was written, or not at all."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from harness._util import canonical, checksums
from harness._util.sealed import (
    kept,
    kept_array,
    kept_folder,
    read_array,
    read_sealed,
    seal_file,
    sealed,
    sealed_line,
    stamped,
    unsealed_line,
    unstamped,
)
from harness.errors import StoreError

CONTENT = {"nothing": b"", "a line": b"text\n", "bytes": bytes(range(256)) * 40}


@pytest.mark.parametrize("what", CONTENT)
def test_what_is_sealed_is_read_back(tmp_path: Path, what: str) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(sealed(CONTENT[what], "one"))
    other.write_bytes(CONTENT[what])
    seal_file(other, "one")
    assert one.read_bytes() == other.read_bytes()
    assert read_sealed(one) == CONTENT[what]
    with pytest.raises(ValueError, match="under this name"):
        read_sealed(other)


@pytest.mark.parametrize("seed", range(300))
def test_no_changed_byte_goes_unnoticed(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    content = bytearray(sealed(CONTENT["bytes"], "file"))
    content[draw.randrange(len(content))] ^= draw.randrange(1, 256)
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"not what was written|does not end with a digest"):
        read_sealed(path)


@pytest.mark.parametrize("length", [0, 1, 72, 73, 74, 10_000])
def test_a_file_that_was_cut_is_damaged(tmp_path: Path, length: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(sealed(CONTENT["bytes"], "file")[:length])
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


def test_arrays_that_changed_places_are_made_again(tmp_path: Path) -> None:
    one, other = tmp_path / "one.npy", tmp_path / "other.npy"
    kept_array(one, lambda: np.zeros(3))
    kept_array(other, lambda: np.ones(3))
    one.rename(tmp_path / "aside")
    other.rename(one)
    (tmp_path / "aside").rename(other)
    assert kept_array(one, lambda: np.zeros(3)).sum() == 0
    assert kept_array(other, lambda: np.ones(3)).sum() == 3


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


def test_a_stamped_object_is_read_as_it_was_or_not_at_all() -> None:
    table = {"key": "a", "values": [1, 2.5, None], "reason": "loss became nan"}
    whole = canonical.dumps(stamped(table)).encode()
    assert unstamped(json.loads(whole)) == table
    assert unstamped(table) == table, "of before there were digests"
    for place in range(len(whole)):
        spoilt = bytearray(whole)
        spoilt[place] ^= 1 << place % 8
        try:
            found = unstamped(json.loads(spoilt))
        except ValueError:
            continue
        assert {name: found[name] for name in table} == table


def test_a_sealed_line_is_json_and_read_as_it_was_or_not_at_all() -> None:
    content = canonical.dumps({"answer": "1.25", "of": [1, 2.5, None]}).encode()
    line = sealed_line(content)
    assert json.loads(line).items() > json.loads(content).items()
    assert unsealed_line(line) == content
    assert unsealed_line(content + b"\n") == content + b"\n", "of before there were digests"
    for place in range(len(line)):
        spoilt = bytearray(line)
        spoilt[place] ^= 1 << place % 8
        try:
            found = json.loads(unsealed_line(bytes(spoilt)))
        except ValueError:
            continue
        assert {name: found[name] for name in ("answer", "of")} == json.loads(content)


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"other")])
@pytest.mark.parametrize("name", ["weights", "config", checksums.SUMS])
def test_a_kept_folder_is_filled_again_where_a_file_is_damaged(
    tmp_path: Path, caplog, name: str, spoil
) -> None:
    filled: list[Path] = []

    def fill(folder: Path) -> None:
        filled.append(folder)
        (folder / "weights").write_bytes(b"1234")
        (folder / "config").write_text("{}")

    place = tmp_path / "encoders" / "small"
    for _ in range(2):
        assert kept_folder(place, fill) == place
    assert len(filled) == 1
    spoil(place / name)
    kept_folder(place, fill)
    assert (place / "weights").read_bytes() == b"1234"
    assert (place / "config").read_text() == "{}"
    if name != checksums.SUMS:
        assert len(filled) == 2
        assert "encoders/small in the cache is damaged and made again" in caplog.text


def test_a_kept_folder_of_before_there_were_digests_gets_them(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    (place / "weights").write_bytes(b"1234")
    kept_folder(place, lambda folder: pytest.fail("it is here"))
    assert set(checksums.read_sums(place)) == {"weights"}
