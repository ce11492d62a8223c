"""What reading a file from outside may take: memory in proportion to its size, and no more.

A file of kilobytes can stand for gigabytes: compressed pages, one text that is named a thousand
times, clips that are padded to the longest. Whoever reads such a file charges a ``Budget`` for
what the file declares *before* it is allocated; what the budget does not hold is one error that
says what was declared, what is allowed and how to allow more.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

from harness.errors import DataError, HarnessError, SpecError

__all__ = [
    "CAP",
    "FACTOR",
    "FLOOR",
    "MOST_NAMES",
    "VARIABLE",
    "Budget",
    "memory_allowed",
    "no_file",
    "size_of",
]

FACTOR = 32  # bytes of memory per byte of file: a CSV of short cells takes 20 to 25
FLOOR = 512 << 20  # bytes that any file may take
CAP = 16 << 30  # bytes that no file may take unasked: the largest public features need 9 GiB
VARIABLE = "MSA_MEMORY"  # what --memory says, for every command
MOST_NAMES = 4096  # columns of a table, keys of a split

_allowed: ContextVar[int | None] = ContextVar("memory_allowed", default=None)
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE | re.ASCII)
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
)


def size_of(text: str) -> int:
    """Bytes of a size as people write it, in steps of 1024.

    Raises:
        SpecError: When it is none, or zero.

    Example:
        >>> size_of("4G"), size_of("1.5 MiB"), size_of("200000")
        (4294967296, 1572864, 200000)
    """
    found = _SIZE.fullmatch(text.strip())
    size = int(float(found[1]) * _UNITS[found[2].upper()]) if found else 0
    if size <= 0:
        raise SpecError(
            f"a size is a number with K, M, G or T; found {text[:40]!r}", hint="such as 4G"
        )
    return size


@contextlib.contextmanager
def memory_allowed(size: int | str) -> Iterator[None]:
    """Let every file that is read inside take so much memory, whatever its own size.

    Args:
        size: Bytes, or text such as ``4G``.

    Raises:
        SpecError: For text that is no size.

    Example:
        >>> with memory_allowed("4G"):
        ...     Budget("features.pkl", 1000).allowed
        4294967296
    """
    before = _allowed.set(size_of(size) if isinstance(size, str) else size)
    try:
        yield
    finally:
        _allowed.reset(before)


class Budget:
    """The memory that one file may take: ``FACTOR`` times its size, from ``FLOOR`` to ``CAP``.

    Beyond the floor never more than is free. ``memory_allowed`` says something else, and so does
    the environment variable ``MSA_MEMORY``.

    Args:
        name: The file, for messages.
        size: Its bytes.
        error: Class of the error.
    """

    def __init__(self, name: str, size: int, error: type[HarnessError] = DataError) -> None:
        self.name, self.size, self.error = name, size, error
        stated = _stated()
        self.allowed, self.why = _unasked(size) if stated is None else (stated, "stated")
        self.left = self.allowed

    @classmethod
    def of(
        cls,
        path: Path,
        what: str,
        *,
        error: type[HarnessError] = DataError,
        hint: str | None = None,
    ) -> Budget:
        """The budget of a file on disk, which must be a regular one: others can be endless.

        Args:
            path: The file, or a link to it.
            what: What it should be, for messages: ``a label file``.
            error: Class of the error.
            hint: What to do about a file that is not there.

        Raises:
            HarnessError: An ``error``, for anything but a file: a device, a pipe, a folder.
        """
        try:
            if kind := no_file(path):
                raise error(f"expected {what}, found {kind}: {path}", hint=hint)
            return cls(path.name, path.stat().st_size, error)
        except (OSError, ValueError) as reason:  # ValueError: a NUL in the path
            why = getattr(reason, "strerror", None) or reason
            lost = isinstance(reason, FileNotFoundError | NotADirectoryError)
            wrong = f"no such file: {path}" if lost else f"cannot read {path}: {why}"
            raise error(wrong, hint=hint) from reason

    def read(self, path: Path) -> bytes:
        """The file's bytes, charged.

        Raises:
            OSError: When it cannot be read.
            HarnessError: When there are more of them than its size says, or than are allowed.
        """
        self.spend(self.size, "its content")
        with path.open("rb") as file:
            content = file.read(self.size + 1)
        if len(content) > self.size:
            raise self.error(f"{self.name} has more bytes than its size says ({self.size})")
        return content

    def spend(self, size: int, what: str = "what it holds") -> None:
        """Take bytes that are about to be allocated.

        Args:
            size: How many.
            what: For which part of the file, for the message.

        Raises:
            HarnessError: An ``error``, when there are not so many left.
        """
        self.left -= size
        if self.left < 0:
            raise self._exceeded(what)

    def spend_text(self, content: bytes, what: str = "its text") -> None:
        """Take what the text of ``content`` needs once it is decoded."""
        self.spend(len(content) * widest(content), what)

    @contextlib.contextmanager
    def lent(self, size: int, what: str) -> Iterator[None]:
        """Take bytes that are free again at the end of the block; see ``spend``."""
        self.spend(size, what)
        yield
        self.left += size

    def need_few_names(self, count: int, what: str) -> None:
        """Refuse more than ``MOST_NAMES`` names.

        Raises:
            HarnessError: An ``error``.
        """
        if count > MOST_NAMES:
            raise self.error(
                f"{self.name} has {count:,} {what}, more than the {MOST_NAMES:,} that are read",
                hint="keep those that are needed",
            )

    def _exceeded(self, what: str) -> HarnessError:
        needed = self.allowed - self.left
        return self.error(
            f"{self.name} ({_spelled(self.size)}) needs {_spelled(needed)} of memory or more with"
            f" {what}; allowed are {_spelled(self.allowed)} ({self.why})",
            hint=f"if you trust it: --memory {_rounded(needed)}, or {VARIABLE} in the environment"
            " (in Python: harness.memory_allowed)",
        )


def no_file(path: Path) -> str:
    """What stands at a path in place of a regular file, such as ``a pipe``; else nothing.

    Raises:
        OSError: When nothing stands there, or it cannot be asked.
    """
    mode = path.stat().st_mode
    if stat.S_ISREG(mode):
        return ""
    return next((name for is_kind, name in _KINDS if is_kind(mode)), "no file")


def widest(content: bytes) -> int:
    """Bytes that Python takes per byte of a text in UTF-8, or in an encoding of two bytes."""
    if content.isascii():
        return 1
    return 4 if any(lead in content for lead in _OF_FOUR) else 2


_OF_FOUR = [bytes([lead]) for lead in range(0xF0, 0xF5)]


def _stated() -> int | None:
    """What somebody says that a file may take: here, or for all commands and their workers."""
    inherited = os.environ.get(VARIABLE, "")
    return size_of(inherited) if _allowed.get() is None and inherited else _allowed.get()


def _unasked(size: int) -> tuple[int, str]:
    """What a file may take when nobody says, and why."""
    if FACTOR * size <= FLOOR:  # thousands of small files are read for a board: nothing is asked
        return FLOOR, f"{FACTOR} times its size, {_spelled(FLOOR)} at least"
    import psutil

    choices = [
        (FACTOR * size, f"{FACTOR} times its size"),
        (CAP, "the most for one file"),
        (psutil.virtual_memory().available, "what is free"),
    ]
    return min(choices)


def _spelled(size: int) -> str:
    """A size in words: ``1.5 MiB``."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size / unit:,.1f} {name}".replace(".0 ", " ")
    return f"{size} bytes"


def _rounded(size: int) -> str:
    """A size to try that is no less: whole gibibytes."""
    return f"{-(-size // (1 << 30))}G"
