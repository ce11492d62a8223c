"""Files that cannot be written where the user wants them: one line, and nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.home import Home
from harness.testing import small_corpus

WRITING = [
    ("data", "check", "mosi@small", "--report"),
    ("data", "census", "mosi@small", "--out"),
    ("data", "masks", "mosi@small", "--out"),
    ("reproduce", "mmsa", "--dataset", "mosi", "--system", "tfn", "--out"),
]


@pytest.mark.parametrize("command", WRITING, ids=" ".join)
def test_a_file_below_a_file_is_refused_in_one_line(
    msa, home: Home, tmp_path: Path, command: tuple[str, ...]
) -> None:
    small_corpus(home.corpora)
    (tmp_path / "file").write_text("in the way")
    code, _, errors = msa(*command, tmp_path / "file" / "out.parquet")
    assert code == 1
    (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert f"{tmp_path / 'file' / 'out.parquet'} cannot be written: " in line
    assert f"'{tmp_path / 'file'}'" in line, "what is in the way"
    assert "Traceback" not in errors
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_new_system_is_written_whole_or_not_at_all(msa, home: Home) -> None:
    for file in home.suites.glob("*"):
        file.unlink()
    home.suites.rmdir()
    home.suites.write_text("in the way")
    code, said, errors = msa("new", "system", "halves")
    assert (code, said) == (1, "")
    assert "halves.toml cannot be written" in errors
    assert not list(home.plugins.rglob("*halves*"))
