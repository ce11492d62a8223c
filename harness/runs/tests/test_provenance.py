"""Provenance: fingerprints that follow the code and nothing else, records that hold nobody."""

from __future__ import annotations

import ast
import getpass
import importlib
import os
import platform
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

import harness
from harness._util import canonical
from harness.runs import provenance
from harness.runs.provenance import code_fingerprint, environment

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
    for function in (code_fingerprint, provenance._imports, provenance._file, provenance._mark):
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
    "an alias": MODEL.replace("import gate", "import gate as gate"),
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
    assert provenance._syntax(tree) == (
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


# What a run's fingerprint covers

COVERED = {
    *(
        "harness.data.batching",
        "harness._util.canonical",
        "harness.data.corpus",
        "harness.data.datasets",
    ),
    *(
        "harness.data.store",
        "harness.errors",
        "harness.runs.cell",
        "harness._util.atomic",
        "harness.home",
    ),
    *("harness.metrics.base", "harness.metrics.classification", "harness.metrics.regression"),
    *(
        "harness.system.diagnostics",
        "harness.system.network",
        "harness.system.params",
        "harness.runs.provenance",
    ),
    *(
        "harness._util.records",
        "harness.runs.manifest",
        "harness.spec.records",
        "harness.system.zero_shot",
    ),
    *(
        "harness.runs.record",
        "harness._util.registry",
        "harness._util.seeds",
        "harness.spec",
        "harness.system",
    ),
    *("harness.text", "harness.text.synthetic", "harness.data.twins.words"),
    *("harness.training", "harness.training.evaluation", "harness.training.fit"),
    *("harness.training.features", "harness.training.loop", "harness.training.checkpoint"),
    *("harness.training.stability", "harness.training.optimisation", "harness.training.gate_swap"),
    "harness.training.permutation",
    *("harness.training.objectives", "harness.training.objectives.base"),
    *("harness.training.objectives.capture", "harness.training.objectives.coral"),
    *("harness.training.objectives.dann", "harness.training.objectives.erm"),
    *("harness.training.objectives.generalising", "harness.training.objectives.group_dro"),
    *(
        "harness.training.objectives.vrex",
        "harness.system.gates",
        "harness.corruption.evaluate_grid",
    ),
    *("harness.corruption", "harness.corruption.corrupter", "harness.corruption.draws"),
    *("harness.corruption.laws", "harness.corruption.masks", "harness.corruption.operators"),
    *("harness.corruption.splits", "harness.spec.conditions", "harness.data.datasets._transfer"),
}


def test_the_execution_path_is_covered_and_nothing_beside_it() -> None:
    """A new name here makes every edit of that module a new identity of every run."""
    assert provenance._closure("harness.system") == COVERED


SYSTEM_FILES = sorted(
    f"baselines.{path.stem}"
    for path in (Path(harness.__file__).parents[1] / "baselines").glob("[!_]*.py")
)
IRRELEVANT = (
    *(
        "harness.cli",
        "harness.checks.conformance",
        "harness.runs.driver",
        "harness.runs.executors",
        "harness.runs.plan",
    ),
    *(
        "harness.runs.labels",
        "harness.tracking.export",
        "harness.data.twins.generate",
        "harness.data.readers.mmsa_pickle",
    ),
    *(
        "harness.metrics.conventions",
        "harness._util.parquet",
        "harness.data.readers.predictions",
        "harness.runs.store",
    ),
    *("harness.tests", "leaderboards"),
)


@pytest.mark.parametrize("module", SYSTEM_FILES)
def test_a_system_s_fingerprint_covers_its_own_file_and_nothing_irrelevant(module: str) -> None:
    covered = provenance._closure(module)
    assert covered >= COVERED | {module}
    assert [m for m in covered for stem in IRRELEVANT if f"{m}.".startswith(f"{stem}.")] == []


def test_fingerprinting_reads_files_and_runs_none(shop: Package) -> None:
    program = """
        import sys
        from harness.runs.provenance import code_fingerprint
        code_fingerprint("shop.model")
        print([name for name in ("shop", "torch", "pandas", "mlflow") if name in sys.modules])
    """
    outside = "from torch import nn\nimport pandas.api\nfrom mlflow import x\n"
    shop({**FILES, "model": outside + MODEL, "layers": "raise RuntimeError"})
    assert run(program) == "[]\n"


def run(program: str) -> str:
    paths = os.pathsep.join([*sys.path, str(Path(harness.__file__).parents[1])])
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


# Surroundings


def values(record: object) -> Iterator[str]:
    if isinstance(record, Mapping):
        for item in record.values():
            yield from values(item)
    else:
        yield str(record)


def test_the_environment_is_recorded_without_names_or_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("USER", "LOGNAME", "HOSTNAME", "HOME"):
        monkeypatch.setenv(variable, "/home/somebody")
    private = {socket.gethostname(), platform.node(), getpass.getuser(), "/home/somebody"}
    private |= {str(Path.cwd()), str(Path(__file__).parents[3]), sys.prefix, sys.executable}
    environment.cache_clear()
    found = list(values(environment()))
    environment.cache_clear()
    assert not private & set(found)
    assert not [text for text in found if "somebody" in text or "/home" in text or text[0] in "/~"]


def test_the_environment_is_json_and_names_what_computes() -> None:
    record = environment()
    canonical.dumps(record)
    assert set(record) == {
        *("python", "system", "processor", "cores", "packages", "commit", "dirty"),
    }
    assert record["python"] == ".".join(map(str, sys.version_info[:3]))
    assert isinstance(record["packages"], dict)
    assert record["packages"]["numpy"] == np.__version__
    assert isinstance(record["cores"], int)
    assert record["cores"] >= 1


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    command = ["git", *identity, "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_commit_is_recorded_with_whether_there_are_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "harness" / "provenance.py"
    module.parent.mkdir()
    module.write_text("")
    monkeypatch.setattr(provenance, "__file__", str(module))
    assert provenance._commit() == {"commit": None, "dirty": None}
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert provenance._commit() == {"commit": head, "dirty": False}
    module.write_text("changed")
    assert provenance._commit() == {"commit": head, "dirty": True}
    monkeypatch.setenv("PATH", "")
    assert provenance._commit() == {"commit": None, "dirty": None}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="no memory marks here")
def test_the_memory_mark_rises_when_memory_is_touched_and_falls_when_reset() -> None:
    program = """
        from harness.runs.provenance import peak_memory, reset_peak_memory
        size = 200 * 2**20
        block = bytearray(size); block[:] = b"x" * size
        del block
        high = peak_memory()
        reset_peak_memory()
        low = peak_memory()
        reserved = memoryview(bytearray(size // 4)).release()
        block = b"x" * (size // 2)
        print(high, low, peak_memory())
    """
    high, low, again = map(int, run(program).split())
    mebibyte = 2**20
    assert high - low > 190 * mebibyte
    assert 95 * mebibyte < again - low < 190 * mebibyte


def test_the_memory_mark_survives_a_kernel_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "write_text", refuse)
    provenance.reset_peak_memory()
    assert provenance.peak_memory() > 2**20
