"""What a call of ``carry`` found and did."""

from __future__ import annotations

from dataclasses import dataclass

from harness._util.canonical import Json
from harness.runs.equivalence import Replayed

__all__ = ["CarryReport", "Change"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """A system whose code is another than that of its stored runs, and what became of them.

    Args:
        system: Registered name.
        old: Fingerprint of the source of its stored runs.
        new: Of today's.
        stored: Cells with runs of the earlier source that are carried over, compared or run again.
        sample: Cells that are executed now.
        sample_seconds: What these took then.
        verdict: ``identical``, ``within tolerance``, ``different``, ``failed``; empty before
            anything was compared.
        replayed: What was compared.
        carried: Cells that count by evidence.
        carried_seconds: What their runs took.
        again: Cells that have to run again.
        failures: (cell, reason) of those of the sample that failed.
    """

    system: str
    old: str
    new: str
    stored: int
    sample: tuple[str, ...] = ()
    sample_seconds: float = 0.0
    verdict: str = ""
    replayed: tuple[Replayed, ...] = ()
    carried: int = 0
    carried_seconds: float = 0.0
    again: int = 0
    failures: tuple[tuple[str, str], ...] = ()

    def record(self) -> dict[str, Json]:
        """As JSON values, unrounded."""
        return {
            "system": self.system,
            "old": self.old,
            "new": self.new,
            "stored": self.stored,
            "sample": list(self.sample),
            "sample_seconds": self.sample_seconds,
            "verdict": self.verdict or None,
            "replayed": [run.json() for run in self.replayed],
            "carried": self.carried,
            "carried_seconds": self.carried_seconds,
            "again": self.again,
            "failures": [{"cell": cell, "reason": reason} for cell, reason in self.failures],
        }


@dataclass(frozen=True, kw_only=True)
class CarryReport:
    """What a call of ``carry`` found and did, in cells of the suite.

    Args:
        suite: Its name.
        tolerance: Up to which differences are tolerated, on the label scale.
        present: Cells with a run of today's code.
        before: Cells that counted by earlier evidence already.
        without: Cells that no source has a sound run of.
        changes: Systems whose code changed.
    """

    suite: str
    tolerance: float
    present: int
    before: int
    without: int
    changes: tuple[Change, ...]

    @property
    def holds(self) -> bool:
        """Whether every change came out the same."""
        return all(one.verdict not in ("different", "failed") for one in self.changes)

    def record(self) -> dict[str, Json]:
        """As JSON values, unrounded."""
        return {
            "suite": self.suite,
            "tolerance": self.tolerance,
            "present": self.present,
            "carried_before": self.before,
            "without_run": self.without,
            "changes": [one.record() for one in self.changes],
        }
