"""Which weights exactly, and served how: told by the server itself.

``msa mllm serve`` has the server list ``MODEL@REVISION@ARGUMENTS`` among its models' names, the
last a digest of those of its arguments that can change an answer; so whoever can ask the server, on
whatever machine, learns both from it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from harness._util.canonical import digest, file_digest
from harness.errors import DataError

__all__ = ["NOT_KNOWN", "Told", "alias", "folder_digest", "told"]

log = logging.getLogger(__name__)

NOT_KNOWN: Final = "not known"
"""The revision of weights that nobody has told and that cannot be read."""

_SEPARATOR: Final = "@"
_WEIGHTS: Final = (".safetensors", ".bin", ".gguf", ".pt", ".pth")
_MOST_FILES: Final = 2000
_MOST_BYTES: Final = 2**40
_MOST_SECONDS: Final = 1800.0
_BLOCK: Final = 2**20  # bytes


class Told(NamedTuple):
    """What a server's names tell of a model; empty where they tell nothing."""

    revision: str = ""
    """Of the weights."""
    arguments: str = ""
    """Digest of the arguments it was started with."""


def alias(model: str, revision: str, arguments: str) -> str:
    """The name under which a served model tells its revision and how it is served."""
    return _SEPARATOR.join((model, revision, arguments))


def told(model: str, names: Iterable[str]) -> Told:
    """What one of a server's names tells of ``model``.

    Example:
        >>> told("smollm2", ["smollm2", "smollm2@5b1c@07aa"])
        Told(revision='5b1c', arguments='07aa')
    """
    start = f"{model}{_SEPARATOR}"
    rest = next((name.removeprefix(start) for name in names if name.startswith(start)), "")
    revision, _, arguments = rest.partition(_SEPARATOR)
    return Told(revision, arguments)


def folder_digest(folder: Path, *, foreign: bool = False) -> str:
    """SHA-256 of the names and contents of a folder's visible files, subfolders included.

    Args:
        folder: With weights.
        foreign: Whether somebody else names it, such as a server. Then it is read only where it is
            plainly a model's: a model's ``config.json`` and weights beside it, 2000 files and
            folders, 1 TiB and half an hour of reading at most. Any other is ``not known``.

    Raises:
        DataError: When there is no file, of a folder of our own.
    """
    if foreign:
        return _foreign_digest(folder)
    files = [
        path for path in sorted(folder.rglob("*")) if path.is_file() and _visible(path, folder)
    ]
    if not files:
        raise DataError(f"expected a folder with weights, found no files: {folder}")
    return digest({path.relative_to(folder).as_posix(): file_digest(path) for path in files})


def _foreign_digest(folder: Path) -> str:
    until = time.monotonic() + _MOST_SECONDS
    try:
        if not _is_model(folder):
            raise ValueError("no config.json of a model with weights beside it")
        files = sorted(_files(folder))
        if sum(path.stat().st_size for path in files) > _MOST_BYTES:
            raise ValueError("it is too large")
        return digest({path.relative_to(folder).as_posix(): _read(path, until) for path in files})
    except (OSError, ValueError, RecursionError) as error:
        log.warning(
            "the server says that its weights are in %s, which cannot be read as a model's folder"
            " (%s): their revision is recorded as not known, unless it is stated: revision = ...",
            folder,
            error,
        )
        return NOT_KNOWN


def _is_model(folder: Path) -> bool:
    """Whether it holds a model's configuration, and weights beside it."""
    config = folder / "config.json"
    if not config.is_file() or config.stat().st_size > _BLOCK:
        return False
    told = json.loads(config.read_text("utf-8"))
    named = isinstance(told, dict) and not {"model_type", "architectures"}.isdisjoint(told)
    with os.scandir(folder) as entries:
        return named and any(e.is_file() and e.name.endswith(_WEIGHTS) for e in entries)


def _files(folder: Path) -> Iterator[Path]:
    """Its visible files, subfolders included, links to folders not.

    Raises:
        ValueError: For more than a model has.
        OSError: For a subfolder that may not be read.
    """
    count = 0
    for place, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        count += len(folders) + len(names)
        if count > _MOST_FILES:
            raise ValueError("too many files")
        inside = (Path(place, name) for name in names if not name.startswith("."))
        yield from (path for path in inside if path.is_file())


def _raise(error: OSError) -> None:
    raise error


def _read(path: Path, until: float) -> str:
    """SHA-256 of a file, read before a moment of the monotonic clock.

    Raises:
        ValueError: When that moment has come.
    """
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
            if time.monotonic() > until:
                raise ValueError("it takes too long")
    return found.hexdigest()


def _visible(path: Path, folder: Path) -> bool:
    return not any(part.startswith(".") for part in path.relative_to(folder).parts)
