"""How hard to try, and how many requests may be in flight at once."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from harness.errors import SpecError

__all__ = ["Limits", "Pace"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How hard to try.

    Args:
        timeout: Longest attempt, seconds.
        attempts: Requests sent at most for one question.
        backoff: Mean wait before the second attempt, seconds; doubles with each further one.
        start: Requests in flight at first.
        most: Requests in flight at most.
    """

    timeout: float = 120.0
    attempts: int = 5
    backoff: float = 0.5
    start: int = 8
    most: int = 64

    @classmethod
    def asked(cls, *, most: int | None = None, timeout: float | None = None) -> Limits:
        """The defaults, with other bounds where they are given.

        Args:
            most: Requests in flight at most, 1 or more.
            timeout: Longest attempt, seconds.

        Raises:
            SpecError: For values out of range.
        """
        usual = cls()
        most = usual.most if most is None else most
        return cls(
            timeout=usual.timeout if timeout is None else timeout,
            start=min(usual.start, max(most, 1)),
            most=most,
        )

    def __post_init__(self) -> None:
        if not (self.timeout > 0 and self.attempts >= 1 and 1 <= self.start <= self.most):
            raise SpecError(
                f"expected timeout > 0, attempts >= 1 and 1 <= start <= most, found {self}"
            )


class Pace:
    """How many requests may be in flight: one more per round while all is fine, half on overload.

    Fine is an answer within a quarter of the time-out: halving then comes long before it.

    Args:
        limits: Where to start, where to end, and the time-out.
    """

    def __init__(self, limits: Limits) -> None:
        self.limit = float(limits.start)
        self._most = limits.most
        self._fine = limits.timeout / 4
        self._in_flight = 0
        self._last_cut = -math.inf
        self._freed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a place and keep it."""
        async with self._freed:
            await self._freed.wait_for(lambda: self._in_flight < int(self.limit))
            self._in_flight += 1
        try:
            yield
        finally:
            async with self._freed:
                self._in_flight -= 1
                self._freed.notify_all()

    def answered(self, seconds: float) -> None:
        """An answer came after ``seconds``."""
        if seconds <= self._fine:
            self.limit = min(float(self._most), self.limit + 1 / self.limit)

    def overloaded(self, sent: float) -> None:
        """A request sent at ``sent`` (monotonic) met overload; one burst halves only once."""
        if sent > self._last_cut:
            self._last_cut = time.monotonic()
            self.limit = max(1.0, self.limit / 2)
