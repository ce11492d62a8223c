"""Where the command line looks for corpora and runs: told once, the same for every command."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import typer

from harness.cli import app
from harness.cli._home import home_of
from harness.home import Home

LABELS = """video_id,clip_id,text,label,annotation,mode
aa,0001,good,1.0,Positive,train
aa,0002,bad,-1.0,Negative,valid
cc,0001,poor,-0.6,Negative,test
"""


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "label.csv"
    path.write_text(LABELS)
    return path


def corpora_of(msa, *options: object) -> list[str]:
    return [row["name"] for row in json.loads(msa(*options, "list", "corpora", "--json")[1])]


def test_the_option_holds_for_one_call_and_leaves_the_environment_alone(
    msa, home: Home, tmp_path: Path, labels: Path
) -> None:
    other, before = tmp_path / "other", dict(os.environ)
    assert msa("--home", other, "data", "add", labels, "--dataset", "sims")[0] == 0
    assert Home(other).corpora.is_dir()
    assert not home.corpora.exists()
    assert corpora_of(msa, "--home", other) == ["sims@label-csv-own"]
    assert corpora_of(msa) == []
    assert dict(os.environ) == before


def test_a_relative_folder_is_one_of_the_current_directory(
    msa, tmp_path: Path, labels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert msa("--home", "here", "data", "add", labels, "--dataset", "sims")[0] == 0
    assert Home(tmp_path / "here").corpora.is_dir()


def test_without_the_option_the_variable_decides(msa, home: Home, labels: Path) -> None:
    assert msa("data", "add", labels, "--dataset", "sims")[0] == 0
    assert home.corpora.is_dir()


def test_a_context_without_a_home_has_that_of_the_environment(home: Home) -> None:
    assert home_of(typer.Context(typer.main.get_command(app))) == home


def test_no_command_looks_for_the_home_by_itself() -> None:
    folder = Path(__file__).parents[1]
    asking = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py")
        if "Home.default()" in path.read_text("utf-8") and "tests" not in path.parts
    }
    assert asking <= {"__init__.py", "_home.py", "lists.py"}
