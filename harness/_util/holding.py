"""A store held by one process at a time, cleared of what killed ones left."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import filelock

from harness._util.atomic import sweep
from harness.errors import StoreError

__all__ = ["held"]

_DRIVER = "driver"


@contextlib.contextmanager
def held(root: Path, who: str = _DRIVER) -> Iterator[None]:
    """Hold a store as its only writer; see ``harness._util.atomic.sweep`` for what is cleared.

    Args:
        root: Folder of the store.
        who: What this process is to others that want the store meanwhile.

    Raises:
        StoreError: When another process holds it (named with its id), or it cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(root / ".lock")
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise StoreError(
            f"another {_holder(root)} is writing to this run store",
            hint="wait for it, or choose another store with --home",
        ) from None
    except OSError as error:
        raise StoreError(f"the run store cannot be written: {error}") from error
    try:
        _sign(root, who)
        sweep(root)
        yield
    finally:
        lock.release()


def _sign(root: Path, who: str) -> None:
    process = str(os.getpid())
    try:
        (root / ".holder").write_text(process if who == _DRIVER else f"{process} {who}", "utf-8")
    except OSError as error:
        raise StoreError(
            f"who holds the run store could not be stored: {error}",
            hint="free some space or fix the permissions; the same command continues",
        ) from error


def _holder(root: Path) -> str:
    """Who holds the store, in words."""
    signed = ""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        signed = (root / ".holder").read_text("utf-8")
    process, _, who = signed.partition(" ")
    return f"{who or _DRIVER} (process {process or 'unknown'})"
