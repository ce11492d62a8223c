"""What an export needs of an SQLite file beside what MLflow does with it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.errors import StoreError

__all__ = ["check_database", "write_ahead"]

_PATIENCE = 1.0
"""Seconds to wait for others to let go of the database."""


def check_database(file: Path) -> None:
    """Refuse at once what MLflow would retry for minutes.

    Raises:
        StoreError: When the file is no database, or cannot be made.
    """
    try:
        with contextlib.closing(sqlite3.connect(file)) as database:
            database.execute("PRAGMA schema_version")
    except sqlite3.Error as error:
        raise StoreError(
            f"{file.name} cannot be used as a database: {error}",
            hint="move that file away, or export elsewhere with --uri sqlite:///FILE",
        ) from error


@contextlib.contextmanager
def write_ahead(file: Path | None) -> Iterator[None]:
    """Let commits not wait for the disk while the block runs; nothing for None.

    MLflow commits several times per run, and waiting for the disk was most of an export. With a
    write-ahead log a power cut may undo the last commits, which the next export makes again, but
    cannot damage the database. Afterwards it is one file as before, unless a server has it open.
    Where no such log can be had (some network folders, a busy reader) commits wait as ever.

    Source: sqlite.org/wal.html; sqlite.org/pragma.html#pragma_synchronous
    """
    before = None if file is None else _journal(file)
    if file is None or _journal(file, "WAL") != "wal":
        yield
        return
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    opened: list[Any] = []

    def relax(connection: object, record: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous=NORMAL")
            opened.append(record)

    event.listen(Engine, "connect", relax)
    try:
        yield
    finally:
        event.remove(Engine, "connect", relax)
        for record in opened:  # MLflow keeps them open, and an open one keeps the log
            record.invalidate()
        _journal(file, before)


def _journal(file: Path, mode: str | None = None) -> str:
    """Ask for a journal mode, if any; returns the one in force, in lower case."""
    with contextlib.closing(sqlite3.connect(file, timeout=_PATIENCE)) as database:
        if mode is not None:
            with contextlib.suppress(sqlite3.OperationalError):  # somebody is using the database
                database.execute(f"PRAGMA journal_mode={mode}")
        return str(database.execute("PRAGMA journal_mode").fetchone()[0])
