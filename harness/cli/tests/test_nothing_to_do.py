"""``msa run`` of a suite that is finished: what makes it look again, and what it does not load."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import harness
import leaderboards
from harness._util import untouched
from harness.home import Home
from harness.runs import finished
from harness.runs.finished import Finished
from harness.runs.store import RunStore
from harness.spec import Suite
from harness.text import Encoder

pytestmark = pytest.mark.xdist_group("nothing_to_do")  # one finished home for all

SUITE = """
corpora = ["mosi-twin@compact-x5"]
seeds = 1
[[systems]]
name = "tfidf_ridge"
"""
SAID = "0 cells run, 5 already stored, 0 failed"

Seen = tuple[bool, bool]
"""Whether a command planned, and whether it rendered."""


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with the runs of the suite, and no board."""
    home = Home(tmp_path_factory.mktemp("stored"))
    home.suites.mkdir(parents=True)
    (home.suites / "small.toml").write_text(SUITE)
    harness.run("small", home)
    return home


@pytest.fixture
def run(msa, stored: Home, home: Home, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Seen]:
    """``msa run small`` with options, in a home where files count as old at once."""
    from harness.runs import plan

    shutil.copytree(stored.root, home.root, dirs_exist_ok=True)
    monkeypatch.setattr(untouched, "_SETTLED", 0)
    seen: list[str] = []
    for module, name in ((plan, "make_plan"), (leaderboards, "write")):
        original = getattr(module, name)

        def noted(*args: object, _name: str = name, _original=original, **kwargs: object):
            seen.append(_name)
            return _original(*args, **kwargs)

        monkeypatch.setattr(module, name, noted)

    def call(*options: str, says: str = SAID) -> Seen:
        seen.clear()
        code, out, err = msa("run", "small", *options)
        assert code == 0, err
        assert says in out
        assert out.endswith(f"board: {home.boards / 'small.md'}\n")
        return "make_plan" in seen, "write" in seen

    return call


@pytest.fixture
def done(run) -> Callable[..., Seen]:
    """The same once the suite is finished."""
    assert run() == (True, True)
    assert run() == (False, False)
    return run


def test_a_finished_suite_is_neither_planned_nor_shown_again(done) -> None:
    assert done() == (False, False)


def _submit(home: Home) -> None:
    place = home.store / "submissions" / "mosi" / "mine"
    place.mkdir(parents=True)
    (place / "manifest.json").write_text("{}")


def _touch_labels(home: Home) -> None:
    (table,) = home.store.glob("truth/*.parquet")
    os.utime(table)


SHOWN_AGAIN: dict[str, Callable[[Home], object]] = {
    "a submission": _submit,
    "labels": _touch_labels,
    "the board": lambda home: (home.boards / "small.md").write_text("mine"),
    "the page": lambda home: (home.boards / "small.html").unlink(),
}
PLANNED_AGAIN: dict[str, Callable[[Home], object]] = {
    "a corpus": lambda home: (home.corpora / "mosi-twin@compact-x5" / "manifest.json").touch(),
    "another corpus": lambda home: (
        (home.corpora / "other@compact").mkdir() or (home.corpora / "other@compact" / "a").touch()
    ),
    "a corpus renamed": lambda home: (home.corpora / "mosi-twin@compact-x5").rename(
        home.corpora / "mosi-twin@compact-x6"
    ),
    "what a kill left of one": lambda home: (home.corpora / ".new-mosi@compact-1").mkdir(),
    "the note": lambda home: (home.cache / "finished" / "small.json").write_bytes(b"{}"),
}


@pytest.mark.parametrize("change", SHOWN_AGAIN.values(), ids=SHOWN_AGAIN)
def test_a_board_is_shown_again_when_what_it_is_made_of_changed(
    done, home: Home, change: Callable[[Home], object]
) -> None:
    before = (home.boards / "small.md").read_bytes()
    change(home)
    assert done() == (True, True)
    assert (home.boards / "small.md").read_bytes() == before
    done()
    assert done() == (False, False)


@pytest.mark.parametrize("change", PLANNED_AGAIN.values(), ids=PLANNED_AGAIN)
def test_a_suite_is_planned_again_when_what_its_plan_is_made_of_changed(
    done, home: Home, change: Callable[[Home], object]
) -> None:
    change(home)
    planned, _ = done()
    assert planned
    done()
    assert done() == (False, False)


@pytest.fixture
def noted(done, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Finished:
    """The finished suite, as if it had an encoder that it names by its folder."""
    folder = tmp_path / "encoder"
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / name).touch()
    row = 'params = { encoder = "encoder" }\n'
    monkeypatch.chdir(tmp_path)
    return Finished(
        suite=Suite.parse(tomllib.loads(SUITE + row), name="small", where="small.toml"),
        home=home,
        options={},
        board=leaderboards.files_of(home.boards / "small.md"),
    )


def test_an_encoder_in_a_folder_is_looked_at(noted: Finished, tmp_path: Path) -> None:
    noted.keep(5, [("encoder", "encoder")])
    assert noted.cells() == 5
    (tmp_path / "encoder" / "model.safetensors").write_bytes(b"others")
    assert noted.cells() is None
    assert noted.board_stands()


@pytest.mark.parametrize("inputs", [[("encoder", "some/model")], [("server", "http://x")], None])
def test_what_could_come_from_elsewhere_is_planned_each_time(
    noted: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inputs
) -> None:
    hub = Encoder("some/model", tmp_path / "hub")
    monkeypatch.setattr("harness.text.find_encoder", lambda name, cache: hub)
    noted.keep(5, inputs)
    assert noted.cells() is None
    assert noted.board_stands()


def test_a_lock_that_was_taken_is_no_change(done, home: Home) -> None:
    (home.corpora / ".lock").touch()
    assert done() == (False, False)


def test_another_suite_other_options_or_another_place_are_planned(
    done, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert done("--only", "tfidf_ridge", says="0 cells run, 1 already stored")[0]
    done()
    assert done() == (False, False)
    monkeypatch.chdir(tmp_path)
    assert done()[0]
    (home.suites / "small.toml").write_text(SUITE + 'label = "other"\n')
    assert done()[0]


def test_a_run_that_is_gone_or_damaged_is_run_again(done, home: Home) -> None:
    run = next(iter(RunStore(home.store)))
    path = run.folder / "predictions.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    assert done(says="1 cells run, 4 already stored")[0]
    done()
    assert done() == (False, False)


def test_code_that_changed_plans_and_shows_again(done, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finished, "_FIRST_PARTY", ("harness",))
    assert done() == (True, True)


def test_with_plug_ins_everything_is_looked_at(done, noisy_systems: None) -> None:
    assert done() == (True, True)
    assert done() == (True, True)


def test_nothing_heavy_is_loaded_to_do_nothing(done, home: Home) -> None:
    code = (
        "import sys; from harness._util import untouched; untouched._SETTLED = 0\n"
        "from harness.cli import main\n"
        "sys.argv = ['msa', 'run', 'small']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'pandas', 'numpy', 'scipy', 'pyarrow'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert SAID in found.stdout
    assert found.stdout.endswith("[]\n")
