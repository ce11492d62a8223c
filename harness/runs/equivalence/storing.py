"""Equivalence records as files of a run store; each ends with the digest of its content and name.

Who writes holds the store.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from harness._util import canonical
from harness._util.atomic import write_atomic
from harness._util.checksums import is_litter
from harness._util.sealed import read_sealed, sealed
from harness.errors import StoreError
from harness.runs.equivalence.record import Equivalence
from harness.runs.store import RunStore

__all__ = ["discard", "evidence_of", "file_of", "names", "put", "read"]

_LARGEST = 64 * 2**20  # bytes; a run takes less than a thousand


def file_of(store: RunStore, name: str) -> Path:
    """Where the record called ``name`` is, if it is there."""
    return store.root / "equivalences" / f"{name}.json"


def names(store: RunStore) -> list[str]:
    """The records of a store, sorted."""
    found = store.root.glob("equivalences/*.json")
    return sorted(path.stem for path in found if not is_litter(path.name))


def read(store: RunStore, name: str) -> Equivalence:
    """A record as it was written; whether it holds is not asked.

    Raises:
        StoreError: When it is not there, or is not what was written under this name.
    """
    path = file_of(store, name)
    where = f"damaged record {path.name} in equivalences"
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"it is larger than {_LARGEST // 2**20} MiB")
        table = json.loads(read_sealed(path))
    except FileNotFoundError as error:
        raise StoreError(
            f"equivalence record {name} is not in the store", hint="msa carry SUITE"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{where}: {error}", hint=Equivalence.hint) from error
    record = Equivalence.of(table, where)
    if record.name != name:
        raise StoreError(f"{where}: it is record {record.name}", hint=Equivalence.hint)
    return record


def put(store: RunStore, record: Equivalence) -> None:
    """Write a record; one of the same sources gives way to it.

    Raises:
        StoreError: When the disk refuses.
    """
    path = file_of(store, record.name)
    content = canonical.dumps(record.json(), indent=1).encode()
    try:
        write_atomic(path, sealed(content, path.name))
    except OSError as error:
        raise _refused(record.name, error) from error


def discard(store: RunStore, name: str) -> None:
    """Take a record away; nothing to take away is fine.

    Raises:
        StoreError: When the disk refuses.
    """
    try:
        file_of(store, name).unlink(missing_ok=True)
    except OSError as error:
        raise _refused(name, error) from error


def evidence_of(store: RunStore, records: Iterable[str]) -> Mapping[str, Equivalence]:
    """Those records that can be read, by name."""
    found: dict[str, Equivalence] = {}
    for name in sorted(set(records)):
        try:
            found[name] = read(store, name)
        except StoreError:
            continue
    return found


def _refused(name: str, error: OSError) -> StoreError:
    return StoreError(
        f"equivalence record {name} could not be stored: {error}",
        hint="free some space or fix the permissions; the same command continues",
    )
