"""Digests beside stored files, so that damage is found and named instead of averaged.

A folder's ``SHA256SUMS`` lists its files as coreutils do: ``sha256sum -c SHA256SUMS`` checks it
without this project. Folders written before there were such lists have none and are read unchecked:
their ``manifest.json`` says so by its format. A list that is missing anywhere else is damage.

A digest is remembered as long as size, times and inode of its file stay what they were.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from harness._util import canonical
from harness._util.untouched import entry_mark

__all__ = [
    "SUMS",
    "damage",
    "file_digest",
    "forget",
    "is_litter",
    "listing",
    "lost",
    "read_sums",
    "seal",
    "wrong",
]

SUMS = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  ([^/\0]+)")
_LITTER = re.compile(
    r"\.DS_Store|\._.*|\.localized|Icon\r|\.AppleDouble|[Tt]humbs\.db|ehthumbs\.db|[Dd]esktop\.ini"
    r"|\.directory|\.nfs[0-9a-f]+|\.fuse_hidden[0-9a-f]+|@eaDir|\.~lock\..*#"
)

_remembered: dict[Path, tuple[tuple[int, ...], str]] = {}


def file_digest(path: Path) -> str:
    """SHA-256 of a file, read again only when it may have changed since this process read it.

    Raises:
        OSError: When it cannot be read.
    """
    status = path.stat()
    mark = entry_mark(status)
    if mark is None:
        return canonical.file_digest(path)
    mark = (*mark, status.st_dev)
    known, digest = _remembered.get(path, ((), ""))
    if known != mark:
        digest = canonical.file_digest(path)
        _remembered[path] = (mark, digest)
    return digest


def forget() -> None:
    """Read every file again from now on: a disk changes bits without telling anyone."""
    _remembered.clear()


def lost(folder: Path, since: int) -> str | None:
    """What is wrong with a folder that should have a list of digests and has none.

    Args:
        folder: With a ``manifest.json`` that gives its format.
        since: The first format in which every folder has a list.

    Returns:
        A sentence; None where there is a list, where the format is older, or where the manifest
        cannot be read, which is damage of its own.
    """
    if (folder / SUMS).exists():
        return None
    try:
        table = json.loads((folder / "manifest.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    found = table.get("format", 1) if isinstance(table, dict) else None
    return f"{SUMS} is missing" if isinstance(found, int) and found >= since else None


def seal(folder: Path) -> None:
    """List the digests of every file of a folder, as its last file."""
    (folder / SUMS).write_text(listing(folder), "utf-8")


def listing(folder: Path) -> str:
    """The digests of every file that a folder has now, a line each."""
    lines = [f"{canonical.file_digest(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    return "".join(lines)


def is_litter(name: str) -> bool:
    """Whether a file of this name was left by a file manager or a file system, not by anybody.

    Example:
        >>> is_litter(".DS_Store"), is_litter("._plan.json"), is_litter("manifest.json")
        (True, True, False)
    """
    return _LITTER.fullmatch(name) is not None


def read_sums(folder: Path) -> dict[str, str]:
    """File name -> SHA-256; empty for a folder without a list.

    Raises:
        OSError: When the list cannot be read.
        ValueError: When it is damaged itself.
    """
    path = folder / SUMS
    if not path.exists():
        return {}
    text = path.read_text("utf-8", errors="replace")
    found = [_LINE.fullmatch(line) for line in text.splitlines()]
    sums = {line[2]: line[1] for line in found if line is not None}
    if len(sums) < len(found) or not sums:
        raise ValueError(f"{SUMS} is damaged")
    return sums


def wrong(path: Path, sums: Mapping[str, str]) -> str | None:
    """What is wrong with one file; None when nothing is, or when there is no list to check by.

    Args:
        path: The file.
        sums: ``read_sums`` of its folder.
    """
    listed = sums.get(path.name)
    if listed is None:
        return f"{path.name} was added" if sums and path.exists() else None
    try:
        return None if file_digest(path) == listed else f"{path.name} is not what was written"
    except FileNotFoundError:
        return f"{path.name} is missing"
    except OSError as error:
        return f"{path.name} cannot be read: {error.strerror}"


def damage(folder: Path, since: int, *, unread: Collection[str] = ()) -> list[str]:
    """Everything wrong with the files of a folder, one sentence each; empty for a sound one.

    Args:
        folder: The folder.
        since: See ``lost``.
        unread: Files that need but be there.
    """
    if (text := lost(folder, since)) is not None:
        return [text]
    try:
        sums = read_sums(folder)
        present = {path.name for path in folder.iterdir() if not is_litter(path.name)}
    except (OSError, ValueError) as error:
        return [str(error)]
    if not sums:
        return []
    strange = sorted(present - sums.keys() - {SUMS})
    trusted = present & set(unread)
    found = [wrong(folder / name, sums) for name in sums if name not in trusted]
    return [*(text for text in found if text), *(f"{name} was added" for name in strange)]
