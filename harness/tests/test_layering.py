"""Who may import whom, by the contracts in ``pyproject.toml``; what is loaded when little is asked.

``lint-imports`` checks the contracts; here each is broken once to see that it would be noticed.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("harness", "baselines", "text_model", "mllm_eval", "leaderboards")


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the sources, to be changed."""
    pytest.importorskip("importlinter")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name in PACKAGES:
        skipped = shutil.ignore_patterns("__pycache__", "published", "golden")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=skipped)
    return tmp_path


def broken_contracts(folder: Path) -> set[str]:
    """Names of the contracts that the sources in a folder break."""
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", program, "--no-cache"],
        cwd=folder,
        env=variables | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Contracts:" in done.stdout, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    return {line.split(" BROKEN")[0] for line in lines if " BROKEN" in line}


def hide(folder: Path, module: str, statement: str) -> None:
    """Import something inside a function, which counts like an import at the top."""
    with Path(folder, *module.split(".")).with_suffix(".py").open("a", encoding="utf-8") as file:
        file.write(f"\n\ndef _hidden() -> None:\n    {statement}\n")


def test_contracts_are_kept_and_one_that_is_broken_is_seen(sources: Path) -> None:
    assert broken_contracts(sources) == set()
    for module, statement in (
        ("harness.metrics.base", "from harness.training import loop"),
        ("harness.runs.store", "import leaderboards"),
        ("baselines.tfn", "from text_model import model"),
        ("leaderboards.model.board", "from harness import system"),
        ("leaderboards.document", "from leaderboards import sections"),
        ("leaderboards.rendering.markdown", "from leaderboards import model"),
        ("harness.stats.ranks", "from sklearn import metrics"),
        ("harness._util.canonical", "import numpy"),
        ("harness.runs.driver", "import mlflow"),
        ("harness.cli.card", "import matplotlib.pyplot"),
        ("harness.runs.plan", "import ray"),
        ("harness.runs.driver", "import optuna"),
        ("harness.training.loop", "import multiprocessing"),
        ("harness.submissions.store", "import httpx"),
        ("harness.data.readers.label_csv", "import pickle"),
        ("harness._util.atomic", "import joblib"),
    ):
        hide(sources, module, statement)
    project = tomllib.loads((sources / "pyproject.toml").read_text("utf-8"))
    assert broken_contracts(sources) == {
        contract["name"] for contract in project["tool"]["importlinter"]["contracts"]
    }


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("harness.nowhere", "pass"),
        ("harness.data.store", "import harness.cli.run"),
        ("harness.stats.ranks", "from harness.runs.cell import Job"),
        ("harness.tracking.export", "from harness.cli import app"),
        ("harness.errors", "from harness.home import Home; import harness.spec"),
    ],
)
def test_a_module_without_a_floor_and_an_import_upwards_are_seen(
    sources: Path, module: str, statement: str
) -> None:
    hide(sources, module, statement)
    assert any(name.startswith("The floors of the harness") for name in broken_contracts(sources))


# What is asked often

COMMAND_LINE = "import runpy; sys.argv = {}; runpy.run_module('harness', run_name='__main__')"
HEAVY = (
    *("torch", "pandas", "numpy", "scipy", "sklearn", "pyarrow", "transformers", "mlflow"),
    "matplotlib",
)


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("import harness", set()),
        ("import harness.data", set()),
        ("import harness.data.datasets, harness._util.canonical, harness.home", set()),
        ("import harness.spec", set()),
        ("import leaderboards", set()),
        (COMMAND_LINE.format(["msa", "--help"]), set()),
        (COMMAND_LINE.format(["msa", "run", "--help"]), set()),
    ],
)
def test_what_is_asked_often_imports_nothing_heavy(statement: str, allowed: set[str]) -> None:
    program = f"""
import atexit, sys
atexit.register(lambda: print("LOADED", [name for name in {HEAVY!r} if name in sys.modules]))
{statement}
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = ast.literal_eval(done.stdout.rpartition("LOADED")[2].strip())
    assert set(loaded) <= allowed
