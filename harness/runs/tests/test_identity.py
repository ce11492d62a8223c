"""Identity: fingerprints follow what computes, and nothing else."""

from __future__ import annotations

import ast
import importlib
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

import harness
from harness.runs import identity
from harness.runs.identity import code_fingerprint, numerics, roots
from harness.spec.protocols import protocols
from harness.system import systems

CACHES = (
    numerics,
    identity._targets,
    identity._file,
    identity._tree,
    identity._mark,
    identity._own,
)
Package = Callable[[Mapping[str, str]], None]

MODEL = """
from shop.layers import gate

def build(x):
    return gate(x) + 1
"""
FILES = {"__init__": "", "model": MODEL, "layers": "def gate(x):\n    return x * 2\n"}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    """Write the files of a plug-in package called ``shop`` and forget what was known of it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(files: Mapping[str, str]) -> None:
        for name, source in files.items():
            path = tmp_path / "shop" / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source, "utf-8")
        forget()

    yield write
    forget()


def forget() -> None:
    importlib.invalidate_caches()
    for name in list(sys.modules):
        if name.partition(".")[0] == "shop":
            del sys.modules[name]
    for function in CACHES:
        function.cache_clear()


def fingerprint(shop: Package, **changes: str) -> str:
    shop({**FILES, **{name: textwrap.dedent(source) for name, source in changes.items()}})
    return code_fingerprint("shop.model")


def test_a_fingerprint_is_sixteen_hexadecimal_digits_and_repeatable(shop: Package) -> None:
    mark = fingerprint(shop)
    assert len(mark) == 16
    assert int(mark, 16) >= 0
    assert fingerprint(shop) == mark


PROSE = {
    "a comment": MODEL.replace("+ 1", "+ 1  # why") + "# end",
    "a module docstring": '"""Text."""' + MODEL,
    "a function docstring": MODEL.replace("(x):", "(x):\n    'Text.'"),
    "layout": "from shop.layers import (\n gate,\n)\ndef build( x ):\n  return (\n gate(x)\n + 1)",
    "line ends": MODEL.replace("\n", "\r\n"),
    "digit groups": MODEL.replace("+ 1", "+ 0x1"),
}


@pytest.mark.parametrize("what", PROSE)
def test_prose_and_layout_change_nothing(shop: Package, what: str) -> None:
    assert fingerprint(shop, model=PROSE[what]) == fingerprint(shop)


def test_the_text_below_an_attribute_is_prose_too(shop: Package) -> None:
    bare = "class Card:\n    name: str\n    year: int = 3\n"
    told = 'class Card:\n    """A card."""\n    name: str\n    """Its name."""\n    year: int = 3\n'
    assert fingerprint(shop, layers=bare) == fingerprint(shop, layers=told)


CODE = {
    "a number": MODEL.replace("+ 1", "+ 2"),
    "its type": MODEL.replace("+ 1", "+ 1.0"),
    "an operator": MODEL.replace("+ 1", "- 1"),
    "a name": MODEL.replace("build", "make"),
    "a default": MODEL.replace("build(x)", "build(x, y=None)"),
    "a text in use": MODEL.replace("+ 1", "+ len('a')"),
    "another text in use": MODEL.replace("+ 1", "+ len('ab')"),
    "an extra statement": MODEL + "\nbuild.fast = True\n",
    "a decorator": MODEL.replace("def build", "@staticmethod\ndef build"),
    "an alias": MODEL.replace("import gate", "import gate as build"),
}


def test_any_change_of_code_changes_it(shop: Package) -> None:
    marks = [fingerprint(shop), *(fingerprint(shop, model=source) for source in CODE.values())]
    assert len(set(marks)) == len(CODE) + 1


IMPORTS = {
    "from a module": "from shop.layers import gate",
    "of a module": "import shop.layers",
    "of a module by name": "import shop.layers as l",
    "from the package": "from shop import layers",
    "relative": "from .layers import gate",
    "relative, of a module": "from . import layers",
    "of everything": "from shop.layers import *",
    "inside a function": "def late():\n    from shop.layers import gate\n    return gate",
    "through another": "from shop.middle import gate",
    "behind a condition": "if True:\n    import shop.layers",
}


@pytest.mark.parametrize("how", IMPORTS)
def test_code_imported_in_any_way_counts(shop: Package, how: str) -> None:
    files = {"model": IMPORTS[how], "middle": "from shop.layers import gate"}
    before = fingerprint(shop, **files)
    assert fingerprint(shop, **files, layers="def gate(x):\n    return x * 3\n") != before


def test_a_neighbour_that_is_not_imported_does_not_count(shop: Package) -> None:
    before = fingerprint(shop, other="X = 1")
    assert fingerprint(shop, other="X = 2\nimport shop.model") == before


def test_the_package_counts_where_its_own_attributes_are_used(shop: Package) -> None:
    for statement, counts in (("from shop import LIMIT", True), ("from shop import layers", False)):
        marks = {
            fingerprint(shop, model=statement, __init__=f"LIMIT = {limit}") for limit in (1, 2)
        }
        assert (len(marks) == 2) == counts


def test_the_text_that_is_digested_is_pinned() -> None:
    """The same for every supported Python; a change here is a new identity of every run."""
    tree = ast.parse("def f(x: int = 1, *, y=None):\n    'Text.'\n    return [x, 'é', -y]")
    assert identity._Text("shop.model").of(tree) == (
        "Module(body=[FunctionDef(name='f',args=arguments(args=[arg(arg='x',"
        "annotation=Name(id='int',ctx=Load()))],kwonlyargs=[arg(arg='y')],"
        "kw_defaults=[Constant()],defaults=[Constant(value=1)]),body=[Return(value=List(elts=["
        "Name(id='x',ctx=Load()),Constant(value='é'),"
        "UnaryOp(op=USub(),operand=Name(id='y',ctx=Load()))],ctx=Load()))])])"
    )


def test_imports_that_go_round_in_circles_end(shop: Package) -> None:
    assert fingerprint(shop, layers="import shop.model\ngate = abs")


def test_a_module_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ModuleNotFoundError):
        code_fingerprint("harness.no_such_module")


def test_fingerprinting_reads_files_and_runs_none(shop: Package) -> None:
    program = """
        import sys
        from harness.runs.identity import code_fingerprint
        code_fingerprint("shop.model")
        print([name for name in ("shop", "torch", "pandas", "mlflow") if name in sys.modules])
    """
    outside = "from torch import nn\nimport pandas.api\nfrom mlflow import x\n"
    shop({**FILES, "model": outside + MODEL, "layers": "raise RuntimeError"})
    assert run(program) == "[]\n"


def run(program: str) -> str:
    paths = os.pathsep.join([*sys.path, str(ROOT)])
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


# What does not compute


SILENT = {
    "what an error says": ("raise ValueError('a')", "raise ValueError('b' + str(x))"),
    "what an assertion says": ("assert x, 'a'", "assert x, 'b'"),
    "what a log line says": ("log.warning('a', x)", "log.warning('b')"),
    "what is exported": ("__all__ = ['build']", "__all__ = ['build', 'gate']"),
    "a card": ("CARD = Card(title='A')", "CARD = Card(title='B', year=2020)"),
    "a default that is in the key": ("size: int = param(1)", "size: int = param(2, source='x')"),
}


@pytest.mark.parametrize("what", SILENT)
def test_words_and_resolved_values_change_nothing(shop: Package, what: str) -> None:
    one, other = (f"def build(x):\n    {line}\n" for line in SILENT[what])
    if what in ("what is exported", "a card", "a default that is in the key"):
        one, other = SILENT[what]
    assert fingerprint(shop, model=one) == fingerprint(shop, model=other)


def test_which_error_is_raised_counts() -> None:
    """Who catches it may go on."""
    texts = {
        identity._Text("shop.model").of(ast.parse(f"raise {kind}('a')")) for kind in ("A", "B")
    }
    assert len(texts) == 2


def test_a_module_may_move(shop: Package) -> None:
    before = fingerprint(shop)
    moved = MODEL.replace("shop.layers", "shop.blocks")
    assert fingerprint(shop, model=moved, blocks=FILES["layers"]) == before
    other = "def gate(x):\n    return x * 3\n"
    assert fingerprint(shop, model=moved, blocks=other) != before


def test_a_function_taken_from_elsewhere_counts(shop: Package) -> None:
    """Even when both places are covered already."""
    known = "from shop.layers import gate as a\nfrom shop.blocks import gate as b\n"
    blocks = "def gate(x):\n    return x * 3\n"
    one, other = (
        fingerprint(shop, model=f"{known}from shop.{place} import gate", blocks=blocks)
        for place in ("layers", "blocks")
    )
    assert one != other


# Whose keys an edit changes

ROOT = Path(harness.__file__).parents[1]
IN_DOMAIN, RELIABILITY = protocols["in_domain"], protocols["reliability"]
RUNS = {
    "constant": roots("train_mean", {}, IN_DOMAIN),
    "ridge": roots("tfidf_ridge", {}, IN_DOMAIN),
    "network": roots("lf_dnn", {}, IN_DOMAIN),
    "CORAL": roots("lf_dnn", {"objective": "coral"}, IN_DOMAIN),
    "augmented": roots("lf_dnn", {}, replace(IN_DOMAIN, training_corruption="spectrum")),
    "reliability": roots("lf_dnn", {}, RELIABILITY),
    "language model": roots("mllm", {}, protocols["zero_shot"]),
}
TRAINED = {"network", "CORAL", "augmented", "reliability"}
NOBODY = (
    *("harness.errors", "harness.home", "harness._util.registry", "harness._util.atomic"),
    *("harness._util.canonical", "harness.spec.run", "harness.data.store"),
    *("harness.data.datasets.mosi", "harness.data.readers.mmsa_pickle"),
    *("harness.data.twins.words", "harness.text.synthetic", "harness.runs.cell"),
    *("harness.runs.store", "harness.runs.plan", "harness.training.checkpoint"),
    *("harness.training.objectives.vrex", "harness.spec.laws.lnln", "baselines.tfn"),
    "leaderboards",
    *("harness.metrics.conventions", "harness.stats.compare", "harness.cli.run"),
)
EDITS: dict[str, set[str]] = {
    **{module: set() for module in NOBODY},
    "baselines.constants": {"constant"},
    "baselines.tfidf_ridge": {"ridge"},
    "harness.system.ridge": {"ridge"},
    "baselines.lf_dnn": TRAINED,
    "harness.data.corpus": set(RUNS),
    "harness.system.params": set(RUNS),
    "harness.system.network": TRAINED,
    "harness.data.batching": TRAINED,
    "harness.training.loop": TRAINED,
    "harness.training.fit": TRAINED,
    "harness.metrics.regression": TRAINED,
    "harness._util.seeds": TRAINED | {"language model"},
    "harness.training.objectives.coral": {"CORAL"},
    "harness.training.objectives.generalising": {"CORAL"},
    "harness.spec.laws.spectrum": {"augmented"},
    "harness.corruption.operators": {"augmented", "reliability"},
    "harness.corruption.evaluate_grid": {"augmented", "reliability"},
    "harness.spec.conditions": {"augmented", "reliability"},
    "mllm_eval.prompt.parse": {"language model"},
    "mllm_eval.zero_shot.system": {"language model"},
}


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """A copy of the sources that fingerprints are taken of; module -> its file there."""
    for package in ("harness", "baselines", "mllm_eval", "text_model", "leaderboards"):
        skipped = shutil.ignore_patterns("tests", "__pycache__", "published", "*.csv", "*.svg")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=skipped)
    original = identity._file

    def there(module: str) -> Path | None:
        file = original(module)
        return None if file is None else tmp_path / file.relative_to(ROOT)

    monkeypatch.setattr(identity, "_file", there)
    yield lambda module: there(module) or Path()
    forget()


def fingerprints() -> dict[str, str]:
    for function in CACHES:
        function.cache_clear()
    return {name: code_fingerprint(*modules) for name, modules in RUNS.items()}


@pytest.mark.slow
def test_a_line_in_any_module_changes_the_keys_of_those_who_compute_with_it(
    copied: Callable[[str], Path],
) -> None:
    before = fingerprints()
    assert len(set(before.values())) == len(RUNS)
    for module, expected in EDITS.items():
        path = copied(module)
        source = path.read_text("utf-8")
        path.write_text(source + "\nEDITED = 1\n", "utf-8")
        after = fingerprints()
        path.write_text(source, "utf-8")
        assert {name for name in RUNS if after[name] != before[name]} == expected, module
    assert fingerprints() == before


@pytest.mark.slow
def test_every_covered_module_counts_and_no_other(copied: Callable[[str], Path]) -> None:
    """All others edited at once change no key; each covered one changes those that cover it."""
    before = fingerprints()
    covers = {name: numerics(*modules) for name, modules in RUNS.items()}
    covered = frozenset.union(*covers.values())
    files = {copied(module) for module in covered}
    folder = copied("harness").parents[1]
    for path in folder.rglob("*.py"):
        if path not in files:
            path.write_text(path.read_text("utf-8") + "\nEDITED = 1\n", "utf-8")
    assert fingerprints() == before
    for module in sorted(covered):
        path = copied(module)
        source = path.read_text("utf-8")
        path.write_text(source + "\nEDITED = 1\n", "utf-8")
        after = fingerprints()
        path.write_text(source, "utf-8")
        changed = {name for name in RUNS if after[name] != before[name]}
        assert changed == {name for name in RUNS if module in covers[name]}, module


SYSTEM_MODULES = sorted({systems.module_of(name) for name in systems})


@pytest.mark.parametrize("module", SYSTEM_MODULES)
def test_no_system_depends_on_files_stores_or_display(module: str) -> None:
    covered = numerics(module)
    assert module in covered
    inert = tuple(name for name in identity.INERT if name != "harness.spec")
    active = {"harness._util.seeds"}
    assert [name for name in covered if identity._is_in(name, inert) and name not in active] == []


def test_code_said_to_compute_the_same_keeps_its_mark_until_it_changes(shop, monkeypatch) -> None:
    before = fingerprint(shop)
    mark = identity._own("shop.layers")
    rewritten = "def gate(x):\n    return x + x\n"
    assert fingerprint(shop, layers=rewritten) != before
    monkeypatch.setattr(identity, "_SAME", {identity._own("shop.layers")[:16]: mark})
    assert fingerprint(shop, layers=rewritten) == before
    assert fingerprint(shop, layers=rewritten + "X = 1\n") != before
