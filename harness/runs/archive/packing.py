"""What goes into an archive: everything that a board follows from, but for the labels."""

from __future__ import annotations

import importlib.metadata
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from harness._util import canonical, checksums
from harness._util.canonical import Json
from harness.data.store import fingerprint
from harness.errors import StoreError
from harness.runs.archive.files import BOARD, MANIFEST, PLAN, SUITE, listing, write
from harness.runs.equivalence import file_of, read
from harness.runs.provenance import environment
from harness.runs.soundness import damage_of
from harness.runs.store import RunStore
from harness.runs.stored_plan import StoredPlan
from harness.submissions import SubmissionStore

__all__ = ["FORMAT", "LEFT_OUT", "Packed", "labels_digest", "pack", "version"]

FORMAT = 1
LEFT_OUT = frozenset({"answers.parquet"})
"""Files of a run that stay at home: what a language model answered may quote a transcript."""


@dataclass(frozen=True, kw_only=True)
class Packed:
    """What an archive holds.

    Args:
        path: Where it is.
        runs: How many runs, with those that equivalence records are about.
        submissions: How many submissions.
        missing: Planned cells without a run, those that failed among them.
        without_suite: Why the suite's file is not in it; empty where it is.
    """

    path: Path
    runs: int
    submissions: int
    missing: int
    without_suite: str


def pack(
    store: RunStore,
    suite: str,
    path: Path,
    *,
    board: tuple[bytes, bytes],
    suite_file: Path | None = None,
) -> Packed:
    """Write the archive of a suite; of an unchanged store, the same bytes again.

    Args:
        store: Where its runs are.
        suite: Its name.
        path: Where to write.
        board: Markdown and page, as they are rendered from that store.
        suite_file: The file that people wrote; left out where it names places of this machine.

    Raises:
        StoreError: When the suite was never run here, when a run, a record or a submission is
            damaged, or when the disk refuses.
    """
    plan = store.plan(suite)
    if not store.plan_is_sealed(suite):
        raise _older(f"the plan of suite {suite!r}", f"msa run {suite}")
    if plan != store.plan(suite, written=True):
        raise StoreError(
            f"the plan of suite {suite!r} relies on equivalence records that do not hold",
            hint=f"msa carry {suite}; msa verify says what is wrong with them",
        )
    records = {name: read(store, name) for name in sorted(plan.records)}
    evidence = {key for one in records.values() for run in one.runs for key in (run.old, run.new)}
    planned = frozenset(key for key in plan.keys if key in store)
    runs = sorted(planned | evidence)
    failed = sorted(key for key in plan.keys if store.failure(key) is not None)
    without = _unfit(suite_file)
    members: dict[str, Path | bytes] = {
        **dict(zip(BOARD, board, strict=True)),
        PLAN: store.plan_file(suite),
        **{f"failures/{key}.json": store.failure_file(key) for key in failed},
        **{f"equivalences/{name}.json": file_of(store, name) for name in records},
        **{name: file for key in runs for name, file in _run_files(store, key)},
    }
    if suite_file is not None and not without:
        members[SUITE] = suite_file
    given = dict(_submission_files(store, plan))
    members |= given
    record = {
        "format": FORMAT,
        "suite": suite,
        "version": version(),
        "environment": environment(),
        "labels": {corpus.data: labels_digest(store.truth(corpus.data)) for corpus in plan.corpora},
        "predictions": {
            key: canonical.file_digest(store.get(key).folder / "predictions.parquet")
            for key in runs
        },
        "missing": sorted(plan.keys - planned - set(failed)),
    }
    members[MANIFEST] = f"{canonical.dumps(record, indent=1)}\n".encode()
    members[checksums.SUMS] = listing(members)
    try:
        write(path, members)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror}", hint="name another file with --out"
        ) from error
    return Packed(
        path=path,
        runs=len(runs),
        submissions=len({name.rpartition("/")[0] for name in given}),
        missing=len(plan.keys - planned),
        without_suite=without,
    )


def _older(what: str, hint: str) -> StoreError:
    return StoreError(f"{what} is of a version without digests: not published", hint=hint)


def version() -> str:
    """Of the software that packs and checks."""
    return importlib.metadata.version("msa-harness")


def labels_digest(table: pd.DataFrame) -> str:
    """SHA-256 of the content of a label table, whatever wrote its file."""
    return fingerprint(table, {}, None)


def _run_files(store: RunStore, key: str) -> Iterator[tuple[str, Path]]:
    run = store.get(key)
    damage = damage_of(store, run)
    if damage:
        raise StoreError(
            f"run {key} is damaged and not published: {'; '.join(damage)}",
            hint="msa verify names what else is, and what to type",
        )
    if not run.sealed:
        raise _older(f"run {key}", "delete its folder, then msa run SUITE")
    for file in sorted(run.folder.iterdir()):
        if file.name not in LEFT_OUT:
            yield f"runs/{key}/{file.name}", file


def _submission_files(store: RunStore, plan: StoredPlan) -> Iterator[tuple[str, Path]]:
    """Those that may enter the board: of every dataset whose real clips it has."""
    for dataset in sorted({corpus.dataset for corpus in plan.corpora if not corpus.twin}):
        for submission in SubmissionStore(store.root).of(dataset):
            _ = submission.manifest  # a damaged one is refused by name
            if not submission.sealed:
                raise _older(f"submission {submission.name!r}", "msa submit FILE --replace")
            for file in sorted(submission.folder.iterdir()):
                yield f"submissions/{dataset}/{submission.name}/{file.name}", file


def _unfit(suite_file: Path | None) -> str:
    """Why a suite's file stays at home; empty for one that may travel."""
    if suite_file is None:
        return "it is not among the suites here"
    try:
        table = tomllib.loads(suite_file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        return f"it cannot be read ({error})"
    places = any(text.startswith(("/", "~")) or "://" in text for text in _texts(table))
    return "it names a folder or a server" if places else ""


def _texts(value: Json | object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
