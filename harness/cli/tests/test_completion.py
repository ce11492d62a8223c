"""Shells complete values: asked as bash asks, from names that the registries confirm."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable

import pytest

from harness.cli._completion import run_keys, systems_named
from harness.data.datasets import datasets
from harness.home import Home
from harness.metrics import metrics
from leaderboards.literature import tables

Complete = Callable[[str], list[str]]


@pytest.fixture
def complete(home: Home, monkeypatch: pytest.MonkeyPatch, capsys) -> Complete:
    """What bash offers after a line."""
    from harness.cli import main

    def ask(line: str) -> list[str]:
        words = line.split(" ")
        monkeypatch.setattr(sys, "argv", ["msa"])
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        monkeypatch.setenv("_MSA_COMPLETE", "complete_bash")
        with pytest.raises(SystemExit):
            main()
        return capsys.readouterr().out.split()

    return ask


def test_names_read_off_source_files_are_those_of_the_registries(complete: Complete) -> None:
    from harness.system import systems

    computed = {name for name, system in systems.items() if system.reference}
    assert set(systems_named()) | computed == set(systems)
    assert set(complete("msa score f.csv --dataset ")) == set(datasets)
    assert set(complete("msa check metric ")) == set(metrics)
    assert set(complete("msa reproduce ")) == set(tables())


def test_names_of_the_home_are_offered(complete: Complete, home: Home) -> None:
    (home.suites / "mine.toml").write_text(
        'systems = [{ name = "tfn", label = "wide" }, { name = "lmf" }]\n'
    )
    (home.corpora / "mosi@small").mkdir(parents=True)
    (home.store / "plans").mkdir(parents=True)
    (home.store / "plans" / "ran.json").write_text("{}")
    for key in ("ab12" + 28 * "0", "ab34" + 28 * "0", "cd56" + 28 * "0"):
        (home.store / "runs" / key[:2] / key).mkdir(parents=True)
    assert "mine" in complete("msa run ")
    assert complete("msa board ") == ["ran"]
    assert complete("msa data info mosi") == ["mosi@small"]
    assert complete("msa replay ab3") == ["ab3400000000"]
    assert run_keys(home) == ["ab1200000000", "ab3400000000", "cd5600000000"]
    assert complete("msa run mine --only wi") == ["wide"]
    assert complete("msa run --corpus mosi-twin@compact-") == ["mosi-twin@compact-x25"]


def test_words_a_command_takes_are_offered(complete: Complete) -> None:
    assert complete("msa list sy") == ["systems"]
    assert complete("msa new me") == ["metric"]
    assert complete("msa run --system tfn --set text_o") == ["text_out="]
    assert complete("msa run --executor r") == ["ray"]


def test_a_file_that_cannot_be_read_has_no_names(complete: Complete, home: Home) -> None:
    (home.suites / "mine.toml").write_bytes(b"\xff = [")
    assert complete("msa run mine --only w") == []


def test_nothing_heavy_is_loaded_for_it(home: Home) -> None:
    program = """
        import os, sys
        from harness.cli import app
        from harness.cli._completion import completing
        for line in sys.argv[1:]:
            os.environ |= {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
            try:
                completing(app)(prog_name="msa")
            except SystemExit:
                pass
        heavy = {"torch", "numpy", "pandas", "baselines", "leaderboards", "mllm_eval"}
        print(sorted(heavy & set(sys.modules)), file=sys.stderr)
    """
    lines = ("msa run --system t", "msa check metric a", "msa replay a", "msa reproduce t")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *lines],
        env=os.environ | {"_MSA_COMPLETE": "complete_bash"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ast.literal_eval(done.stderr.strip()) == []
    assert {"tfn", "acc7", "text_ablation"} <= set(done.stdout.split())
