"""Signals that ask a process to stop: one line, exit code 1, the terminal as it was.

The first one unwinds the program as Ctrl-C does, so that whoever has to clean up does. The next one
ends it at once: what is stored is whole at any moment.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Final, NoReturn

__all__ = ["Stopped", "ending_in_one_line"]

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SHOW_CURSOR: Final = "\x1b[?25h"
_BY_SIGNAL: Final = 130  # how the command line parser ends after an interruption, without a word
_FAILED: Final = 1


class Stopped(KeyboardInterrupt):
    """The process was asked to stop; the text names the signal."""


class _Asked:
    """What to do about such signals, and which came first."""

    def __init__(self) -> None:
        self.first = ""
        self.over = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self.first or self.over:
            _leave(None if self.over else f"stopped at once by {name}")
        self.first = name
        raise Stopped(name)


def ending_in_one_line(work: Callable[[], None]) -> NoReturn:
    """Carry out the work of a process and end it, however often it is asked to stop meanwhile.

    Signals that are ignored, as in the background of a script or under ``nohup``, stay ignored.
    """
    asked = _Asked()
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, asked)
    try:
        work()
    except KeyboardInterrupt:
        _say(f"stopped by {asked.first or 'an interruption'}")
        sys.exit(_FAILED)
    except SystemExit as ended:
        if asked.first and ended.code == _BY_SIGNAL:
            _say(f"stopped by {asked.first}")
            sys.exit(_FAILED)
        raise
    finally:
        asked.over = True  # what Python itself does at its end is interrupted without a word
    sys.exit(0)


def _say(what: str) -> None:
    """One line on standard error, by the shortest way; a closed terminal takes none."""
    line = f"error: {what}\n"
    try:
        cursor = _SHOW_CURSOR if os.isatty(2) else ""
        os.write(2, f"{cursor}{line}".encode())
    except OSError:
        return


def _leave(what: str | None) -> NoReturn:
    if what is not None:
        _say(what)
    os._exit(_FAILED)
