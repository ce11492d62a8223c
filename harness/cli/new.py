"""``msa new``: the first version of a thing of one's own, as a file that works."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from harness.cli._home import home_of
from harness.cli._output import write_file
from harness.errors import SpecError, StoreError
from harness.home import Home

__all__ = ["register"]

_NEXT = {
    "system": "msa check system {name}; pytest {test}; msa run {name}",
    "dataset": "msa check dataset {name}; msa data add FILE --dataset {name}",
    "metric": "msa check metric {name}; msa list metrics",
    "suite": "msa run {name} --plan; msa run {name}",
    "submission": "msa submit PREDICTIONS --dataset DATASET --manifest {place} --dry-run",
}

_PARTS = {"system": ("system", "test", "rows")}
"""What is written of a kind, where that is more than one file."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("new")(_new)


def _new(
    context: typer.Context,
    kind: Annotated[
        str,
        typer.Argument(metavar="KIND", help="system, dataset, metric, suite or submission"),
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is to be called.")],
) -> None:
    """Write a commented file that works as it is, to be changed: nothing has to be installed.

    Systems, datasets and metrics go into folders of that name beside the home (--plugins DIR),
    suites into the home, the manifest of a submission into the current folder. A system comes
    with a test in the folder tests and a suite that has it beside others.
    """
    if kind not in _NEXT:
        raise SpecError(f"msa new takes {', '.join(_NEXT)}; found {kind!r}")
    home = home_of(context)
    files = {
        _place(part, name, home): _text(part, name)  # or fail for a name that is none
        for part in _PARTS.get(kind, (kind,))
    }
    for place in files:
        if place.exists():
            raise SpecError(f"{_shown(place)} is there already", hint="choose another name")
    for part in _PARTS.get(kind, (kind,)):
        _refuse_taken(part, name, home)
    _write(files)
    first, test = (_shown(_place(part, name, home)) for part in (kind, "test"))
    typer.echo(f"next: {_NEXT[kind].format(name=name, place=first, test=test)}")


def _write(files: Mapping[Path, str]) -> None:
    """All of them or none."""
    written: list[Path] = []
    try:
        for place, text in files.items():
            write_file(place, text)
            written.append(place)
    except StoreError:
        for place in written:
            place.unlink()
        raise
    for place in written:
        typer.echo(f"{_shown(place)} written")


def _place(kind: str, name: str, home: Home) -> Path:
    if kind in ("suite", "rows"):
        return home.suites / f"{name}.toml"
    if kind == "submission":
        return Path.cwd() / f"{name}.toml"
    if kind == "test":
        return home.plugins / "tests" / f"test_{name}.py"
    return home.plugins / f"{kind}s" / f"{name}.py"


def _text(kind: str, name: str) -> str:
    if kind == "submission":
        from harness.submissions import manifest_skeleton

        return manifest_skeleton(name)
    from harness.skeletons import filled

    return filled(kind, name)


def _refuse_taken(kind: str, name: str, home: Home) -> None:
    """Refuse a name that something has which came with the code or a package."""
    if kind in ("suite", "rows"):
        kind, taken = "suite", name in home.suite_files()
    elif kind in ("submission", "test"):
        return
    else:
        from harness.cli.lists import rows_of

        taken = name in {row["name"] for row in rows_of(f"{kind}s", home)}
    if taken:
        raise SpecError(
            f"{kind} {name!r} is there already", hint=f"choose another name; msa list {kind}s"
        )


def _shown(place: Path) -> str:
    """A path as the user would type it here."""
    here = Path.cwd()
    return str(place.relative_to(here) if place.is_relative_to(here) else place)
