"""Which weights exactly: by content or commit, told by the server itself.

``msa mllm serve`` has the server list ``MODEL@REVISION`` among its models' names; so whoever can
ask the server, on whatever machine, learns the revision from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from harness._util.canonical import digest, file_digest
from harness.errors import DataError

__all__ = ["alias", "folder_digest", "told"]

_SEPARATOR: Final = "@"


def alias(model: str, revision: str) -> str:
    """The name under which a served model tells its revision."""
    return f"{model}{_SEPARATOR}{revision}"


def told(model: str, names: Iterable[str]) -> str:
    """The revision of ``model`` that one of a server's names tells, empty where none does.

    Example:
        >>> told("smollm2", ["smollm2", "smollm2@5b1c"])
        '5b1c'
    """
    start = alias(model, "")
    return next((name.removeprefix(start) for name in names if name.startswith(start)), "")


def folder_digest(folder: Path) -> str:
    """SHA-256 of the names and contents of a folder's visible files, subfolders included.

    Raises:
        DataError: When there is no file.
    """
    files = [
        path for path in sorted(folder.rglob("*")) if path.is_file() and _visible(path, folder)
    ]
    if not files:
        raise DataError(f"expected a folder with weights, found no files: {folder}")
    return digest({path.relative_to(folder).as_posix(): file_digest(path) for path in files})


def _visible(path: Path, folder: Path) -> bool:
    return not any(part.startswith(".") for part in path.relative_to(folder).parts)
