"""Weights from packages: parts joined in order, each held to its hash, and the whole to its own."""

from __future__ import annotations

import dataclasses
import hashlib
import zipfile

import pytest

from harness.errors import DataError
from mllm_eval.model import gguf_package, packages
from mllm_eval.model.gguf_package import GgufPackage, numbered

CONTENT = bytes(range(256)) * 40
MEMBER = "{package}/data/part{number:02}.bin"


@pytest.fixture
def index(tmp_path, monkeypatch):
    """Three packages on a shelf that pip takes for its index, and what they make together."""
    shelf, digests = tmp_path / "shelf", []
    shelf.mkdir()
    for number in (1, 2, 3):
        package = f"some_part{number}"
        wheel = shelf / f"{package}-1.0-py3-none-any.whl"
        info = f"{package}-1.0.dist-info"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(MEMBER.format(package=package, number=number), part(number))
            archive.writestr(f"{package}/__init__.py", "raise RuntimeError('it is run')")
            archive.writestr(
                f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
            )
            archive.writestr(
                f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            archive.writestr(f"{info}/RECORD", "")
        digests.append(hashlib.sha256(wheel.read_bytes()).hexdigest())
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    monkeypatch.setattr(
        gguf_package, "_convert", lambda file, target: (target / "w").write_bytes(file.read_bytes())
    )
    return GgufPackage(
        parts=numbered("some-part", "1.0", MEMBER, digests),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
    )


def part(number):
    return CONTENT[(number - 1) * 4000 : number * 4000 if number < 3 else None]


def test_parts_are_joined_in_order_and_nothing_of_them_is_run(index, tmp_path):
    index.write(tmp_path)
    assert (tmp_path / "w").read_bytes() == CONTENT


def test_a_part_that_is_not_the_one_expected_is_not_used(index, tmp_path):
    changed = dataclasses.replace(index.parts[1], sha256="0" * 64)
    broken = dataclasses.replace(index, parts=(index.parts[0], changed, index.parts[2]))
    with pytest.raises(DataError, match=r"some-part2==1\.0 should have SHA-256 0{64}, found"):
        broken.write(tmp_path)
    assert not (tmp_path / "w").exists()


def test_parts_that_do_not_make_the_whole_are_not_used(index, tmp_path):
    swapped = dataclasses.replace(index, parts=index.parts[::-1])
    with pytest.raises(DataError, match=f"the weights should have SHA-256 {index.sha256}"):
        swapped.write(tmp_path)


def test_a_package_that_cannot_be_had_is_one_error_with_a_next_step(index, tmp_path):
    absent = numbered("other-part", "2.0", MEMBER, ["0" * 64, "1" * 64])
    with pytest.raises(DataError, match=r"cannot fetch .* other-part1==2\.0 and 1 more") as caught:
        dataclasses.replace(index, parts=absent).write(tmp_path)
    assert caught.value.hint.startswith("pip install")


@pytest.mark.parametrize(
    ("package", "count"),
    [(packages.QWEN_CODER_05B, 6), (packages.QWEN_CODER_15B, 22)],
    ids=["0.5B", "1.5B"],
)
def test_every_part_has_a_hash_of_its_own(package, count):
    assert len({part.sha256 for part in package.parts}) == len(package.parts) == count
    assert package.parts[9 % count].member.endswith(f"/data/part{9 % count + 1:02}.bin")
