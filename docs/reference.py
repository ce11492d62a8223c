"""The generated part of the site: commands, tables from the registries, a page for each interface.

mkdocs runs this file while it builds (mkdocs-gen-files); nothing is written into the checkout.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence

import mkdocs_gen_files

from harness.cli.lists import rows_of

TABLES = {
    "systems": "Every trained or computed system. `msa card NAME` tells more of each.",
    "datasets": "The sets as published; a corpus is one of them in one feature set.",
    "protocols": "What must be equal for two numbers to share a table.",
    "metrics": "Definitions are in the code beside each name, with their source.",
    "mllms": "Multimodal language models with a card; `msa mllm run` asks any that a server knows.",
    "prompts": "What language models are asked. A digest pins the wording.",
}
TITLES = {"mllms": "Language models"}
INTERFACES = (
    *("harness", "harness.data", "harness.metrics", "harness.stats", "harness.submissions"),
    "harness.testing",
    *("leaderboards", "text_model.checkpoint"),
)


def commands() -> str:
    """What Typer itself writes about the command line."""
    command = [sys.executable, "-m", "typer", "harness.cli", "utils", "docs", "--name", "msa"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    codes = "Exit codes: 0 done, 1 the work failed, 2 wrong input."
    return done.stdout.replace("# `msa`\n", f"# Commands\n\n{codes}\n", 1)


def table(noun: str, about: str) -> Iterator[str]:
    """The lines of the page of one noun."""
    rows = rows_of(noun)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    yield from (f"# {TITLES.get(noun, noun.capitalize())}", "", about, "")
    yield from (f"`msa list {noun}` prints this table.", "")
    yield from (line(columns), line(["---"] * len(columns)))
    yield from (line([cell(row.get(name)) for name in columns]) for row in rows)


def line(cells: Sequence[str]) -> str:
    """A row of a table."""
    return f"| {' | '.join(cells)} |"


def cell(value: object) -> str:
    """A value as the text of a cell."""
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")


with mkdocs_gen_files.open("reference/commands.md", "w") as page:
    page.write(commands())
for name, sentence in TABLES.items():
    with mkdocs_gen_files.open(f"reference/{name}.md", "w") as page:
        page.write("\n".join(table(name, sentence)) + "\n")
for name in INTERFACES:
    with mkdocs_gen_files.open(f"reference/api/{name}.md", "w") as page:
        page.write(f"# {name}\n\n::: {name}\n")
