"""The errors a user can cause or must know about.

Each message says what was expected, what was found and where; ``hint`` is the next thing to do.
The command line turns them into one line and an exit code; only ``--debug`` shows a traceback.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "DataError",
    "HarnessError",
    "MissingExtra",
    "NotHere",
    "RunFailed",
    "SpecError",
    "StoreError",
    "SubmissionError",
    "Unreachable",
]


_LONGEST = 4000  # characters of a message


class HarnessError(Exception):
    """Base of every deliberate error.

    Args:
        message: What was expected, what was found, where. The middle of one that is longer than a
            screen is left out: a file can hold an id of megabytes.
        hint: The next command to type or change to make.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(_bounded(message))
        self.hint = None if hint is None else _bounded(hint)

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the hint when the error crosses a process boundary."""
        return (_rebuild, (type(self), str(self), self.hint))


def _bounded(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2 - 40
    return f"{text[:half]} … {len(text) - 2 * half:,} characters left out … {text[-half:]}"


def _rebuild(kind: type[HarnessError], message: str, hint: str | None) -> HarnessError:
    return kind(message, hint=hint)


class SpecError(HarnessError):
    """A suite, protocol, system name or hyper-parameter is not valid (exit code 2)."""

    exit_code = 2


class DataError(HarnessError):
    """A data file is missing, unsafe, damaged or not what it claims to be (exit code 2)."""

    exit_code = 2


class NotHere(DataError):
    """What can be brought is not at hand: a corpus, an encoder, a plug-in, a server (exit code 2).

    A plan makes a hole of it; asked for by itself, it is an error. ``hint`` says how to bring it.

    Args:
        message: As of every error.
        hint: As of every error.
        what: What it is, in a few words, where the place that asks for it cannot know.
    """

    def __init__(self, message: str, *, hint: str | None = None, what: str = "") -> None:
        super().__init__(message, hint=hint)
        self.what = what


class RunFailed(HarnessError):
    """One or more cells of a suite failed (exit code 1)."""


class Unreachable(NotHere, RunFailed):
    """What is named does not answer, or refuses: a server (exit code 1).

    A plan makes a hole of it; a run that is left with one fails, once all others are done.
    """

    exit_code = 1


class MissingExtra(HarnessError):
    """An optional package that the work needs is not installed (exit code 2)."""

    exit_code = 2


class SubmissionError(HarnessError):
    """A predictions file cannot be scored (exit code 2)."""

    exit_code = 2


class StoreError(HarnessError):
    """The run store cannot be read or written (exit code 1)."""
