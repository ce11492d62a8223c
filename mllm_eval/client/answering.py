"""Whether the model that answers is the one that was asked.

Providers serve snapshots under a shorter name, and route a retired name to another model without a
word. Servers say in each answer which model gave it.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["is_asked"]

_UNTOLD: Final = "main"
_SNAPSHOT: Final = re.compile(r"-\d[\d-]*")


def is_asked(asked: str, revision: str, answering: str) -> bool:
    """Whether an answer by ``answering`` is one of the model that was asked.

    Owners before a slash are left out. A dated or numbered snapshot of the model is the model,
    unless the revision is another snapshot of it. A revision behind ``@``, as the server of
    transformers tells, is that of the weights, or ``main``, which says nothing.

    Args:
        asked: Name that the request gave.
        revision: Of the weights, or the snapshot of a closed model.
        answering: Name in the answer; empty where there is none.

    Example:
        >>> is_asked("gpt-4o", "", "gpt-4o-2024-11-20"), is_asked("gpt-4o", "", "gpt-4o-mini")
        (True, False)
        >>> is_asked("gpt-4o", "gpt-4o-2024-11-20", "gpt-4o-2024-08-06")
        False
        >>> is_asked("m", "", "m@main"), is_asked("m", "0f1e", "m@77aa")
        (True, False)
    """
    name, wanted, found = (_bare(text) for text in (asked, revision, answering))
    if found in ("", name, wanted):
        return True
    base, at, told = found.partition("@")
    if at and base == name:
        return not wanted or told in (_UNTOLD, wanted)
    return _is_snapshot(found, name) and not _is_snapshot(wanted, name)


def _is_snapshot(name: str, of: str) -> bool:
    return name.startswith(of) and _SNAPSHOT.fullmatch(name.removeprefix(of)) is not None


def _bare(name: str) -> str:
    return name.rpartition("/")[2].lower()
