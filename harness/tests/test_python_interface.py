"""The Python interface does what its page says, and imports no more than it needs."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INTERFACE = (
    *("harness.score", "harness.compare", "harness.run", "harness.predict", "harness.data.add"),
    *("harness.data.load", "harness.data.explain", "harness.submissions.submit"),
    *("harness.metrics.score", "harness.stats.compare", "harness.runs.progress.status"),
)


def test_the_examples_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = doctest.testfile(
        str(ROOT / "docs/pages/python.md"), module_relative=False, encoding="utf-8"
    )
    assert done.attempted > 20
    assert done.failed == 0


@pytest.mark.parametrize("name", INTERFACE)
def test_what_is_stable_is_a_documented_function(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    found = getattr(importlib.import_module(module), attribute)
    assert inspect.isfunction(found)
    assert attribute in importlib.import_module(module).__all__
    for heading in ("Args:", "Raises:"):
        assert heading in inspect.getdoc(found) or name == "harness.metrics.score"


def test_scoring_comparing_adding_and_submitting_import_no_network_library() -> None:
    names = [name for name in INTERFACE if name not in ("harness.run", "harness.predict")]
    program = "\n".join(
        [
            "import importlib, sys",
            f"for name in {names!r}:",
            "    module, _, attribute = name.rpartition('.')",
            "    getattr(importlib.import_module(module), attribute)",
            "print([name for name in ('torch', 'sklearn', 'mlflow') if name in sys.modules])",
        ]
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ast.literal_eval(done.stdout) == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    import harness
    import harness.data

    for module in (harness, harness.data):
        with pytest.raises(AttributeError, match="nothing"):
            _ = module.nothing  # type: ignore[attr-defined]
