"""Runs that nothing asks for any more: of an earlier source of the code, of other parameters.

What a stored plan names is kept, and so are what a written board names and the runs that an
equivalence record is about. Where a plan or a record cannot be read, or there is no plan at all,
nothing says what is needed, and nothing is taken away.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness._util.canonical import Json
from harness.errors import StoreError
from harness.home import Home
from harness.runs.equivalence import names, read
from harness.runs.store import RunStore, StoredRun

__all__ = ["Leftover", "leftovers", "prune"]

_NAMED = re.compile(rb"\b[0-9a-f]{8,32}\b")
"""A key, or its beginning, as ``msa replay`` takes it."""


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """A stored run, or a remembered failure, that no plan refers to.

    Args:
        key: Of the run.
        what: What was run, in words.
        size: Bytes on the disk.
        failed: Whether it is the record of a failure.
    """

    key: str
    what: str
    size: int
    failed: bool = False

    def record(self) -> dict[str, Json]:
        """As JSON values."""
        return {"key": self.key, "what": self.what, "bytes": self.size, "failed": self.failed}


def leftovers(home: Home) -> list[Leftover]:
    """What ``prune`` would take away, runs first, each by key.

    Raises:
        StoreError: Where a plan or an equivalence record is damaged, or there are runs and no plan.
    """
    store = RunStore(home.store)
    keys = [run.key for run in store]
    failures = {key: store.failure_file(key) for key in store.failed()}
    if not store.plans():
        if keys:
            raise StoreError(
                f"{len(keys)} runs are here and no plan that says which are needed: none is taken"
                " away",
                hint="msa run SUITE plans a suite again, without running what is there",
            )
        return []
    needed = frozenset(_needed(store))
    shown = _named(home.boards)
    free = [key for key in keys if key not in needed and not _is_named(key, shown)]
    return [
        *(_of_run(store.get(key)) for key in free),
        *(
            Leftover(key=key, what="the reason of a failure", size=path.stat().st_size, failed=True)
            for key, path in failures.items()
            if key not in needed
        ),
    ]


def prune(home: Home) -> list[Leftover]:
    """Take away what no plan refers to, and say what that was. The store is held meanwhile.

    A kill leaves each run whole or gone.

    Raises:
        StoreError: As ``leftovers``; when another process writes to the store; when the disk
            refuses.
    """
    store = RunStore(home.store)
    with store.writing():
        found = leftovers(home)
        for item in found:
            if item.failed:
                store.forget_failure(item.key)
            else:
                store.discard(item.key)
    return found


def _needed(store: RunStore) -> Iterator[str]:
    """Keys that plans name, as they were written, and those of what records are about."""
    for suite in store.plans():
        plan = store.plan(suite, written=True)
        yield from plan.keys
        yield from (cell.planned for cell in plan.cells if cell.planned is not None)
    for name in names(store):
        yield from (key for run in read(store, name).runs for key in (run.old, run.new))


def _of_run(run: StoredRun) -> Leftover:
    try:
        spec = run.manifest.spec
        what = f"{spec.system} on {spec.corpus}, seed {spec.seed}"
    except StoreError:
        what = "damaged"
    size = sum(path.stat().st_size for path in run.folder.iterdir() if path.is_file())
    return Leftover(key=run.key, what=what, size=size)


def _named(boards: Path) -> frozenset[str]:
    """What looks like a key, or its beginning, in the files of boards."""
    files = (path for path in boards.rglob("*") if path.suffix in (".md", ".html", ".json"))
    return frozenset(
        found.decode()
        for path in files
        if path.is_file()
        for found in _NAMED.findall(path.read_bytes())
    )


def _is_named(key: str, shown: frozenset[str]) -> bool:
    return any(key[:length] in shown for length in range(8, len(key) + 1))
