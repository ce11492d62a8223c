"""The documentation says what the code does: generated pages, commands, links, files."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer

from harness.cli import app, reference
from harness.specs import Suite

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "pages"
WRITTEN = sorted(PAGES.glob("*.md"))
GENERATED = reference.pages()


@pytest.mark.parametrize("name", GENERATED)
def test_generated_pages_are_up_to_date(name: str) -> None:
    written = (reference.FOLDER / name).read_text("utf-8")
    assert written == GENERATED[name], "python -m harness.cli.reference"


def test_no_generated_page_is_left_over() -> None:
    assert {path.name for path in reference.FOLDER.iterdir()} == GENERATED.keys()


def test_every_page_is_in_the_navigation() -> None:
    navigation = (PAGES.parent / "mkdocs.yml").read_text("utf-8")
    named = set(re.findall(r"([a-z_/]+\.md)", navigation))
    guide = {f"boards/{path.name}" for path in (ROOT / "leaderboards" / "docs").glob("*.md")}
    assert named == {str(path.relative_to(PAGES)) for path in PAGES.rglob("*.md")} | guide


def calls(page: Path) -> list[list[str]]:
    """The words of every ``msa`` command in the page's code blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), flags=re.DOTALL)
    lines = [line.partition("#")[0] for block in blocks for line in block.splitlines()]
    return [line.split() for line in lines if line.startswith("msa ")]


def command_of(words: list[str]):
    command = typer.main.get_command(app)
    for word in words[1:]:
        inner = getattr(command, "commands", {})
        if word not in inner:
            break
        command = inner[word]
    return command


@pytest.mark.parametrize("page", [*WRITTEN, ROOT / "README.md"], ids=lambda page: page.name)
def test_every_command_shown_exists_with_its_options(page: Path) -> None:
    for words in calls(page):
        command = command_of(words)
        assert not getattr(command, "commands", {}), f"no such command: {' '.join(words)}"
        known = {name for item in command.params for name in item.opts}
        used = {word for word in words if re.fullmatch(r"--[a-z][a-z-]*|-[a-z]", word)}
        assert used <= known | {"--help"}, " ".join(words)


def test_commands_are_found_in_the_pages() -> None:
    assert sum(len(calls(page)) for page in WRITTEN) > 20


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_files_that_a_page_names_are_in_the_project(page: Path) -> None:
    named = re.findall(r"`((?:baselines|harness|mllm_eval)/[\w/.]+)`", page.read_text("utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_suite_shown_is_valid() -> None:
    text = (PAGES / "quick_start.md").read_text("utf-8")
    (block,) = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    suite = Suite.parse(tomllib.loads(block), name="my_suite", where="quick_start.md")
    assert [entry.label for entry in suite.entries] == ["tfn", "TFN, wider"]


def test_the_cluster_script_shown_is_the_file_and_is_shell(tmp_path: Path) -> None:
    script = PAGES / "msa_ray.slurm"
    assert script.read_text("utf-8") in (PAGES / "scale_out.md").read_text("utf-8")
    subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    command += ["--config-file", str(PAGES.parent / "mkdocs.yml"), "--site-dir", str(tmp_path)]
    subprocess.run(command, check=True)
    assert (tmp_path / "boards" / "how_to_read_a_board" / "index.html").is_file()
    assert (tmp_path / "reference" / "commands" / "index.html").is_file()
