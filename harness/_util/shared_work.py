"""What several threads want is made once: the first makes it, the others wait for it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

__all__ = ["SharedWork"]

T = TypeVar("T")


class SharedWork(Generic[T]):
    """The latest results of a function, up to a size together.

    Args:
        most: Sum of the sizes that is kept; what was not asked for longest goes first.
        size: Of a result.
    """

    def __init__(self, most: int, size: Callable[[T], int]) -> None:
        self._most = most
        self._size = size
        self._held = 0
        self._lock = threading.Lock()
        self._made: OrderedDict[Hashable, Future[T]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The result under ``key``, made now where it is not there; what fails is not kept."""
        ours = Future[T]()
        with self._lock:
            found = self._made.setdefault(key, ours)
            self._made.move_to_end(key)
        return self._make(key, ours, make) if found is ours else found.result()

    def _make(self, key: Hashable, ours: Future[T], make: Callable[[], T]) -> T:
        try:
            result = make()
        except BaseException as error:
            with self._lock:
                del self._made[key]
            ours.set_exception(error)
            raise
        ours.set_result(result)
        with self._lock:
            self._held += self._size(result)
            self._forget()
        return result

    def _forget(self) -> None:
        """Let go of the oldest results; one that is being made stays."""
        for key in list(self._made):
            if self._held <= self._most:
                return
            if (old := self._made[key]).done():
                self._held -= self._size(old.result())
                del self._made[key]
