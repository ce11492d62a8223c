"""Own files: found without a package, each broken one by itself, names that are taken refused."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness._util.registry import Registry
from harness._util.tests.test_registry import HEADER, Fruit
from harness.errors import SpecError
from harness.home import Home

Orchard = Callable[..., Registry[Fruit]]


@pytest.fixture
def orchard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Orchard]:
    """Write own files of fruit (place -> source) and make a registry that has one of its own."""
    (tmp_path / "stall").mkdir()
    (tmp_path / "stall" / "__init__.py").write_text("")
    (tmp_path / "stall" / "apple.py").write_text(f'{HEADER}APPLE = Fruit("apple", "red")\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("MSA_HOME", str(tmp_path / "work" / "runs"))
    monkeypatch.delenv("MSA_PLUGINS", raising=False)

    def make(files: dict[str, str]) -> Registry[Fruit]:
        for place, source in files.items():
            file = tmp_path / "work" / "fruits" / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(source))
        return Registry("fruit", Fruit, packages=("stall",), group="basket.fruits")

    yield make
    for name in list(sys.modules):
        if name.partition(".")[0] == "stall" or name.startswith("harness.own."):
            del sys.modules[name]


def test_files_beside_the_home_are_looked_up_last(orchard: Orchard) -> None:
    fruits = orchard({"fig.py": f'{HEADER}FIG = Fruit("fig")', "_x.py": f'{HEADER}X = Fruit("x")'})
    assert list(fruits) == ["apple", "fig"]
    assert fruits["fig"] == Fruit("fig")
    assert fruits.module_of("fig") == "harness.own.fruits.fig"


def test_a_folder_that_is_named_is_read_instead(
    orchard: Orchard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fruits = orchard({"fig.py": f'{HEADER}FIG = Fruit("fig")'})
    (tmp_path / "other" / "fruits").mkdir(parents=True)
    (tmp_path / "other" / "fruits" / "kiwi.py").write_text(f'{HEADER}KIWI = Fruit("kiwi")')
    monkeypatch.setenv("MSA_PLUGINS", str(tmp_path / "other"))
    assert list(fruits) == ["apple", "kiwi"]


def test_files_and_folders_import_each_other(orchard: Orchard) -> None:
    fruits = orchard(
        {
            "_colours.py": 'GREEN = "green"',
            "fig.py": f'{HEADER}from ._colours import GREEN\nFIG = Fruit("fig", GREEN)',
            "plum/__init__.py": f'{HEADER}from .hue import BLUE\nPLUM = Fruit("plum", BLUE)',
            "plum/hue.py": "from harness.own.fruits._colours import GREEN\nBLUE = f'not {GREEN}'",
        }
    )
    assert (fruits["fig"].colour, fruits["plum"].colour) == ("green", "not green")


@pytest.mark.parametrize(
    ("source", "line", "reason"),
    [
        ('\n\nFIG = Fruit("fig", 1 / 0)', 4, "ZeroDivisionError: division by zero"),
        ("\ndef f(:", 3, "SyntaxError: invalid syntax"),
        ("raise SystemExit(3)", 2, "SystemExit: 3"),
        ("import no_such_thing", 2, "ModuleNotFoundError: No module named 'no_such_thing'"),
        (
            "from harness.errors import SpecError\nraise SpecError('a fig has seeds')",
            3,
            "a fig has seeds",
        ),
    ],
)
def test_a_broken_file_breaks_only_itself(
    orchard: Orchard, caplog: pytest.LogCaptureFixture, source: str, line: int, reason: str
) -> None:
    fruits = orchard({"fig.py": HEADER + source, "kiwi.py": f'{HEADER}KIWI = Fruit("kiwi")'})
    assert list(fruits) == ["apple", "kiwi"]
    assert caplog.messages == [f"warning: fruits/fig.py:{line}: {reason}; it is left out"]
    with pytest.raises(SpecError, match=rf"fruit 'fig' cannot be loaded: fruits/fig\.py:{line}: "):
        fruits["fig"]


def test_a_broken_file_is_known_by_the_names_in_its_text(orchard: Orchard) -> None:
    fruits = orchard({"mine.py": f'{HEADER}X = Fruit(\n    name="aple",\n    size=3)'})
    broken = fruits.broken("aple")
    assert broken is not None
    assert broken.place == "fruits/mine.py:2"
    assert fruits.broken("apple") is None


@pytest.mark.parametrize("taken", ["apple", "fig"])
def test_a_name_that_is_taken_is_refused(
    orchard: Orchard, caplog: pytest.LogCaptureFixture, taken: str
) -> None:
    own = {"fig.py": f'{HEADER}FIG = Fruit("fig", "first")'}
    fruits = orchard(own | {"zz.py": f'{HEADER}\nZZ = Fruit(name="{taken}", colour="second")'})
    assert list(fruits) == ["apple", "fig"]
    assert fruits[taken].colour != "second"
    (said,) = caplog.messages
    assert said.startswith(f"warning: fruits/zz.py:3: fruit '{taken}' is there already, in ")


def test_one_of_ours_may_be_taken_up_and_varied(orchard: Orchard) -> None:
    source = 'from stall.apple import APPLE\nGREEN = Fruit(f"{APPLE.name}@green", "green")'
    fruits = orchard({"green.py": HEADER + source})
    assert list(fruits) == ["apple", "apple@green"]
    assert fruits.module_of("apple") == "stall.apple"


def test_scripts_of_others_are_not_executed(orchard: Orchard) -> None:
    assert list(orchard({"loader.py": "raise SystemExit('downloads the internet')"})) == ["apple"]


def test_where_anyone_may_write_nothing_is_executed_unasked(
    orchard: Orchard, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"fig.py": f'{HEADER}FIG = Fruit("fig")'}
    fruits, place = orchard(files), Home.default().plugins
    place.chmod(0o777)
    assert list(fruits) == ["apple"]
    assert "anyone may write in" in caplog.text
    monkeypatch.setenv("MSA_PLUGINS", str(place))
    assert list(orchard(files)) == ["apple", "fig"]
