"""Provenance: records of what computed, that hold nobody."""

from __future__ import annotations

import getpass
import os
import platform
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

import harness
from harness._util import canonical
from harness.runs import provenance
from harness.runs.provenance import environment


def run(program: str) -> str:
    paths = os.pathsep.join([*sys.path, str(Path(harness.__file__).parents[1])])
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


# Surroundings


def values(record: object) -> Iterator[str]:
    if isinstance(record, Mapping):
        for item in record.values():
            yield from values(item)
    else:
        yield str(record)


def test_the_environment_is_recorded_without_names_or_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("USER", "LOGNAME", "HOSTNAME", "HOME"):
        monkeypatch.setenv(variable, "/home/somebody")
    private = {socket.gethostname(), platform.node(), getpass.getuser(), "/home/somebody"}
    private |= {str(Path.cwd()), str(Path(__file__).parents[3]), sys.prefix, sys.executable}
    environment.cache_clear()
    found = list(values(environment()))
    environment.cache_clear()
    assert not private & set(found)
    assert not [text for text in found if "somebody" in text or "/home" in text or text[0] in "/~"]


def test_the_environment_is_json_and_names_what_computes() -> None:
    record = environment()
    canonical.dumps(record)
    assert set(record) == {
        *("python", "system", "processor", "cores", "packages", "commit", "dirty"),
    }
    assert record["python"] == ".".join(map(str, sys.version_info[:3]))
    assert isinstance(record["packages"], dict)
    assert record["packages"]["numpy"] == np.__version__
    assert isinstance(record["cores"], int)
    assert record["cores"] >= 1


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    command = ["git", *identity, "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_commit_is_recorded_with_whether_there_are_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "harness" / "provenance.py"
    module.parent.mkdir()
    module.write_text("")
    monkeypatch.setattr(provenance, "__file__", str(module))
    assert provenance._commit() == {"commit": None, "dirty": None}
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert provenance._commit() == {"commit": head, "dirty": False}
    module.write_text("changed")
    assert provenance._commit() == {"commit": head, "dirty": True}
    monkeypatch.setenv("PATH", "")
    assert provenance._commit() == {"commit": None, "dirty": None}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="no memory marks here")
def test_the_memory_mark_rises_when_memory_is_touched_and_falls_when_reset() -> None:
    program = """
        from harness.runs.provenance import peak_memory, reset_peak_memory
        size = 200 * 2**20
        block = bytearray(size); block[:] = b"x" * size
        del block
        high = peak_memory()
        reset_peak_memory()
        low = peak_memory()
        reserved = memoryview(bytearray(size // 4)).release()
        block = b"x" * (size // 2)
        print(high, low, peak_memory())
    """
    high, low, again = map(int, run(program).split())
    mebibyte = 2**20
    assert high - low > 190 * mebibyte
    assert 95 * mebibyte < again - low < 190 * mebibyte


def test_the_memory_mark_survives_a_kernel_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "write_text", refuse)
    provenance.reset_peak_memory()
    assert provenance.peak_memory() > 2**20


def test_the_commit_of_an_encoder_of_the_hub_is_told(tmp_path) -> None:
    from harness.runs.cell import _commit

    assert _commit(tmp_path / "models--a--b" / "snapshots" / ("c" * 40)) == "c" * 40
    assert _commit(tmp_path / "snapshots" / "mine") is None
    assert _commit(tmp_path / ("c" * 40)) is None
