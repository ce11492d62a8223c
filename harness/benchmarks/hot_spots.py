"""Where the time of some work goes, in words for the note of a row."""

from __future__ import annotations

import time
from collections.abc import Callable

from torch.profiler import ProfilerActivity, profile

__all__ = ["hot_spots"]

_SPOTS = 4
"""Operators named."""


def hot_spots(work: Callable[[], object]) -> str:
    """The operators in which most of it goes by, and the share of all of them together."""
    began = time.perf_counter()  # the profiler's clock
    with profile(activities=[ProfilerActivity.CPU]) as watched:
        work()
    whole = (time.perf_counter() - began) * 1e6
    operators = [e for e in watched.key_averages() if e.key.startswith("aten::")]
    spent = {e.key.removeprefix("aten::"): e.self_cpu_time_total / whole for e in operators}
    most = sorted(spent.items(), key=lambda item: -item[1])[:_SPOTS]
    named = ", ".join(f"{name} {share:.0%}" for name, share in most)
    return f"{sum(spent.values()):.0%} is PyTorch's operators ({named})"
