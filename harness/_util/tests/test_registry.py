"""Registries: adding a file adds a noun, one name imports one file, plug-ins come last."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness._util.registry import Registry, TomlRegistry, suggest
from harness.errors import SpecError


@dataclass(frozen=True)
class Fruit:
    """The noun of these tests."""

    name: str
    colour: str = ""


HEADER = "from harness._util.tests.test_registry import Fruit\n"
Basket = Callable[..., Registry[Fruit]]


@pytest.fixture
def basket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Basket]:
    """Write a package of fruit (stem -> source) and make a registry over it."""

    def make(files: Mapping[str, str], *, group: str | None = None) -> Registry[Fruit]:
        package = tmp_path / "basket"
        package.mkdir()
        for stem, source in {"__init__": "", **files}.items():
            (package / f"{stem}.py").write_text(HEADER + textwrap.dedent(source))
        monkeypatch.syspath_prepend(str(tmp_path))
        return Registry("fruit", Fruit, packages=("basket",), group=group)

    yield make
    for name in list(sys.modules):
        if name.partition(".")[0] in ("basket", "orchard"):
            del sys.modules[name]


def read_fruit(file) -> Fruit:
    colour = tomllib.loads(file.read_text("utf-8"))["colour"]
    return Fruit(file.name.removesuffix(".toml"), colour)


def plug_in(folder: Path, value: str, source: str, group: str = "basket.fruits") -> None:
    """Install a distribution with one module and one entry point."""
    info = folder / "orchard-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: orchard\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\nacorn = {value}\n")
    (folder / "orchard.py").write_text(HEADER + textwrap.dedent(source))


def test_every_top_level_object_of_every_public_file_is_found_in_file_order(basket: Basket) -> None:
    fruits = basket(
        {
            "pear": 'B = Fruit("pear@green")\nA = Fruit("pear")',
            "apple": 'APPLE = Fruit("apple")\nNOT_A_FRUIT = "plum"',
            "_hidden": 'FIG = Fruit("fig")',
        }
    )
    assert list(fruits) == ["apple", "pear@green", "pear"]
    assert len(fruits) == 3
    assert fruits["pear@green"] == Fruit("pear@green")
    assert {name: fruits.module_of(name) for name in fruits} == {
        "apple": "basket.apple",
        "pear": "basket.pear",
        "pear@green": "basket.pear",
    }


def test_it_is_a_read_only_mapping(basket: Basket) -> None:
    fruits = basket({"apple": 'APPLE = Fruit("apple")'})
    assert isinstance(fruits, Mapping)
    assert "apple" in fruits
    assert "plum" not in fruits
    assert 5 not in fruits
    with pytest.raises(TypeError):
        fruits["plum"] = Fruit("plum")  # type: ignore[index]
    with pytest.raises(TypeError):
        del fruits["apple"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "look_up", ["fruits['pear']", "'pear' in fruits", "fruits.module_of('pear')"]
)
def test_one_name_imports_its_own_file_only(tmp_path: Path, basket: Basket, look_up: str) -> None:
    basket(
        {
            "apple": "raise RuntimeError('a broken neighbour')",
            "pear": 'PEAR = Fruit("pear")',
            "quince": "raise RuntimeError('another')",
        }
    )
    program = f"""
        import sys
        from harness._util.registry import Registry
        from harness._util.tests.test_registry import Fruit
        fruits = Registry("fruit", Fruit, packages=("basket",))
        assert {look_up}
        print(sorted(name for name in sys.modules if name.startswith("basket.")))
    """
    paths = f"{tmp_path}:{Path(__file__).parents[3]}"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "['basket.pear']\n"


def test_a_name_that_is_not_its_file_s_name_is_found_all_the_same(basket: Basket) -> None:
    fruits = basket({"tree": 'APPLE = Fruit("crab-apple")\nPEAR = Fruit("pear")'})
    assert fruits["crab-apple"].name == "crab-apple"
    assert fruits.module_of("pear") == "basket.tree"


def test_an_order_of_its_own_keeps_file_order_among_equals(basket: Basket) -> None:
    basket({name: f'X = Fruit("{name}", "{name[-1]}")' for name in ("fig", "kiwi", "pear", "peg")})
    colours = Registry(
        "fruit", Fruit, packages=("basket",), order=lambda fruit: ord(fruit.colour), hint="look"
    )
    assert list(colours) == ["fig", "peg", "kiwi", "pear"]
    with pytest.raises(SpecError) as caught:
        colours["plum"]
    assert caught.value.hint == "look"


@pytest.mark.parametrize("look_up_first", [False, True])
def test_a_folder_is_found_like_a_file(
    tmp_path: Path, basket: Basket, *, look_up_first: bool
) -> None:
    """Listed in its place whether or not it was looked up by name before."""
    fruits = basket({"apple": 'APPLE = Fruit("apple")', "quince": 'QUINCE = Fruit("quince")'})
    folder(tmp_path / "basket" / "pear", 'PEAR = Fruit("pear")\nNASHI = Fruit("nashi")')
    if look_up_first:
        assert fruits["pear"].name == "pear"
    assert list(fruits) == ["apple", "pear", "nashi", "quince"]
    assert fruits.module_of("nashi") == "basket.pear"


@pytest.mark.parametrize("name", ["tests", "_shared", "__pycache__"])
def test_folders_of_tests_and_private_ones_hold_no_things(
    tmp_path: Path, basket: Basket, name: str
) -> None:
    fruits = basket({"apple": 'APPLE = Fruit("apple")'})
    folder(tmp_path / "basket" / name, "raise RuntimeError('not to be imported')")
    assert list(fruits) == ["apple"]


def folder(place: Path, source: str) -> None:
    """Write a package whose ``__init__`` takes what the source defines from a module inside."""
    place.mkdir()
    (place / "seeds.py").write_text(HEADER + source)
    (place / "__init__.py").write_text(f"from basket.{place.name}.seeds import *\n")


def test_an_object_imported_by_another_file_is_one_object_of_its_own_file(basket: Basket) -> None:
    fruits = basket(
        {
            "apple": "from basket.pear import PEAR\nAPPLE = Fruit('apple', PEAR.colour)",
            "pear": 'PEAR = Fruit("pear", "green")',
        }
    )
    assert sorted(fruits) == ["apple", "pear"]
    assert fruits.module_of("pear") == "basket.pear"


@pytest.mark.parametrize("colour", ["red", "green"])
def test_two_objects_of_one_name_are_refused_even_when_equal(basket: Basket, colour: str) -> None:
    fruits = basket(
        {"apple": 'A = Fruit("pear", "green")', "pear": f'B = Fruit("pear", "{colour}")'}
    )
    with pytest.raises(SpecError, match=r"'pear'.*basket\.apple and basket\.pear"):
        list(fruits)


def test_an_unknown_name_gets_the_nearest_and_the_next_command(basket: Basket) -> None:
    fruits = basket({"apple": 'APPLE = Fruit("apple")', "pear": 'PEAR = Fruit("pear")'})
    with pytest.raises(SpecError, match=r"unknown fruit 'aple'; did you mean apple\?") as caught:
        fruits["aple"]
    assert caught.value.hint == "msa list fruits"
    with pytest.raises(SpecError, match=r"unknown fruit 'xyz'$"):
        fruits["xyz"]
    with pytest.raises(SpecError, match="unknown fruit"):
        fruits.module_of("xyz")


@pytest.mark.parametrize("name", ["", ".", "..", "a.b", "../x", "__init__", "_hidden", "a b", "@"])
def test_odd_names_are_unknown_and_import_nothing(basket: Basket, name: str) -> None:
    fruits = basket({"apple": 'APPLE = Fruit("apple")', "_hidden": "raise RuntimeError"})
    assert name not in fruits
    with pytest.raises(SpecError, match="unknown fruit"):
        fruits[name]


def test_a_plug_in_comes_last_and_says_where_it_is_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, basket: Basket
) -> None:
    plug_in(tmp_path / "site", "orchard:ACORN", 'ACORN = Fruit("acorn")')
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    fruits = basket({"pear": 'PEAR = Fruit("pear")'}, group="basket.fruits")
    assert list(fruits) == ["pear", "acorn"]
    assert fruits["acorn"] == Fruit("acorn")
    assert fruits.module_of("acorn") == "orchard"


def test_a_plug_in_of_another_group_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, basket: Basket
) -> None:
    plug_in(tmp_path / "site", "orchard:ACORN", 'ACORN = Fruit("acorn")', group="other.fruits")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert list(basket({"pear": 'PEAR = Fruit("pear")'}, group="basket.fruits")) == ["pear"]


@pytest.mark.parametrize(
    ("value", "source", "message"),
    [
        ("orchard:ACORN", "ACORN = 'acorn'", "ACORN: it is no Fruit but a str"),
        ("orchard:OTHER", "", "AttributeError: .*OTHER"),
        ("orchard:ACORN", "import no_such_module", "ModuleNotFoundError: .*no_such_module"),
        ("orchard:ACORN", "1 / 0", "orchard:ACORN: ZeroDivisionError: division by zero"),
        ("orchard:ACORN", "raise SystemExit(3)", "orchard:ACORN: SystemExit: 3"),
        (
            "orchard:PEAR",
            "PEAR = Fruit('pear', 'stolen')",
            r"'pear' is there already.*basket\.pear",
        ),
    ],
    ids=["wrong type", "missing object", "broken import", "raises", "exits", "taken name"],
)
def test_a_bad_plug_in_breaks_itself_only(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    basket: Basket,
    value: str,
    source: str,
    message: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    plug_in(tmp_path / "site", value, source)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    fruits = basket({"pear": 'PEAR = Fruit("pear")'}, group="basket.fruits")
    assert fruits["pear"].colour == ""
    assert not caplog.messages  # a name with its own file does not ask the plug-ins
    assert list(fruits) == ["pear"] and fruits["pear"].colour == ""
    (said,) = caplog.messages
    assert re.search(f"^warning: fruit plug-in .*{message}.*; it is left out$", said)
    with pytest.raises(SpecError, match=f"fruit 'acorn' cannot be loaded: .*{message}") as caught:
        fruits["acorn"]
    assert "upgrade or uninstall the package" in (caught.value.hint or "")


def test_a_plug_in_that_lacks_an_optional_package_names_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, basket: Basket
) -> None:
    plug_in(tmp_path / "site", "orchard:ACORN", "import librosa")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setitem(sys.modules, "librosa", None)
    fruits = basket({"pear": 'PEAR = Fruit("pear")'}, group="basket.fruits")
    assert list(fruits) == ["pear"]
    with pytest.raises(SpecError, match="this needs librosa") as caught:
        fruits["acorn"]
    assert caught.value.hint == 'pip install "msa-harness[extract]"'


# Folders of TOML files


@pytest.fixture
def crate(tmp_path: Path) -> TomlRegistry[Fruit]:
    for name in ("plum", "pear", "apple"):
        (tmp_path / f"{name}.toml").write_text("colour = 'red'")
    (tmp_path / "README.md").write_text("no fruit")
    return TomlRegistry(tmp_path, noun="fruit", load=read_fruit, hint="msa list fruits")


def test_a_file_is_a_thing_in_alphabetical_order(crate: TomlRegistry[Fruit]) -> None:
    assert list(crate) == ["apple", "pear", "plum"]
    assert len(crate) == 3
    assert crate["pear"] == Fruit("pear", "red")
    assert "plum" in crate
    assert "README" not in crate


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("plumb", r"; did you mean plum\?"),
        ("xyz", ""),
        ("../pear", r"; did you mean pear\?"),
        ("", ""),
    ],
)
def test_a_file_that_is_not_there(crate: TomlRegistry[Fruit], name: str, end: str) -> None:
    with pytest.raises(SpecError, match=f"^unknown fruit {name!r}{end}$") as caught:
        crate[name]
    assert caught.value.hint == "msa list fruits"


def test_the_folder_is_read_once_and_only_when_asked(tmp_path: Path) -> None:
    read = []
    (tmp_path / "pear.toml").write_text("")
    crate = TomlRegistry(
        tmp_path, noun="fruit", load=lambda file: read.append(file.name), hint="msa list fruits"
    )
    assert read == []
    assert list(crate) == list(crate) == ["pear"]
    assert read == ["pear.toml"]


# Suggestions


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("tfm", ["tfn", "mfm", "lmf"], "; did you mean tfn or mfm?"),
        ("mea", ["mae", "corr"], "; did you mean mae?"),
        ("xyz", ["mae", "corr"], ""),
        ("mae", [], ""),
        ("", ["mae"], ""),
        ("mosi", iter(["mosei"]), "; did you mean mosei?"),
        ("a" * 10_000, ["aa"], ""),
    ],
)
def test_the_nearest_names_are_suggested(name: str, known, said: str) -> None:
    assert suggest(name, known) == said


@given(st.text(), st.lists(st.text(min_size=1)))
def test_what_is_suggested_is_known(name: str, known: list[str]) -> None:
    said = suggest(name, known, key=True)
    assert not said or any(said == f"; did you mean {guess!r}?" for guess in known)
    if name in known and name:
        assert said == f"; did you mean {name!r}?"
