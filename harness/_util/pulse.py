"""Says now and then how far long work is: how many of how many, how fast, how much is left."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from harness._util.printed import duration

__all__ = ["Pulse"]

_EVERY = 10.0  # seconds between lines
_WINDOW = 60.0  # seconds that the rate is measured over: work speeds up, and stalls


class Pulse:
    """Counts what is done of a known number of things.

    Args:
        total: How many there are.
        clock: Seconds, rising.
    """

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._clock = clock
        self._count = 0
        self._told = clock()
        self._recent = deque([(self._told, 0)])  # when, and how many there were

    def beat(self) -> str:
        """One more is done; a line when it is time for one, else nothing.

        Example:
            >>> times = iter([0.0, 5.0, 10.0])
            >>> pulse = Pulse(10, lambda: next(times))
            >>> pulse.beat(), pulse.beat()
            ('', '2 of 10, 0.2 a second, 40 s left')
        """
        self._count += 1
        now = self._clock()
        if now - self._told < _EVERY:
            return ""
        self._told = now
        while now - self._recent[0][0] > _WINDOW and len(self._recent) > 1:
            self._recent.popleft()
        since, before = self._recent[0]
        self._recent.append((now, self._count))
        rate = (self._count - before) / (now - since)
        left = duration((self._total - self._count) / rate)
        return f"{self._count:,} of {self._total:,}, {rate:,.1f} a second, {left} left"
