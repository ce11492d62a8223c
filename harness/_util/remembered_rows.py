"""What was found out once of many things, kept by key: asking for a few does not read the rest.

As ``remembered``, for what grows with a store: an SQLite file, whose rows have digests of their
own. Such a file is no authority: one that is lost, damaged, unwritable, busy for long or of other
rules costs looking again, and never an error.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from pathlib import Path

from harness._util.canonical import Json

__all__ = ["RememberedRows"]

_PATIENCE = 5.0  # seconds to wait for another process that writes what it learnt
_TABLE = """\
CREATE TABLE IF NOT EXISTS remembered (key TEXT PRIMARY KEY, value TEXT, sum TEXT) WITHOUT ROWID"""
_ASK = "SELECT value, sum FROM remembered WHERE key = ?"
_LEARN = """\
INSERT INTO remembered VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE
SET value = excluded.value, sum = excluded.sum
WHERE (value, sum) IS NOT (excluded.value, excluded.sum)"""
_FORGET = "DELETE FROM remembered WHERE key = ?"
_KEYS = "SELECT key FROM remembered"
_REFUSED = frozenset(
    {
        *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM),
        *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM),
    }
)
"""What SQLite says where the file may be whole; whatever else it says, the file is damaged."""


class RememberedRows:
    """JSON arrays by key in an SQLite file.

    Args:
        path: The file.
        rules: What decided: what was found by others says nothing about these.
    """

    def __init__(self, path: Path, rules: str) -> None:
        self._path, self._rules = path, rules

    def get(self, key: str) -> list[Json] | None:
        """What is remembered of a key, or None."""
        try:
            found = self._open.execute(_ASK, (key,)).fetchone()
        except sqlite3.Error:
            return None
        if found is None or found[1] != self._sum(key, found[0]):
            return None
        value: list[Json] = json.loads(found[0])
        return value

    def keys(self) -> set[str]:
        """Of what something is remembered, by whichever rules."""
        try:
            return {key for (key,) in self._open.execute(_KEYS)}
        except sqlite3.Error:
            return set()

    def change(
        self,
        learn: Mapping[str, Sequence[Json]],
        forget: Iterable[str],
        there: Callable[[], Set[str]],
    ) -> None:
        """Learn and forget in one step; other processes see both or neither.

        Args:
            learn: Key -> what to remember of it.
            forget: Keys of which nothing is to be remembered.
            there: The keys that exist; others are forgotten whenever something is learnt.
        """
        texts = {key: json.dumps(value, separators=(",", ":")) for key, value in learn.items()}
        with contextlib.suppress(OSError, sqlite3.Error):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._change(texts, forget, there)
            except sqlite3.Error as error:
                if _refused(error):
                    return
                self._path.unlink()
                self._change(texts, (), there)

    def _change(
        self, texts: Mapping[str, str], forget: Iterable[str], there: Callable[[], Set[str]]
    ) -> None:
        with contextlib.closing(sqlite3.connect(self._path, timeout=_PATIENCE)) as file, file:
            file.execute("BEGIN IMMEDIATE")
            file.execute(_TABLE)
            file.executemany(_FORGET, ((key,) for key in forget))
            file.executemany(_LEARN, ((k, text, self._sum(k, text)) for k, text in texts.items()))
            if texts:
                known = {key for (key,) in file.execute(_KEYS)}
                file.executemany(_FORGET, ((key,) for key in known - there()))

    @functools.cached_property
    def _open(self) -> sqlite3.Connection:
        where = f"{self._path.absolute().as_uri()}?mode=ro"
        return sqlite3.connect(where, uri=True, timeout=_PATIENCE, check_same_thread=False)

    def _sum(self, key: str, text: str) -> str:
        return hashlib.sha256(f"{self._rules} {key} {text}".encode()).hexdigest()[:32]


def _refused(error: sqlite3.Error) -> bool:
    """Whether the file may be whole; text in it that is none comes without SQLite's code."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _REFUSED
