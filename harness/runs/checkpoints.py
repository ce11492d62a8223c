"""Files of released weights: found by the names that suites give them, pinned by their content."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from harness._util import checksums
from harness.errors import DataError
from harness.home import Home
from harness.spec import CheckpointFile, ReleasedWeights, Suite

__all__ = ["CHECKPOINT", "digest_of", "pinned"]

CHECKPOINT: Final = "checkpoint"
"""The role of released weights among the artifacts of a run."""


def pinned(
    released: ReleasedWeights, suite: Suite, home: Home
) -> tuple[ReleasedWeights, dict[str, DataError]]:
    """The same with every file in full and its digest, and what is wrong with those without.

    Args:
        released: As the suite has it.
        suite: Beside whose file they may be.
        home: Where else.

    Returns:
        The weights, and for each file that is not there, not readable or not the one whose digest
        is given, as the suite names it, why.
    """
    folders = [folder for folder in (suite.folder, home.root) if folder is not None]
    files, wrong = [], {}
    for item in released.files:
        try:
            item = _pinned(item, folders)
        except DataError as error:
            wrong[item.file] = error
        files.append(item)
    return dataclasses.replace(released, files=tuple(files)), wrong


def digest_of(file: Path) -> str:
    """SHA-256 of a checkpoint.

    Raises:
        DataError: When it cannot be read.
    """
    try:
        return checksums.file_digest(file)
    except OSError as error:
        raise DataError(f"checkpoint {file.name} cannot be read: {error.strerror}") from error


def _pinned(item: CheckpointFile, folders: Sequence[Path]) -> CheckpointFile:
    place = _place(item.file, folders)
    found = digest_of(place)
    if item.sha256 not in (None, found):
        raise DataError(
            f"checkpoint {place.name} is another file: sha256 {found[:12]}, the suite says"
            f" {str(item.sha256)[:12]}",
            hint=f"sha256sum {place.name}",
        )
    return CheckpointFile(file=str(place), sha256=found)


def _place(name: str, folders: Sequence[Path]) -> Path:
    try:
        path = Path(name).expanduser()
        places = [path] if path.is_absolute() else [folder / path for folder in folders]
        found = next((place for place in places if place.is_file()), None)
    except (OSError, RuntimeError) as error:  # too long a name, or a home of nobody
        raise DataError(f"checkpoint {name[:80]!r} cannot be looked for: {error}") from error
    if found is None:
        raise DataError(
            f"no checkpoint {name!r}, neither beside the suite file nor in the home",
            hint="give its place from there, or in full",
        )
    return found.resolve()
