"""The generated part of the documentation: commands from the code, tables from the registries.

``python -m harness.cli.reference`` writes it; with ``--check`` it names what is out of date.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from harness.cli import app
from harness.cli.lists import rows_of
from harness.files import write_atomic

__all__ = ["FOLDER", "main", "pages"]

FOLDER = Path(__file__).parents[2] / "docs" / "pages" / "reference"
_MARK = "<!-- Written by `python -m harness.cli.reference`; edit the code instead. -->"
_TABLES = {
    "systems": "Every trained or computed system. `msa card NAME` tells more of each.",
    "datasets": "The sets as published; a corpus is one of them in one feature set.",
    "protocols": "What must be equal for two numbers to share a table.",
    "metrics": "Definitions are in the code beside each name, with their source.",
    "mllms": "Multimodal language models with a card; `msa mllm run` asks any that a server knows.",
    "prompts": "What language models are asked. A digest pins the wording.",
}


_TITLES = {"mllms": "Language models"}


def pages() -> dict[str, str]:
    """File name -> content of each generated page."""
    return {
        "commands.md": "\n".join([_MARK, *_commands()]) + "\n",
        **{f"{noun}.md": _table_page(noun, about) for noun, about in _TABLES.items()},
    }


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with ``--check`` name those that are out of date."""
    wanted = pages()
    if "--check" not in arguments:
        for name, content in wanted.items():
            write_atomic(FOLDER / name, content)
        return 0
    stale = [name for name, content in wanted.items() if _written(FOLDER / name) != content]
    for name in stale:
        typer.echo(f"{name} is out of date; next: python -m harness.cli.reference", err=True)
    return 1 if stale else 0


def _written(path: Path) -> str | None:
    return path.read_text("utf-8") if path.is_file() else None


def _commands() -> Iterator[str]:
    yield ""
    yield "# Commands"
    yield ""
    yield "Options before the command: `--home DIR` (or `MSA_HOME`), `--debug` shows tracebacks."
    yield "Exit codes: 0 done, 1 the work failed, 2 wrong input."
    yield from _group(typer.main.get_command(app), "msa")


def _group(command: Any, name: str) -> Iterator[str]:  # noqa: ANN401 - click's, or typer's own
    """A command, or what a group of commands consists of."""
    parts: Mapping[str, Any] = getattr(command, "commands", {})
    if not parts:
        yield from _command(command, name)
    elif name != "msa":
        yield from ("", f"## {name}", "", _sentence(command.help))
    for part, inner in parts.items():
        yield from _group(inner, f"{name} {part}")


def _command(command: Any, name: str) -> Iterator[str]:  # noqa: ANN401
    parameters = [item for item in command.params if item.name != "help"]
    yield from ("", f"## {name}", "", _sentence(command.help), "")
    yield from ("```sh", " ".join([name, *_usage(parameters)]), "```")
    if parameters:
        yield from ("", "| | |", "| --- | --- |")
        yield from (f"| `{_spelling(item)}` | {_cell(_meaning(item))} |" for item in parameters)


def _usage(parameters: Sequence[Any]) -> Iterator[str]:
    for item in parameters:
        if item.param_type_name == "argument":
            yield _metavar(item) if item.required else f"[{_metavar(item).strip('[]')}]"
    if any(item.param_type_name == "option" for item in parameters):
        yield "[OPTIONS]"


def _spelling(item: Any) -> str:  # noqa: ANN401
    if item.param_type_name == "argument":
        return _metavar(item)
    spelled = ", ".join(sorted(item.opts, key=len, reverse=True))
    return spelled if item.is_flag else f"{spelled} {_metavar(item)}"


def _metavar(item: Any) -> str:  # noqa: ANN401
    return str(item.metavar or item.name.upper().replace("_", "-"))


def _meaning(item: Any) -> str:  # noqa: ANN401
    said = _sentence(item.help)
    default = item.default
    plain = isinstance(default, str | int | float) and not isinstance(default, bool)
    return f"{said} Default: `{default}`." if plain and default != "" else said


def _sentence(text: str | None) -> str:
    return " ".join((text or "").split())


def _table_page(noun: str, about: str) -> str:
    rows = rows_of(noun)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [
        _MARK,
        f"# {noun.capitalize()}",
        "",
        about,
        "",
        f"`msa list {noun}` prints this table.",
    ]
    lines += ["", _line(columns), _line(["---"] * len(columns))]
    lines += [_line([_cell(row.get(name, "")) for name in columns]) for row in rows]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: object) -> str:
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
