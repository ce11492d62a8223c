"""The user's own systems, datasets, metrics and so on: files in folders, without a package.

Modules of this package are the files of ``Home.plugins``: ``systems/mine.py`` there is
``harness.own.systems.mine``, in every process of a run. They import each other by that name, or by
``from ._blocks import Block``. ``harness._util.own_files`` says which of them are read.
"""

from __future__ import annotations

from pathlib import Path

from harness.home import Home

__all__ = ["KINDS", "any_here", "folder"]

KINDS = (
    *("systems", "datasets", "protocols", "metrics", "slicings"),
    *("extractors", "laws", "objectives"),
)
"""What the folders are called: as the entry-point groups of installed plug-ins."""


def folder() -> Path:
    """Where the files are now; modules imported from here on come from there."""
    place = Home.default().plugins
    __path__[:] = [str(place)]
    return place


def any_here() -> bool:
    """Whether there is any Python file in such a folder."""
    place = folder()
    return any(next((place / kind).rglob("*.py"), None) is not None for kind in KINDS)


folder()
