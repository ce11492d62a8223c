"""Who may import whom: read off the source of every module, whatever modules there are.

Imports inside functions count like those at the top; imports for type checking only do not.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("harness", "baselines", "text_model", "mllm_eval", "leaderboards")

# Floors, bottom up. A module's floor is that of its longest listed prefix.
FLOORS = {
    **dict.fromkeys(
        (
            *("harness.errors", "harness.canonical", "harness.registry", "harness.seeds"),
            *("harness.files", "harness.home", "harness.data.datasets", "harness.checksums"),
            *("harness.decoding", "harness.identifiers", "harness.documents"),
            "harness.spellings",
            "harness.printed",
        ),
        0,
    ),
    **dict.fromkeys(
        (
            *("harness.specs", "harness.metrics", "harness.predictions", "harness.stats"),
            *("harness.parquet", "harness.record", "harness.diagnostics", "harness.tables"),
            *("harness.spec_records", "harness.labels", "harness.label_causes"),
            *("harness.result_rows", "harness.seed_table", "harness.published_means"),
        ),
        1,
    ),
    **dict.fromkeys(
        (
            *("harness.data", "harness.protocols", "harness.store", "harness.provenance"),
            *("harness.costs", "harness.verification", "harness.running", "harness.environments"),
            *("harness.scoring", "harness.submissions", "harness.arithmetic"),
            "harness.known_labels",
        ),
        2,
    ),
    **dict.fromkeys(
        (
            *("harness.batching", "harness.system", "harness.text", "harness.training"),
            *("harness.execution", "harness.executors", "harness.run", "harness.plan"),
            *("harness.driver", "harness.conformance", "harness.params", "harness.network"),
            "harness.replay",
            *("harness.synthetic_encoder", "harness.judgement"),
            *("harness.corrupted", "harness.reliability"),
            *("harness.pricing", "harness.fidelity", "harness.recording", "harness.extraction"),
            *("harness.pool", "harness.places"),
        ),
        3,
    ),
    **dict.fromkeys(("baselines", "text_model", "mllm_eval"), 4),
}
# Outside the floors: they may import anything and nothing imports them.
FACES = (
    *("harness.cli", "harness.__main__", "harness.benchmarks"),
    *("harness.tracking", "harness._tracked", "harness._sqlite"),
)

EXTRACTORS = {"opensmile", "librosa", "mediapipe", "faster_whisper"}
THIRD_PARTY = (
    set(),
    {"numpy", "scipy", "pandas", "pyarrow"},
    {"psutil", "filelock"},
    {
        "torch",
        "transformers",
        "tokenizers",
        "huggingface_hub",
        "safetensors",
        "sklearn",
        "av",
        *EXTRACTORS,
    }
    | {"ray"},
    {"httpx"},
)
# Rooms of ``leaderboards``, and the rooms that each stands on besides itself.
_FACTS = {"leaderboards.document", "leaderboards.numbers"}
BOARD_ROOMS: dict[str, set[str]] = {
    "leaderboards.numbers": set(),
    "leaderboards.document": set(),
    "leaderboards.literature": set(),
    "leaderboards.model": set(),
    "leaderboards.rendering": _FACTS,
    "leaderboards.sections": {*_FACTS, "leaderboards.model", "leaderboards.literature"},
    "leaderboards.figures": {
        *(*_FACTS, "leaderboards.model", "leaderboards.sections"),
        "leaderboards.studies",
    },
    "leaderboards.studies": {
        *(*_FACTS, "leaderboards.model", "leaderboards.literature"),
        "leaderboards.rendering",
    },
    "leaderboards.guide": {*_FACTS, "leaderboards.figures"},
    "leaderboards.files": {
        *("leaderboards.model", "leaderboards.sections", "leaderboards.rendering"),
    },
}
BOARDS_MAY_IMPORT = {
    *("leaderboards", "harness.specs", "harness.metrics", "harness.predictions", "harness.store"),
    *("harness.stats", "harness.data.datasets", "harness.scoring", "harness.parquet"),
    *("harness.data.corruption", "harness.diagnostics"),
    *("harness.submissions", "harness.seed_table", "harness.printed"),
    *("harness.errors", "harness.canonical", "harness.registry", "harness.seeds", "harness.files"),
    *("harness.home", "numpy", "scipy", "pandas", "tabulate", "wcwidth", "matplotlib"),
}
ONLY_IN = {
    "mlflow": ("harness.tracking", "harness._tracked"),
    "multiprocessing": ("harness.executors", "harness.pool"),
    "matplotlib": ("leaderboards.figures",),
    "ray": ("harness.executors",),
    "pickle": (
        "harness.benchmarks.conversion",  # the reference
        "harness.data.mmsa_export",  # the layout of other tools
        *("harness.training.resume", "text_model.checkpoint"),  # the error of a refused checkpoint
    ),
    "httpx": ("mllm_eval.client",),
    "av": ("harness.recording",),
    "cloudpickle": (),
    "joblib": (),
    "dill": (),
}


def modules() -> dict[str, Path]:
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if "tests" not in parts:
                found[".".join(parts).removesuffix(".__init__")] = path
    return found


MODULES = modules()


def imports(module: str) -> set[str]:
    """Modules that ``module`` imports when it or its functions run."""
    return {name for node in _running(_tree(module)) for name in _named(node)}


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text("utf-8"))


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """Every node below, without what stands under ``if TYPE_CHECKING``."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for statement in child.orelse:
                yield from _running(statement)
        else:
            yield from _running(child)


def _named(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert not node.level, "imports are absolute"
        assert node.module is not None
        for alias in node.names:
            part = f"{node.module}.{alias.name}"
            yield part if part in MODULES else node.module


def is_in(module: str, packages: tuple[str, ...] | set[str]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


def floor(module: str) -> int | None:
    fitting = [prefix for prefix in FLOORS if is_in(module, (prefix,))]
    return FLOORS[max(fitting, key=len)] if fitting else None


def top(module: str) -> str:
    return module.partition(".")[0]


def first_party(names: set[str]) -> set[str]:
    return {name for name in names if top(name) in PACKAGES}


def third_party(names: set[str]) -> set[str]:
    return {top(name) for name in names} - set(PACKAGES) - sys.stdlib_module_names


ON_A_FLOOR = [m for m in MODULES if floor(m) is not None]
BOARDS = [m for m in MODULES if is_in(m, ("leaderboards",))]


def test_every_module_has_its_place() -> None:
    """A new module is put on a floor here, or it is a face, or a board."""
    placed = {*ON_A_FLOOR, *BOARDS, "harness"}
    assert [m for m in MODULES if m not in placed and not is_in(m, FACES)] == []


def test_the_modules_are_found_and_their_imports_read() -> None:
    assert len(MODULES) > 40
    assert "harness.data.store" in imports("harness.execution")
    assert "harness.provenance" in imports("harness.execution")  # from harness import provenance
    assert "transformers" in imports("harness.text")  # inside a function
    assert "harness.driver" in imports("harness")
    assert "harness.data.corpus" not in imports("harness.data")  # for type checking only


@pytest.mark.parametrize("module", ON_A_FLOOR)
def test_imports_go_down(module: str) -> None:
    own = floor(module)
    assert own is not None
    wrong = {
        name
        for name in first_party(imports(module))
        if (there := floor(name)) is None
        or there > own
        or (own == there == 4 and top(name) != top(module))
    }
    assert wrong == set()


@pytest.mark.parametrize("module", ON_A_FLOOR)
def test_a_floor_brings_its_own_third_party_packages(module: str) -> None:
    own = floor(module)
    assert own is not None
    allowed = set().union(*THIRD_PARTY[: own + 1])
    assert third_party(imports(module)) <= allowed


@pytest.mark.parametrize("module", BOARDS)
def test_boards_rebuild_without_models_or_trackers(module: str) -> None:
    names = imports(module)
    wrong = {name for name in first_party(names) if not is_in(name, BOARDS_MAY_IMPORT)}
    assert wrong | (third_party(names) - BOARDS_MAY_IMPORT) == set()


@pytest.mark.parametrize("module", [m for m in BOARDS if m != "leaderboards"])
def test_rooms_of_boards_stand_on_each_other_in_one_direction(module: str) -> None:
    """Renderers know no section, sections no renderer, and data none of their readers."""
    (room,) = [room for room in BOARD_ROOMS if is_in(module, (room,))]
    own = {name for name in imports(module) if is_in(name, ("leaderboards",))}
    assert {name for name in own if not is_in(name, {room, *BOARD_ROOMS[room]})} == set()


@pytest.mark.parametrize("module", [m for m in MODULES if not is_in(m, FACES)])
def test_nothing_imports_the_faces_of_the_project(module: str) -> None:
    assert {name for name in imports(module) if is_in(name, FACES)} == set()


def test_faces_are_faces_of_themselves_only() -> None:
    """The command line imports the tracker; the tracker does not know the command line."""
    for module in MODULES:
        if is_in(module, ("harness.tracking", "harness._tracked")):
            assert not [name for name in imports(module) if is_in(name, ("harness.cli",))]


@pytest.mark.parametrize("package", ONLY_IN)
def test_some_packages_are_imported_in_one_place(package: str) -> None:
    users = {m for m in MODULES if package in {top(name) for name in imports(m)}}
    assert {m for m in users if not is_in(m, ONLY_IN[package])} == set()


def test_the_package_itself_imports_nothing_until_asked() -> None:
    at_once = {name for node in _tree("harness").body for name in _named(node)}
    assert first_party(at_once) | third_party(at_once) == set()


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
        ("import harness.data.datasets, harness.canonical, harness.home", set()),
        ("import harness.specs", set()),
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
