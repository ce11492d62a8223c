"""Stored corpora that are taken away, and brought back until they are cleaned out for good.

A removed corpus is moved, as a whole and by one rename, from ``corpora`` to ``removed/corpora`` of
the home. Runs on it stay, and so do their boards: labels are kept beside the runs.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import filelock

from harness.data.store import CorpusStore
from harness.errors import DataError, NotHere, StoreError
from harness.home import Home

__all__ = ["clean", "remove", "removed", "restore"]


def removed(home: Home) -> list[str]:
    """Corpora that can be brought back, sorted."""
    place = _place(home)
    return sorted(path.name for path in place.iterdir()) if place.is_dir() else []


def remove(name: str, home: Home) -> Path:
    """Take a stored corpus away; one of that name that was removed before is gone for good.

    Returns:
        Where it lies now.

    Raises:
        NotHere: When it is not stored.
        StoreError: When it cannot be moved.
    """
    store = CorpusStore(home.corpora)
    if name not in store:
        known = ", ".join(store.names()) or "none yet"
        raise NotHere(f"corpus {name!r} is not here (stored: {known})", hint="msa list corpora")
    return _move(home.corpora / name, _place(home) / name, home, over=True)


def restore(name: str, home: Home) -> Path:
    """Bring a removed corpus back.

    Raises:
        NotHere: When none of that name was removed.
        DataError: When another one is stored under its name now.
        StoreError: When it cannot be moved.
    """
    if name not in removed(home):
        known = ", ".join(removed(home)) or "none"
        raise NotHere(f"no corpus {name!r} was removed (removed: {known})", hint="msa list corpora")
    if name in CorpusStore(home.corpora):
        raise DataError(
            f"corpus {name!r} is stored again", hint=f"msa data remove {name} takes it away first"
        )
    return _move(_place(home) / name, home.corpora / name, home, over=False)


def clean(home: Home) -> int:
    """Delete what was removed, for good.

    Returns:
        Bytes that were freed.

    Raises:
        StoreError: When it cannot be deleted.
    """
    place = _place(home)
    if not place.is_dir():
        return 0
    freed = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    try:
        shutil.rmtree(place)
    except OSError as error:
        raise StoreError(f"what was removed cannot be deleted: {error}") from error
    return freed


def _place(home: Home) -> Path:
    return home.root / "removed" / "corpora"


def _move(source: Path, target: Path, home: Home, *, over: bool) -> Path:
    """Move a folder while no corpus is being written."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(home.corpora / ".lock"):
            if over and target.exists():
                shutil.rmtree(target)
            source.rename(target)
    except OSError as error:
        raise StoreError(f"corpus {source.name} cannot be moved: {error}") from error
    return target
