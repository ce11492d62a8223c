"""What other packages may take of a package is what it lists in ``__all__``; nothing else.

The rule, for every import of first-party code outside tests, at any depth of a file. Each step of
``package.part`` that enters a package from outside it must be one of:

- a package without a leading underscore: packages are the nouns that the layout names;
- a name or a module in the package's ``__all__``. A name that ``__init__`` binds is taken from the
  package and not from the module behind it, whatever that is called.

What begins with an underscore, and tests, belong to the package that they lie in. ``harness._util``
serves the five packages of the distribution and nobody else.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("harness", "baselines", "text_model", "mllm_eval", "leaderboards")
SHARED = {"harness._util"}


class Sources:
    """The modules below some top-level packages, by dotted name."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @cached_property
    def files(self) -> dict[str, Path]:
        found = {}
        for file in sorted(self._root.rglob("*.py")):
            parts = file.relative_to(self._root).with_suffix("").parts
            if parts[0] in PACKAGES:
                found[".".join(parts).removesuffix(".__init__")] = file
        return found

    def is_package(self, name: str) -> bool:
        return name in self.files and self.files[name].name == "__init__.py"

    @cached_property
    def packages(self) -> list[str]:
        return [name for name in self.files if self.is_package(name) and not of_tests(name)]

    @cached_property
    def exported(self) -> dict[str, set[str]]:
        return {name: set(listed(self._tree(name))) for name in self.packages}

    @cached_property
    def bound(self) -> dict[str, set[str]]:
        return {name: set(bindings(self._tree(name), name)) for name in self.packages}

    def breaches(self) -> Iterator[str]:
        """``importer takes package.part`` of every import that the rule forbids."""
        for importer in self.files:
            if not of_tests(importer):
                for modules, name in imports(self._tree(importer)):
                    yield from self._forbidden(importer, modules, name)

    def _forbidden(self, importer: str, modules: str, name: str | None) -> Iterator[str]:
        steps = [(step, True) for step in modules.split(".")]
        if name is not None:  # what ``__init__`` binds, where it and a module have one name
            steps.append((name, False))
        package = steps[0][0]
        for step, is_module in steps[1:]:
            if package not in self.exported:
                return
            if not is_in(importer, package) and not self._is_public(package, step, is_module):
                yield f"{importer} takes {package}.{step}"
            package = f"{package}.{step}"

    def _is_public(self, package: str, step: str, is_module: bool) -> bool:
        part = f"{package}.{step}"
        if part in SHARED:
            return True
        if step.startswith("_") and not step.startswith("__"):
            return False
        if self.is_package(part):
            return step != "tests"
        return step in self.exported[package] and not (is_module and step in self.bound[package])

    def _tree(self, name: str) -> ast.Module:
        return ast.parse(self.files[name].read_text("utf-8"))


def of_tests(module: str) -> bool:
    return "tests" in module.split(".")


def is_in(module: str, package: str) -> bool:
    return f"{module}.".startswith(f"{package}.")


def listed(tree: ast.Module) -> list[str]:
    """The value of ``__all__``."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return list(ast.literal_eval(value))
    return []


def bindings(tree: ast.Module, package: str) -> Iterator[str]:
    """Names of a package that are not modules of it: what it defines or takes from modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module != package:
            yield from (alias.asname or alias.name for alias in node.names)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name


def imports(tree: ast.Module) -> Iterator[tuple[str, str | None]]:
    """The dotted module of each import and, where there is one, the name that is taken from it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from ((node.module, alias.name) for alias in node.names)


HERE = Sources(ROOT)


def test_nobody_takes_what_a_package_does_not_export() -> None:
    assert len(HERE.packages) > 40
    assert sorted(set(HERE.breaches())) == []


@pytest.mark.parametrize("package", HERE.packages)
def test_a_package_says_what_lives_there_and_has_what_it_exports(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__doc__
    for name in HERE.exported[package]:
        is_module = f"{package}.{name}" in HERE.files and name not in HERE.bound[package]
        assert is_module or hasattr(module, name), name


# The rule on sources made for it


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A harness with a package ``stats`` that exports a function, a module and nothing more."""
    for name, text in {
        "harness/__init__.py": '__all__ = ["errors"]',
        "harness/errors.py": "class HarnessError(Exception): ...",
        "harness/_util/__init__.py": '__all__ = ["atomic"]',
        "harness/_util/atomic.py": "def write_atomic() -> None: ...",
        "harness/_util/hidden.py": "",
        "harness/stats/__init__.py": "from harness.stats.compare import compare\n"
        '__all__ = ["compare", "power"]',
        "harness/stats/compare.py": "def compare() -> None: ...\nclass Verdict: ...",
        "harness/stats/power.py": "def power() -> None: ...",
        "harness/stats/sums.py": "def read() -> None: ...",
        "harness/stats/_tail.py": "",
        "harness/stats/tests/__init__.py": "",
        "baselines/__init__.py": "",
        "baselines/_shared/__init__.py": '__all__ = ["blocks"]',
        "baselines/_shared/blocks.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("importer", "statement", "breach"),
    [
        ("leaderboards/board.py", "from harness.stats import compare, power", None),
        ("leaderboards/board.py", "from harness.stats.power import power", None),
        ("leaderboards/board.py", "from harness import stats", None),
        ("leaderboards/board.py", "from harness.errors import HarnessError", None),
        ("leaderboards/board.py", "import harness.stats.power", None),
        ("leaderboards/board.py", "from harness._util.atomic import write_atomic", None),
        ("leaderboards/board.py", "from harness._util import hidden", "harness._util.hidden"),
        ("leaderboards/board.py", "import harness.stats.sums", "harness.stats.sums"),
        ("leaderboards/board.py", "from harness.stats.sums import read", "harness.stats.sums"),
        ("leaderboards/board.py", "from harness.stats import sums", "harness.stats.sums"),
        (
            "leaderboards/board.py",
            "from harness.stats.compare import Verdict",
            "harness.stats.compare",
        ),
        ("leaderboards/board.py", "from harness.stats import Verdict", "harness.stats.Verdict"),
        ("leaderboards/board.py", "from harness.stats import _tail", "harness.stats._tail"),
        ("leaderboards/board.py", "from harness.stats import tests", "harness.stats.tests"),
        ("leaderboards/board.py", "from baselines._shared import blocks", "baselines._shared"),
        ("baselines/tfn.py", "from baselines._shared import blocks", None),
        ("harness/stats/bca.py", "from harness.stats.sums import read", None),
        ("harness/runs.py", "def f():\n    import harness.stats.sums", "harness.stats.sums"),
        ("harness/tests/test_sums.py", "from harness.stats.sums import read", None),
    ],
)
def test_the_rule(made: Path, importer: str, statement: str, breach: str | None) -> None:
    (made / importer).parent.mkdir(parents=True, exist_ok=True)
    (made / importer).write_text(statement)
    module = importer.removesuffix(".py").replace("/", ".")
    found = set(Sources(made).breaches())
    assert found == (set() if breach is None else {f"{module} takes {breach}"})
