"""What is declared is what is imported: nothing missing in a bare install, nothing too much."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("harness", "baselines", "text_model", "mllm_eval", "leaderboards")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
IMPORTED_AS = {"scikit_learn": "sklearn"}
UNIMPORTED = {
    "wcwidth",  # changes what tabulate prints, by being there
    "pip",  # run as a command
    *("accelerate", "gguf"),  # by transformers, for some models
}
THROUGH_OTHERS = {
    *("huggingface_hub", "tokenizers"),  # transformers comes with them
    "sqlalchemy",  # mlflow does
}


def names(requirements: list[str]) -> set[str]:
    """What the required distributions are imported as."""
    found = [re.match(r"[\w.-]+", item) for item in requirements]
    plain = {match[0].replace("-", "_").lower() for match in found if match}
    return {IMPORTED_AS.get(name, name) for name in plain}


CORE = names(PROJECT["dependencies"])
EXTRAS = {extra: names(items) for extra, items in PROJECT["optional-dependencies"].items()}
OPTIONAL = set().union(*EXTRAS.values()) - CORE


def imported() -> set[str]:
    """Top-level names that the code imports anywhere, but for its own and Python's."""
    found: set[str] = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if "tests" not in path.parts:
                for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                    if isinstance(node, ast.Import):
                        found |= {alias.name.partition(".")[0] for alias in node.names}
                    elif isinstance(node, ast.ImportFrom) and node.module:
                        found.add(node.module.partition(".")[0])
    return found - set(PACKAGES) - sys.stdlib_module_names


def sources() -> str:
    """All code, which also names what it imports only where it is there."""
    paths = (path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
    return "\n".join(path.read_text("utf-8") for path in paths if "tests" not in path.parts)


def test_every_declared_dependency_is_used() -> None:
    text = sources()
    assert CORE - imported() - UNIMPORTED == set()
    assert {name for name in OPTIONAL - UNIMPORTED if name not in text} == set()


def test_everything_imported_is_declared() -> None:
    in_environments_of_their_own = {"vllm", "MMSA"}
    known = CORE | OPTIONAL | THROUGH_OTHERS | in_environments_of_their_own
    assert imported() - known == set()


def test_every_requirement_states_its_lowest_version() -> None:
    optional = PROJECT["optional-dependencies"].values()
    every = [*PROJECT["dependencies"], *(item for items in optional for item in items)]
    assert [item for item in every if not re.search(r">=|==", item)] == []


WITHOUT = """
import sys
for name in {optional!r}:
    sys.modules[name] = None  # importing it fails
sys.argv = ["msa", *sys.argv[1:]]
from harness.cli import main
main()
"""


@pytest.mark.parametrize("noun", ["systems", "datasets", "metrics", "protocols", "suites"])
def test_no_extra_is_needed_to_see_what_there_is(noun: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(optional=sorted(OPTIONAL - {"pip"})), "list", noun],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_an_executor_without_its_package_names_the_extra(tmp_path: Path) -> None:
    suite = tmp_path / "small.toml"
    suite.write_text('corpora = ["mosi-twin@compact-x5"]\n[[systems]]\nname = "zero"\n')
    program = WITHOUT.format(optional=["ray"])
    done = subprocess.run(
        [sys.executable, "-c", program, "run", str(suite), "--executor", "ray"],
        env=os.environ | {"PYTHONPATH": str(ROOT), "MSA_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "msa-harness[ray]" in done.stderr
