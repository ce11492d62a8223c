"""Runs, failures and plans that are taken away, and brought back until they are cleaned out.

What is taken away is moved by renames into ``removed/`` of the store, where nothing else looks:
each run, failure or plan is in its place or there, whole, at any moment. The store is held
meanwhile, so nothing is taken from under a driver.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness._util.atomic import folders_in, remove_folder, sync_folder
from harness.data import removing as removed_corpora
from harness.errors import SpecError, StoreError
from harness.home import Home
from harness.runs.catalogue import key_of
from harness.runs.store import RunStore

__all__ = [
    "Cleaned",
    "clean",
    "remove_plan",
    "remove_runs",
    "removed_plans",
    "removed_runs",
    "restore_plan",
    "restore_runs",
    "suites_on",
]

_FULL = "free some space or fix the permissions; the same command continues"


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """What was deleted for good: how many of a kind, and their bytes."""

    what: str
    count: int
    size: int


def removed_runs(store: RunStore) -> list[str]:
    """Keys of runs and failures that can be brought back, sorted."""
    kept = {path.stem for path in (_bin(store) / "failures").glob("*.json")}
    return sorted({*folders_in(_bin(store) / "runs"), *kept})


def removed_plans(store: RunStore) -> list[str]:
    """Suites whose plans can be brought back, sorted."""
    return sorted(path.stem for path in (_bin(store) / "plans").glob("*.json"))


def remove_runs(store: RunStore, names: Sequence[str]) -> list[str]:
    """Take runs away, or the memory of their failures.

    Args:
        store: Where they are.
        names: As ``key_of`` takes them; all are looked up before the first one goes.

    Returns:
        Their keys.

    Raises:
        SpecError: For a name that is none, or of several.
        StoreError: For a cell that was never run, while a driver is at work, or when the disk
            refuses.
    """
    with store.writing():
        keys = list(dict.fromkeys(key_of(store, name) for name in names))
        for key in keys:
            if key not in store and key not in store.failed():
                raise StoreError(
                    f"cell {key[:12]} is planned and was not run: there is nothing to delete",
                    hint="msa plans delete SUITE takes a plan away",
                )
        for key in keys:
            _take_run(store, key)
    return keys


def restore_runs(store: RunStore, names: Sequence[str]) -> list[str]:
    """Bring runs and failures back; what was run again meanwhile stays.

    Args:
        store: Where they were.
        names: Beginnings of their keys; none: all of them.

    Returns:
        Their keys.

    Raises:
        SpecError: For the beginning of no removed run, or of several.
        StoreError: When one of that key is stored again, while a driver is at work, or when the
            disk refuses.
    """
    with store.writing():
        there = removed_runs(store)
        keys = [_one(name, there, "run") for name in names] if names else there
        for key in keys:
            if key in store:
                raise StoreError(
                    f"run {key[:12]} is stored again", hint=f"msa runs delete {key[:12]}"
                )
        for key in keys:
            with _moving(f"run {key[:12]}"):
                away = _bin(store)
                _move(away / "runs" / key, store.folder(key))
                for file in (store.traceback_file(key), store.failure_file(key)):
                    _move(away / "failures" / file.name, file)
    return keys


def remove_plan(store: RunStore, suite: str) -> list[str]:
    """Take the plan of a suite away; its runs and its board stay.

    Returns:
        Keys of stored runs that no plan names any more.

    Raises:
        SpecError: For the plan of a round of a search whose last round is planned.
        StoreError: For a suite that was never run here, while a driver is at work, or when the disk
            refuses.
    """
    with store.writing():
        own = store.plan(suite).keys
        others: set[str] = set()
        for name in store.plans():
            if name == suite:
                continue
            plan = store.plan(name)
            others |= plan.keys
            if plan.tuning is not None and suite in {rung.plan for rung in plan.tuning.rungs}:
                raise SpecError(
                    f"plan {suite} is a round of the search {name}",
                    hint=f"msa plans delete {name} first",
                )
        with _moving(f"the plan of suite {suite!r}"):
            _move(store.plan_file(suite), _bin(store) / "plans" / f"{suite}.json")
        return sorted((own & store.keys()) - others)


def restore_plan(store: RunStore, suite: str) -> None:
    """Bring the plan of a suite back.

    Raises:
        SpecError: When none of that name was removed.
        StoreError: When it was planned again, while a driver is at work, or when the disk refuses.
    """
    with store.writing():
        name = _one(suite, removed_plans(store), "plan", whole=True)
        if store.plan_file(name).is_file():
            raise StoreError(
                f"suite {name} is planned again",
                hint=f"msa plans delete {name} takes it away first",
            )
        with _moving(f"the plan of suite {name!r}"):
            _move(_bin(store) / "plans" / f"{name}.json", store.plan_file(name))


def suites_on(store: RunStore, corpus: str) -> list[str]:
    """Suites, as last planned, that have a corpus.

    Raises:
        StoreError: For a damaged plan.
    """
    return [
        suite
        for suite in store.plans()
        if corpus in {cell.corpus for cell in store.plan(suite).cells}
    ]


def clean(home: Home) -> list[Cleaned]:
    """Delete what was removed, for good, and what is left of cells that are no more.

    That is their logs, and trainings that were interrupted and will not be taken up; and what
    boards remember.

    Raises:
        StoreError: While a driver is at work, or when the disk refuses.
    """
    store = RunStore(home.store)
    if not store.root.is_dir():
        return [_cleaned_corpora(home)]
    with store.writing(), _moving("what was removed"):
        away, runs, plans = _bin(store), removed_runs(store), removed_plans(store)
        size = _size([away / "runs", away / "failures"])
        found = [
            _cleaned_corpora(home),
            Cleaned(what="runs", count=len(runs), size=size),
            Cleaned(what="plans", count=len(plans), size=_size([away / "plans"])),
        ]
        if away.is_dir():
            shutil.rmtree(away)
        planned = {key for suite in store.plans() for key in store.plan(suite, written=True).keys}
        known = planned | store.keys() | set(store.failed())
        logs = [path for path in store.root.glob("logs/*.log") if path.stem not in known]
        kept = home.training_file("*")
        trainings = [
            path
            for path in kept.parent.glob(kept.name)
            if path.stem in store or path.stem not in planned
        ]
        for what, files in (("logs", logs), ("interrupted trainings", trainings)):
            found.append(Cleaned(what=what, count=len(files), size=_size(files)))
            for file in files:
                file.unlink(missing_ok=True)
        found.append(_forgotten(store))
    return found


def _forgotten(store: RunStore) -> Cleaned:
    """Away with numbers that the next board computes again."""
    files = [file for file in store.computed.rglob("*") if file.is_file()]
    size = _size(files)
    shutil.rmtree(store.computed, ignore_errors=True)
    return Cleaned(what="remembered numbers of boards", count=len(files), size=size)


def _cleaned_corpora(home: Home) -> Cleaned:
    count = len(removed_corpora.removed(home))
    return Cleaned(what="corpora", count=count, size=removed_corpora.clean(home))


def _take_run(store: RunStore, key: str) -> None:
    with _moving(f"run {key[:12]}"):
        away = _bin(store)
        _move(store.folder(key), away / "runs" / key)
        for file in (store.traceback_file(key), store.failure_file(key)):
            _move(file, away / "failures" / file.name)


def _move(source: Path, target: Path) -> None:
    """Move what is there by one rename; what was removed before under its name is gone then."""
    if not source.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        remove_folder(target)
    source.replace(target)
    sync_folder(target.parent)
    sync_folder(source.parent)


def _one(name: str, there: Iterable[str], noun: str, *, whole: bool = False) -> str:
    """The one of that name, or of that beginning."""
    found = [one for one in there if one == name or (not whole and one.startswith(name))]
    if len(found) == 1:
        return found[0]
    known = ", ".join(one if whole else one[:12] for one in (found or list(there))[:8]) or "none"
    if found:
        raise SpecError(f"{len(found)} removed {noun}s begin with {name}: {known}")
    raise SpecError(f"no {noun} {name!r} was removed (removed: {known})")


@contextlib.contextmanager
def _moving(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{what} cannot be moved or deleted: {error}", hint=_FULL) from error


def _bin(store: RunStore) -> Path:
    return store.root / "removed"


def _size(places: Iterable[Path]) -> int:
    """Bytes of files, and of those in folders."""
    files = (file for place in places for file in (place, *place.rglob("*")) if file.is_file())
    return sum(file.stat().st_size for file in files)
