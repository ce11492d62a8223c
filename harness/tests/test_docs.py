"""The documentation says what the code does: commands, links, files."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from harness.cli import app
from harness.spec import Suite

ROOT = Path(__file__).parents[2]
PACKAGES = ("harness", "baselines", "text_model", "mllm_eval", "leaderboards")
PAGES = ROOT / "docs" / "pages"
WRITTEN = sorted(PAGES.glob("*.md"))
PROSE = [*WRITTEN, *sorted(ROOT.glob("*.md")), *sorted((ROOT / "leaderboards/docs").glob("*.md"))]
SETTINGS = [
    *sorted((ROOT / "runs" / "suites").glob("*.toml")),
    *sorted((ROOT / "mllm_eval").glob("*/*.toml")),
]
CODE = [path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))]
MSA = typer.main.get_command(app)


def test_every_page_is_in_the_navigation() -> None:
    navigation = (PAGES.parent / "mkdocs.yml").read_text("utf-8")
    named = set(re.findall(r"([a-z_./]+\.md)", navigation))
    guide = {f"boards/{path.name}" for path in (ROOT / "leaderboards" / "docs").glob("*.md")}
    by_hand = {name for name in named if not name.startswith("reference/")}
    assert by_hand == {str(path.relative_to(PAGES)) for path in WRITTEN} | guide


# Commands


def whole_calls(page: Path) -> list[list[str]]:
    """The words of every ``msa`` command in the code blocks of a page."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), flags=re.DOTALL)
    lines = (line for block in blocks for line in block.splitlines())
    return [shlex.split(line, comments=True) for line in lines if line.startswith("msa ")]


def commented_calls(file: Path) -> list[list[str]]:
    """Commands in comments: a line each, what they do behind two spaces or more."""
    found = re.findall(r"^# +(msa .*?)(?:  .*)?$", file.read_text("utf-8"), flags=re.MULTILINE)
    return [shlex.split(line) for line in found]


def mentions(text: str) -> list[list[str]]:
    """Commands in the middle of a sentence, whole or not."""
    found = re.findall(r"`+(msa [^`]+)`+", text)
    return [one.split() for line in found for one in re.split(r"(?:,| or| and) (?=msa )", line)]


def hints() -> Iterator[tuple[str, list[str]]]:
    """Where an error names the next command, and which."""
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "hint":
                for text in texts(node.value):
                    for call in re.findall(r"\bmsa [a-z].*?(?=[,;`]|$)", text):
                        yield f"{path.relative_to(ROOT)}:{node.value.lineno}", call.split()


def texts(node: ast.AST) -> Iterator[str]:
    """Every string inside, with X for what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
        yield "".join(map(str, parts))
    else:
        for child in ast.iter_child_nodes(node):
            yield from texts(child)


def command_of(words: list[str]):
    """The command that the words begin with, and those that follow."""
    command, rest = MSA, words[1:]
    while rest and (inner := getattr(command, "commands", {}).get(rest[0])) is not None:
        command, rest = inner, rest[1:]
    if rest and not rest[0].startswith("-"):
        command = getattr(command, "default", command)
    return command, rest


def parse(words: list[str]) -> None:
    """Parse a call as the command line does, without doing it."""
    command, rest = command_of(words)
    assert not getattr(command, "commands", {}), f"no such command: {' '.join(words)}"
    if not {"--help", "--version"} & set(rest):
        command.make_context(" ".join(words), list(rest))


def known(words: list[str]) -> bool:
    """Whether a call, perhaps without its arguments, names what there is."""
    command, rest = command_of(words)
    if getattr(command, "commands", {}):
        return not rest or rest[0].startswith(("-", "X")) or rest[0].isupper()
    options = {name for item in command.params for name in item.opts} | {"--help"}
    return {word for word in rest if re.fullmatch(r"--[a-z][a-z-]*|-[a-z]", word)} <= options


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.name)
def test_every_command_of_a_page_is_one_the_command_line_takes(page: Path) -> None:
    for words in whole_calls(page):
        parse(words)
    assert [words for words in mentions(page.read_text("utf-8")) if not known(words)] == []


@pytest.mark.parametrize("file", SETTINGS, ids=lambda file: file.name)
def test_every_command_in_a_comment_is_one_the_command_line_takes(file: Path) -> None:
    calls = commented_calls(file)
    mentioned = mentions(file.read_text("utf-8"))
    assert file.read_text("utf-8").count("msa ") == len(calls) + len(mentioned)
    for words in calls:
        parse(words)
    assert [words for words in mentioned if not known(words)] == []


def test_every_command_that_an_error_names_exists() -> None:
    assert {where: words for where, words in hints() if not known(words)} == {}


def test_commands_are_found_everywhere() -> None:
    assert sum(len(whole_calls(page)) for page in PROSE) > 40
    assert sum(len(commented_calls(file)) for file in SETTINGS) > 5
    assert len(list(hints())) > 30


@pytest.mark.parametrize(
    "call",
    [
        "msa boards demo",
        "msa board demo --chek",
        "msa data ad FILE",
        "msa score predictions.csv",
        "msa run demo --jobs none",
        "msa data add mosi unaligned_50.pkl",
        "msa mllm serve",
        "msa compare a.csv",
    ],
)
def test_a_call_that_would_fail_is_seen(call: str) -> None:
    with pytest.raises(Exception, match=r"(?i)no such|missing|unexpected|valid integer"):
        parse(call.split())


@pytest.mark.parametrize("call", ["msa boards demo", "msa data ad", "msa board --chek"])
def test_a_mention_of_what_is_not_there_is_seen(call: str) -> None:
    assert not known(call.split())


# Files


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.name)
def test_files_that_a_page_names_are_in_the_project(page: Path) -> None:
    folders = "baselines|harness|mllm_eval|text_model|leaderboards|docs"
    named = re.findall(rf"`((?:{folders})/[\w/.]+)`", page.read_text("utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


# Files about the project


def test_one_version_is_stated_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    version = project["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    headings = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$", changelog, re.MULTILINE)
    assert headings[0] == ("Unreleased", "")
    assert headings[1][0] == version
    assert f'date-released: "{headings[1][1]}"' in (ROOT / "CITATION.cff").read_text("utf-8")


def test_hooks_run_the_pinned_ruff() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    pinned = (item.partition("==") for item in groups["lint"])
    (version,) = (number for name, _, number in pinned if name == "ruff")
    assert f"rev: v{version} " in (ROOT / ".pre-commit-config.yaml").read_text("utf-8")


def test_the_hosted_checks_are_the_commands_of_the_readme() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    readme = (ROOT / "README.md").read_text("utf-8")
    commands = re.findall(r"^ *- run: (pipx run .*)$", workflow, flags=re.MULTILINE)
    assert commands == re.findall(r"^(pipx run .*?) +#", readme, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("page", "labels"),
    [("quick_start.md", ["tfn", "TFN, wider"]), ("suites.md", ["lf_dnn", "TFN, wider"])],
)
def test_the_suite_shown_is_valid(page: str, labels: list[str]) -> None:
    text = (PAGES / page).read_text("utf-8")
    (block,) = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    suite = Suite.parse(tomllib.loads(block), name="my_suite", where=page)
    assert [entry.label for entry in suite.entries] == labels


def test_the_cluster_script_shown_is_the_file_and_is_shell(tmp_path: Path) -> None:
    script = PAGES / "msa_ray.slurm"
    assert script.read_text("utf-8") in (PAGES / "scale_out.md").read_text("utf-8")
    subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    for plugin in ("mkdocs", "mkdocs_gen_files", "mkdocstrings"):
        pytest.importorskip(plugin)
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    command += ["--config-file", str(PAGES.parent / "mkdocs.yml"), "--site-dir", str(tmp_path)]
    subprocess.run(command, check=True, env=os.environ | {"DISABLE_MKDOCS_2_WARNING": "true"})
    assert (tmp_path / "boards" / "how_to_read_a_board" / "index.html").is_file()
    commands = (tmp_path / "reference" / "commands" / "index.html").read_text("utf-8")
    assert all(f"msa {name}</code>" in commands for name in MSA.commands)
    systems = (tmp_path / "reference" / "systems" / "index.html").read_text("utf-8")
    assert "TFN" in systems
    statistics = tmp_path / "reference" / "api" / "harness.stats" / "index.html"
    assert "Two-sided" in statistics.read_text("utf-8"), "docstrings are on the page"
