"""What is installed from a wheel works without the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import harness

ROOT = Path(__file__).parents[2]
PACKAGES = ("harness", "baselines", "text_model", "mllm_eval", "leaderboards")
DATA = {".toml", ".csv", ".css", ".js", ".typed"}
PUBLISHED = Path("leaderboards/submissions")  # manifests of what was submitted, read by nobody


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel of the checkout, built in a copy so that nothing is left behind."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]
    done = subprocess.run(
        [*command, str(folder), str(_copy(folder / "source"))],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and "setuptools" in done.stderr:
        pytest.skip("the build tools cannot be had here")
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def _copy(target: Path) -> Path:
    skipped = shutil.ignore_patterns("__pycache__", "tests", "store", "corpora", "cache", "boards")
    for name in (*PACKAGES, "runs"):
        shutil.copytree(ROOT / name, target / name, ignore=skipped, symlinks=True)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, target / name)
    return target


@pytest.mark.slow
def test_a_wheel_holds_every_module_and_data_file_and_no_test(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    ours = {path.relative_to(ROOT) for name in PACKAGES for path in (ROOT / name).rglob("*")}
    ours |= {Path("harness/suites") / path.name for path in (ROOT / "runs/suites").glob("*.toml")}
    wanted = {
        str(path)
        for path in ours
        if path.suffix in DATA | {".py"}
        and not {"tests", "benchmarks", "__pycache__"} & set(path.parts)
        and PUBLISHED not in path.parents
    }
    assert wanted - inside == set()
    assert not [name for name in inside if "/tests/" in name or "/benchmarks/" in name]


@pytest.mark.slow
def test_what_a_wheel_installs_runs_by_itself(wheel: Path, tmp_path: Path) -> None:
    """The wheel's own files, with the dependencies of this environment and no checkout in reach."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    program = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); from harness.cli import main; main()"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def msa(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "site"), *arguments],
            cwd=tmp_path,
            env=environment | {"MSA_HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "Usage" in msa("--help")
    assert msa("--version") == f"msa {harness.__version__}\n"
    assert "demo" in msa("list", "suites")
    assert "tfn" in msa("list", "systems")
    assert "mosi" in msa("list", "datasets")
    assert "cells to run" in msa("run", "demo", "--plan")
