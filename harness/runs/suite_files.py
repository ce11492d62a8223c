"""Suites by name, as people keep them in files; nothing heavy is imported to find one."""

from __future__ import annotations

from pathlib import Path

from harness._util.registry import suggest
from harness.errors import SpecError
from harness.home import Home
from harness.spec import Suite

__all__ = ["find_suite"]


def find_suite(name: str, home: Home) -> Suite:
    """The suite in file ``name``, or ``name.toml`` of the suites folder.

    Raises:
        SpecError: When there is no such file, or it is not a valid suite.
    """
    path = Path(name)
    if path.suffix.lower() != ".toml":
        path = home.suite_files().get(name, home.suites / f"{name}.toml")
    if not path.is_file():
        files = home.suite_files()
        known = suggest(name, files) or f" (known: {', '.join(files) or 'none'})"
        raise SpecError(f"no suite {name!r}{known}", hint="name one of those, or give a .toml file")
    return Suite.load(path)
