"""What the README shows works as shown."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest

from harness.checks import conformance
from harness.data.store import CorpusStore
from harness.data.twins.generate import generate
from harness.home import Home
from harness.spec import Suite

README = Path(__file__).parents[2] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text("utf-8"), flags=re.DOTALL)


def test_the_system_it_shows_conforms(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    (source,) = blocks("python")
    module = types.ModuleType("mean_mlp")
    monkeypatch.setitem(sys.modules, "mean_mlp", module)  # dataclasses look their module up
    exec(compile(source, "README.md", "exec"), vars(module))  # our own text
    corpus = CorpusStore(home.corpora).add(generate("mosi-twin@compact-x5"))
    findings = conformance.check(module.MEAN_MLP, corpus, cache=home.cache)
    assert [finding for finding in findings if not finding.passed] == []
    assert len(findings) == len(conformance.CHECKS)


def test_the_suite_it_shows_is_valid(tmp_path: Path) -> None:
    (text,) = blocks("toml")
    path = tmp_path / "shown.toml"
    path.write_text(text)
    suite = Suite.load(path)
    assert [entry.label for entry in suite.entries] == ["tfn", "TFN, wider"]
    from harness.system import systems

    for entry in suite.entries:
        systems[entry.system].resolve("mosi", entry.params)


def test_every_suite_it_names_is_in_the_project() -> None:
    named = set(re.findall(r"msa (?:run|board) ([a-z_]+)", README.read_text("utf-8")))
    here = {path.stem for path in (README.parent / "runs" / "suites").glob("*.toml")}
    assert named
    assert named <= here
