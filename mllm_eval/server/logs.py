"""What a dead server's log has to say, without the thousand lines around it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

__all__ = ["last_words", "newest_line"]

_TAIL: Final = 200_000  # bytes
_LONGEST: Final = 400  # characters of one line
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_PREFIX: Final = re.compile(
    r"^(?:\([^)]*pid=\d+\)\s*)?(?:[A-Z]+ \d\d-\d\d [\d:]+ (?:\[[^\]]*\] ?)?)?"
)
_ERROR: Final = re.compile(
    r"^(?:[\w.]+\.)?\w*(?:Error|Exception|Interrupt|error)\b: ?\S|^Value error, "
)
_FOLLOWS: Final = ("Engine core initialization failed", "See root cause above")
"""Said by the front end whenever the engine has said something better."""


def last_words(log: Path, *, lines: int = 2) -> str:
    """The last distinct errors in a log, else its last lines.

    Args:
        log: The file; may be missing.
        lines: Lines wanted at most.

    Returns:
        One line of text.
    """
    said = _lines(log)
    if not said:
        return "it printed nothing"
    errors = [line for line in said if _ERROR.match(line) and not _is_consequence(line)]
    chosen = list(dict.fromkeys(errors or said))[-lines:]
    return " / ".join(line[:_LONGEST] for line in chosen)


def _is_consequence(line: str) -> bool:
    return any(words in line for words in _FOLLOWS)


def _lines(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    plain = _COLOUR.sub("", text).replace("\r", "\n").splitlines()
    return [line for raw in plain if (line := _PREFIX.sub("", raw).strip())]


def newest_line(log: Path) -> str:
    """What the server printed last, empty before it has."""
    said = _lines(log)
    return said[-1][:_LONGEST] if said else ""
