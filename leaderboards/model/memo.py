"""Answers about an object, computed once and kept on the object itself."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar, cast

__all__ = ["once"]

Subject = TypeVar("Subject")
Answer = TypeVar("Answer")


def once(function: Callable[[Subject], Answer]) -> Callable[[Subject], Answer]:
    """``function`` of one frozen object, computed the first time and remembered by the object.

    A copy made by ``dataclasses.replace`` remembers nothing, and answers go when their object does.

    Example:
        >>> import dataclasses
        >>> @dataclasses.dataclass(frozen=True)
        ... class Box:
        ...     side: int
        >>> calls = []
        >>> volume = once(lambda box: calls.append(box) or box.side**3)
        >>> box = Box(2)
        >>> volume(box), volume(box), len(calls)
        (8, 8, 1)
    """
    name = f"{function.__module__}.{function.__qualname__}"

    @functools.wraps(function)
    def remembered(subject: Subject) -> Answer:
        known = vars(subject)
        if name not in known:
            known[name] = function(subject)
        return cast("Answer", known[name])

    return remembered
