"""Own systems: in every process, and in the key of a run with all that their files import."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.errors import RunFailed
from harness.runs import identity

SYSTEM = """
import numpy as np

from harness.system import Card, Fitted, System

from ._level import level


def fit(task, params):
    return Fitted(predict=lambda split: np.full(len(split), level()), parameters=0, trainable=0)


MINE = System(
    name="mine",
    card=Card(title="Mine", paper="none", year=None),
    inputs=frozenset(),
    deterministic=True,
    fit=fit,
)
"""
SUITE = """
corpora = ["mosi-twin@compact-x5"]
protocol = { name = "in_domain" }
seeds = 1
systems = [{ name = "mine" }, { name = "gone" }]
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of own systems."""
    folder = tmp_path / "own" / "systems"
    folder.mkdir(parents=True)
    (folder / "mine.py").write_text(SYSTEM)
    (folder / "_level.py").write_text(
        "from ._half import HALF\n\n\ndef level():\n    return HALF\n"
    )
    (folder / "_half.py").write_text("HALF = 0.5\n")
    monkeypatch.setenv("MSA_PLUGINS", str(folder.parent))
    importlib.import_module("harness.own").folder()
    yield folder
    _forget()


def _forget() -> None:
    for function in vars(identity).values():
        if hasattr(function, "cache_clear"):
            function.cache_clear()
    for name in [name for name in sys.modules if name.startswith("harness.own.")]:
        del sys.modules[name]


def _code() -> str:
    _forget()
    return identity.code_fingerprint("harness.own.systems.mine")


def test_the_code_of_a_run_has_all_that_the_file_imports(own: Path) -> None:
    before = _code()
    half = own / "_half.py"
    half.write_text('"""A comment."""\nHALF = 0.5  # of a unit\n')
    assert _code() == before
    half.write_text("HALF = 0.25\n")
    assert _code() != before


def test_its_place_is_no_part_of_its_code(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _code()
    moved = own.parent.rename(tmp_path / "moved")
    monkeypatch.setenv("MSA_PLUGINS", str(moved))
    importlib.import_module("harness.own").folder()
    assert _code() == before


def test_a_node_of_a_cluster_without_the_file_refuses_the_cell(own: Path) -> None:
    pytest.importorskip("ray")
    from harness.runs.executors.ray import _on_this_node

    job = SimpleNamespace(spec=SimpleNamespace(system="of_another_folder"))
    with pytest.raises(
        RunFailed, match=r"a node has no system 'of_another_folder'; .*own, its file"
    ):
        _on_this_node(job, {}, lambda event: None)


@pytest.mark.slow
def test_it_runs_in_workers_beside_a_broken_one(own: Path, tmp_path: Path) -> None:
    (own / "gone.py").write_text("from harness.system import System\n\nraise LookupError('lost')\n")
    (tmp_path / "s.toml").write_text(SUITE)
    done = subprocess.run(
        [sys.executable, "-m", "harness", "--plugins", str(own.parent), "run", "s.toml"],
        cwd=tmp_path,
        env=os.environ | {"MSA_HOME": str(tmp_path / "runs")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("warning: systems/gone.py:3: LookupError: lost") == 1
    board = (tmp_path / "runs" / "boards" / "s.md").read_text("utf-8")
    assert "system 'gone' cannot be loaded: systems/gone.py:3: LookupError: lost" in board
    assert "| mine " in board
