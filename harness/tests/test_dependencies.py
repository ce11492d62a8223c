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

from harness._util.extras import EXTRAS as BROUGHT_BY
from harness._util.extras import explained, load, missing
from harness.errors import HarnessError, MissingExtra, SpecError
from harness.tests.stores import SEEDS, Constant, Off, Row, make_store

ROOT = Path(__file__).parents[2]
PACKAGES = ("harness", "baselines", "text_model", "mllm_eval", "leaderboards")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
IMPORTED_AS = {"scikit_learn": "sklearn", "pillow": "PIL"}
UNIMPORTED = {
    "wcwidth",  # changes what tabulate prints, by being there
    *("pip", "uv"),  # run as commands
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
EXTRAS = {
    extra: names(items) - {"msa_harness"}
    for extra, items in PROJECT["optional-dependencies"].items()
}
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
    foreign = (item for items in optional for item in items if "msa-harness[" not in item)
    every = [*PROJECT["dependencies"], *foreign]
    assert [item for item in every if not re.search(r">=|==", item)] == []


WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {optional!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Absent())
sys.argv = ["msa", *sys.argv[1:]]
from harness.cli import main
main()
"""


def msa_without(
    packages: set[str], home: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """The command line where some packages are not installed."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT.format(optional=sorted(packages)), *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT), "MSA_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_executor_without_its_package_names_the_extra(tmp_path: Path) -> None:
    suite = tmp_path / "small.toml"
    suite.write_text('corpora = ["mosi-twin@compact-x5"]\n[[systems]]\nname = "zero"\n')
    done = msa_without({"ray"}, tmp_path / "home", "run", str(suite), "--executor", "ray")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: this needs Ray, which is not installed",
        'next: pip install "msa-harness[ray]"',
    ]


def test_boards_are_written_without_an_extra_and_figures_name_theirs(tmp_path: Path) -> None:
    rows = [
        Row(label="A", cells={seed: Off(0.3) for seed in SEEDS}),
        Row(label="zero", cells={SEEDS[0]: Constant(0.0)}, reference=True),
    ]
    make_store(tmp_path / "store", rows)
    without = OPTIONAL - {"pip", "uv"}
    done = msa_without(without, tmp_path, "board", "small")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "boards" / "small.html").is_file()
    done = msa_without(without, tmp_path, "board", "small", "--figures")
    assert done.returncode == 2
    assert 'next: pip install "msa-harness[figures]"' in done.stderr


# Which extra


def test_every_package_of_an_extra_is_known_to_the_one_table() -> None:
    brought = {module: extra for extra, modules in BROUGHT_BY.items() for module in modules}
    declared = {extra: wanted for extra, wanted in EXTRAS.items() if extra != "all"}
    assert BROUGHT_BY.keys() == declared.keys()
    assert set(brought) - THROUGH_OTHERS == OPTIONAL
    for module in set(brought) - THROUGH_OTHERS:
        assert module in EXTRAS[brought[module]]


def test_all_brings_every_extra_that_installs_anywhere() -> None:
    (named,) = PROJECT["optional-dependencies"]["all"]
    inside = set(re.findall(r"[a-z]+", named.partition("[")[2]))
    assert inside == set(EXTRAS) - {"all", "mamba", "extract", "tensorboard"}


@pytest.mark.parametrize(
    ("module", "called", "extra"),
    [
        ("torch", "PyTorch", "train"),
        ("torch.nn.functional", "PyTorch", "train"),
        ("sklearn.linear_model", "scikit-learn", "train"),
        ("transformers", "Transformers", "train"),
        ("mlflow.exceptions", "MLflow", "mlflow"),
        ("sqlalchemy", "SQLAlchemy", "mlflow"),
        ("matplotlib.figure", "Matplotlib", "figures"),
        ("av", "PyAV", "media"),
        ("ray.util", "Ray", "ray"),
        ("librosa", "librosa", "extract"),
        ("faster_whisper", "faster-whisper", "extract"),
    ],
)
def test_an_import_that_fails_names_its_extra(
    module: str, called: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if f"{name}.".startswith(f"{module}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=f"^this needs {called}, which is not inst") as caught:
        load(module)
    assert caught.value.hint == f'pip install "msa-harness[{extra}]"'
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("module", ["no_such_module", "harness.no_such_module", "numpy.nothing"])
def test_other_imports_fail_as_they_are(module: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=module.rpartition(".")[2]):
        load(module)


@pytest.mark.parametrize("error", [ImportError("half a package"), SpecError("x"), KeyError("y")])
def test_other_errors_pass(error: Exception) -> None:
    with pytest.raises(type(error)), explained():
        raise error


def test_the_package_of_a_plug_in_is_named_as_it_is() -> None:
    error = missing("openface_reader")
    assert isinstance(error, HarnessError)
    assert error.hint == "pip install openface_reader"


def test_extras_are_named_where_they_are_missing_and_nowhere_else() -> None:
    """Beside the one table, only where something else may be done or wrong as well."""
    texts = {
        str(path.relative_to(ROOT))
        for name in PACKAGES
        for path in (ROOT / name).rglob("*.py")
        if "tests" not in path.parts and "msa-harness[" in path.read_text("utf-8")
    }
    assert texts == {
        "harness/_util/extras.py",
        "harness/text/encoder.py",  # or no connection
        "mllm_eval/model/gguf_package.py",  # or no connection
        "mllm_eval/media/sampling.py",  # its documentation
        "harness/system/scan.py",  # or another scan
        "harness/extraction/audit.py",  # or one thing less is looked for
    }
