"""Weights that somebody released: what a suite says of a row that is not trained here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from harness._util.canonical import Json
from harness._util.schema import Place

__all__ = ["NOT_STATED", "SELECTIONS", "CheckpointFile", "CheckpointKind", "ReleasedWeights"]

NOT_STATED: Final = "not stated"
"""Of what whoever made something does not say."""

SELECTIONS: Final = ("validation", "test", "best run", NOT_STATED)
"""What may have chosen released weights, in the words of published tables."""

_WRITTEN = re.compile(r"(?P<file>.*\S)\s+sha256=(?P<digest>\S*)")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class CheckpointFile:
    """A file of released weights as a suite names it.

    Args:
        file: Its place: in full, or from the folder of the suite file or the home.
        sha256: What its content must be, 64 hexadecimal digits; None where the suite leaves it
            open, and what is found is pinned when the suite is planned.
    """

    file: str
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class ReleasedWeights:
    """What a row is instead of being trained: one run per file.

    Args:
        files: The checkpoints.
        seeds: The seed that the release states for each; None where it states none.
        selection: What the release says chose them, one of ``SELECTIONS``.
    """

    files: tuple[CheckpointFile, ...]
    seeds: tuple[int, ...] | None = None
    selection: str = NOT_STATED

    @property
    def numbered(self) -> tuple[int, ...]:
        """What tells the runs apart: their seeds, or their places from 0."""
        return tuple(range(len(self.files))) if self.seeds is None else self.seeds


@dataclass(frozen=True)
class CheckpointKind:
    """A file of weights as it is written: ``FILE`` or ``FILE sha256=DIGEST``."""

    expected: str = "a file of weights, followed or not by sha256= and 64 hexadecimal digits"

    def read(self, value: object, place: Place) -> CheckpointFile:
        """The file, and the digest if it is given."""
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            raise place.wrong(self.expected, value)
        written = _WRITTEN.fullmatch(value.strip())
        if written is None:
            return CheckpointFile(file=value.strip())
        if not _DIGEST.fullmatch(written["digest"]):
            raise place.wrong(self.expected, value, hint="sha256sum FILE")
        return CheckpointFile(file=written["file"], sha256=written["digest"])

    def schema(self) -> dict[str, Json]:
        """A string."""
        return {"type": "string", "pattern": r"\S"}
