"""What a worker tells of its cell while that runs: for people and logs, never part of a record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from harness.runs.cell import Job
from harness.system import Epoch

__all__ = ["Began", "Broke", "CellEvent", "Hear", "Said", "Tell", "Trained", "unheard"]


@dataclass(frozen=True, kw_only=True)
class Began:
    """A worker has taken the cell up.

    Args:
        worker: Its process, and on a cluster its node.
        device: Where it computes.
    """

    worker: str
    device: str


@dataclass(frozen=True, kw_only=True)
class Trained:
    """An epoch ended.

    Args:
        epoch: Its line of the history.
        of: Epochs that its stage may take; it may stop earlier.
    """

    epoch: Epoch
    of: int


@dataclass(frozen=True, kw_only=True)
class Said:
    """A line of a log, or a warning of a library.

    Args:
        level: As ``logging`` counts.
        source: Name of the logger; ``py.warnings`` for what went through ``warnings``.
        text: What it said, without secrets.
    """

    level: int
    source: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Broke:
    """An exception ended the cell.

    Args:
        traceback: Where, the system's own code first; without secrets and folders of the machine.
    """

    traceback: str


CellEvent: TypeAlias = Began | Trained | Said | Broke
Tell: TypeAlias = Callable[[CellEvent], None]
"""How a worker says something of the cell it is on."""
Hear: TypeAlias = Callable[[Job, CellEvent], None]
"""Who hears what is said of which cell; it must not raise."""


def unheard(job: Job, event: CellEvent) -> None:
    """Nobody hears."""
