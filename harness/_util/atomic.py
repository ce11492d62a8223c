"""Writing so that a kill at any moment leaves the old file or the new one, never half of either."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["commit_folder", "is_plain_name", "sweep", "sync_folder", "write_atomic"]

_LONGEST_NAME = 200  # bytes; file systems allow 255, temporary names and suffixes take some


def is_plain_name(name: str) -> bool:
    """Whether a file may be called ``name``: no separators, no leading dot, not too long.

    Example:
        >>> is_plain_name("mosi demo-2"), is_plain_name("../mosi")
        (True, False)
    """
    plain = re.fullmatch(r"\w[\w .+=@-]*", name) is not None
    return plain and len(name.encode()) <= _LONGEST_NAME


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write ``content`` to ``path``: temporary file beside it, fsync, rename, fsync the folder.

    What a kill leaves behind begins with ``.new-``; ``sweep`` removes it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".new-{path.name}-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextlib.contextmanager
def commit_folder(target: Path) -> Iterator[Path]:
    """Fill a temporary folder that becomes ``target`` in one rename when the block ends well.

    An error, or ``target`` appearing meanwhile (same content by construction), drops the temporary
    folder. What a kill leaves behind begins with ``.new-``; ``sweep`` removes it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".new-{target.name}-"))
    try:
        yield temporary
        for file in temporary.iterdir():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
        sync_folder(temporary)
        temporary.chmod(0o755)
        _rename_folder(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    sync_folder(target.parent)


def _rename_folder(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError:
        if not target.is_dir():  # else another writer was faster
            raise


def sweep(root: Path) -> None:
    """Remove what killed commits left anywhere under ``root``; call only as its sole writer."""
    for leftover in list(root.rglob(".new-*")):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable (needed after a rename)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
