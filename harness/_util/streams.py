"""Standard output and error of a process, with every text on its way there made harmless.

Whoever writes, be it a command, a log, a traceback or a library: secrets are masked and what a
terminal would obey is shown as an escape. What draws on purpose (colours, a bar) asks for the
stream below with ``drawing``.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterable, Iterator
from typing import IO, Final, TextIO

from harness._util.redaction import redacted
from harness._util.shown import visible

__all__ = ["drawing", "guard_streams", "guarded"]

_BAR: Final = re.compile(r"\r[^\x00-\x1f\x7f-\x9f]*|(?:\x1b\[A)+")
"""What progress bars of libraries write: a line over the last one, and steps up."""


class _Guarded:
    """A text stream in front of another one; bytes have no way around it."""

    def __init__(self, below: TextIO) -> None:
        self.below = below

    def write(self, text: str) -> int:
        """Write a text as others may see it; returns how many characters were given."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        plain = redacted(text)
        if _BAR.fullmatch(plain) is None:
            plain = visible(plain)
        try:
            self.below.write(plain)
        except UnicodeEncodeError as error:
            encoding = error.encoding
            self.below.write(plain.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts one after the other."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> object:
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self.below, name)


def guard_streams() -> None:
    """Guard standard output and error from now on; again does nothing."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, _Guarded):
            setattr(sys, name, _Guarded(stream))


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Guard standard output and error while the block lasts."""
    before = sys.stdout, sys.stderr
    guard_streams()
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def drawing(stream: IO[str]) -> IO[str]:
    """What to draw on for a stream: texts of others must be made harmless before."""
    return stream.below if isinstance(stream, _Guarded) else stream
