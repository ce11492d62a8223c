"""What a check of conformance finds, and how checks that raise become findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from harness.errors import HarnessError

__all__ = ["CRASHES", "Broken", "ConformanceFinding", "Skipped", "found", "outcome_of"]

T = TypeVar("T")

CRASHES = (
    *(ArithmeticError, AssertionError, AttributeError, HarnessError, LookupError, NameError),
    *(NotImplementedError, RuntimeError, TypeError, ValueError),
)
"""What a defect raises. Anything else (memory, a signal, an interrupt) is no answer."""


@dataclass(frozen=True, kw_only=True)
class ConformanceFinding:
    """The outcome of one check; ``detail`` says why, unless the check passed."""

    check: str
    outcome: Literal["passed", "failed", "declared", "skipped"]
    detail: str = ""

    @property
    def passed(self) -> bool:
        """Whether there is nothing to repair."""
        return self.outcome != "failed"


class Broken(Exception):
    """The rule is broken."""


class Skipped(Exception):
    """The check does not apply, or cannot see anything here."""


def outcome_of(name: str, check: Callable[[T], None], subject: T) -> ConformanceFinding:
    """Carry out one check."""
    try:
        check(subject)
    except Skipped as reason:
        return ConformanceFinding(check=name, outcome="skipped", detail=str(reason))
    except Broken as reason:
        return ConformanceFinding(check=name, outcome="failed", detail=str(reason))
    except CRASHES as error:
        detail = f"{type(error).__name__}: {error}"
        return ConformanceFinding(check=name, outcome="failed", detail=detail)
    return ConformanceFinding(check=name, outcome="passed")


def found(checks: Mapping[str, Callable[[T], None]], subject: T) -> list[ConformanceFinding]:
    """One finding a check, in order."""
    return [outcome_of(name, check, subject) for name, check in checks.items()]
