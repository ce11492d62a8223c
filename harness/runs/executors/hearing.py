"""What code says while it runs a cell: log lines and warnings, on their way to the cell's log."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from harness._util.redaction import redacted
from harness._util.shown import LONGEST_LINE, bounded
from harness.runs.events import Said, Tell

__all__ = ["heard"]

_OURS = "harness"
_MOST = 200  # lines of a cell; code that logs every batch fills no disk


@contextlib.contextmanager
def heard(tell: Tell) -> Iterator[None]:
    """Tell what is logged or warned of while the block lasts, instead of printing it.

    Of libraries and plug-ins that is what they warn of, of the harness also what it mentions.
    """
    handler, root, ours = _Teller(tell), logging.getLogger(), logging.getLogger(_OURS)
    before = ours.level
    root.addHandler(handler)
    ours.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        ours.setLevel(before)
        root.removeHandler(handler)


class _Teller(logging.Handler):
    def __init__(self, tell: Tell) -> None:
        super().__init__(logging.INFO)
        self._tell, self._left, self._telling = tell, _MOST, False

    def emit(self, record: logging.LogRecord) -> None:
        if self._telling:  # in one process, who is told may log it
            return
        self._left -= 1
        if self._left < 0:
            return
        text = "further lines are left out"
        if self._left:
            text = bounded(redacted(record.getMessage()).strip(), LONGEST_LINE)
        self._telling = True
        try:
            self._tell(Said(level=record.levelno, source=record.name, text=text))
        finally:
            self._telling = False
