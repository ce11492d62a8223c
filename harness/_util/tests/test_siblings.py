"""Packages of others with a name of ours are told apart, before anything of them is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness._util.siblings import SIBLINGS, refuse_strangers

ROOT = Path(__file__).parents[3]


def test_those_of_the_distribution_are_known() -> None:
    refuse_strangers()
    refuse_strangers(["somebody.elses"])


@pytest.mark.parametrize("call", ["-m harness list suites", "-c import harness; harness.reproduce"])
@pytest.mark.parametrize("name", SIBLINGS[::3])
def test_a_stranger_that_comes_first_is_named(tmp_path: Path, call: str, name: str) -> None:
    if name == "baselines" and call.startswith("-c"):
        call = "-c from harness.system import systems; 'tfn' in systems"
    stranger = tmp_path / name
    stranger.mkdir()
    (stranger / "__init__.py").write_text("raise SystemExit('executed')")
    option, _, rest = call.partition(" ")
    done = subprocess.run(
        [sys.executable, option, *(rest.split() if option == "-m" else [rest])],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    said = f"package {name!r} should be msa-harness's own, and is another's: {stranger}"
    assert said in done.stderr
    assert "executed" not in done.stderr
