"""Digests beside stored files, so that damage is found and named instead of averaged.

A folder's ``SHA256SUMS`` lists its files as coreutils do: ``sha256sum -c SHA256SUMS`` checks it
without this project. Folders written before there were such lists have none and are read unchecked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from harness._util.canonical import file_digest

__all__ = ["SUMS", "damage", "read_sums", "seal", "wrong"]

SUMS = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  ([^/\0]+)")


def seal(folder: Path) -> None:
    """List the digests of every file of a folder, as its last file."""
    lines = [f"{file_digest(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / SUMS).write_text("".join(lines), "utf-8")


def read_sums(folder: Path) -> dict[str, str]:
    """File name -> SHA-256; empty for a folder without a list.

    Raises:
        OSError: When the list cannot be read.
        ValueError: When it is damaged itself.
    """
    path = folder / SUMS
    if not path.exists():
        return {}
    found = [_LINE.fullmatch(line) for line in path.read_text("utf-8").splitlines()]
    sums = {line[2]: line[1] for line in found if line is not None}
    if len(sums) < len(found) or not sums:
        raise ValueError(f"{SUMS} is damaged")
    return sums


def wrong(path: Path, sums: Mapping[str, str]) -> str | None:
    """What is wrong with one file; None when nothing is, or when it was never listed.

    Args:
        path: The file.
        sums: ``read_sums`` of its folder.
    """
    listed = sums.get(path.name)
    if listed is None:
        return None
    try:
        return None if file_digest(path) == listed else f"{path.name} is not what was written"
    except FileNotFoundError:
        return f"{path.name} is missing"
    except OSError as error:
        return f"{path.name} cannot be read: {error.strerror}"


def damage(folder: Path) -> list[str]:
    """Everything wrong with the files of a folder, one sentence each; empty for a sound one."""
    try:
        sums = read_sums(folder)
        present = {path.name for path in folder.iterdir()}
    except (OSError, ValueError) as error:
        return [str(error)]
    if not sums:
        return []
    strange = sorted(present - sums.keys() - {SUMS})
    found = [wrong(folder / name, sums) for name in sums]
    return [*(text for text in found if text), *(f"{name} was added" for name in strange)]
