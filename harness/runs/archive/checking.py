"""Whether an archive is whole, agrees with itself, and was made on the labels that are here.

Nothing of it is believed: it is laid out as a store of its own, and the functions that judge a
store judge it. Whether its board is what its predictions give is for those who can render boards.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from harness._util import checksums
from harness._util.atomic import is_plain_name
from harness._util.canonical import file_digest
from harness._util.documents import read_json
from harness.data.store import CorpusStore
from harness.errors import DataError, HarnessError, StoreError
from harness.home import Home
from harness.runs import equivalence
from harness.runs.archive.files import BOARD, MANIFEST, PLAN, refused, unpack
from harness.runs.archive.packing import FORMAT, LEFT_OUT, labels_digest
from harness.runs.soundness import damage_of
from harness.runs.store import RunStore, labels_of
from harness.runs.stored_plan import StoredPlan
from harness.submissions import SubmissionStore

__all__ = ["ArchiveReport", "check"]

_MOST_ROWS = 20_000_000  # of a table; the largest grid of conditions on MOSEI has a tenth
_MOST_BYTES = 2 * 2**30  # of a table, decoded
_LONGEST_TEXT = 1000  # bytes of a clip's id or a condition's name


@dataclass(frozen=True, kw_only=True)
class ArchiveReport:
    """What was found of an archive.

    Args:
        suite: Whose board it is.
        version: Of the software that packed it.
        runs: How many runs it has.
        submissions: How many submissions.
        damage: What is wrong with it, one sentence each; empty for a sound one.
        unlabelled: Corpora whose labels are not here: their numbers cannot be checked.
        store: The archive as a store, with the labels that are here.
        board: Markdown and page, as archived.
    """

    suite: str
    version: str
    runs: int
    submissions: int
    damage: tuple[str, ...]
    unlabelled: tuple[str, ...]
    store: RunStore
    board: tuple[Path, Path]


def check(path: Path, home: Home, folder: Path) -> ArchiveReport:
    """Read an archive and say what is wrong with it.

    Args:
        path: The archive.
        home: Where labels may be: of stored corpora, or of its own runs.
        folder: An empty folder, for its content.

    Raises:
        DataError: For what is no archive at all.
    """
    inside = folder / "archive"
    members = unpack(path, inside)
    if MANIFEST not in members:
        raise refused(path, f"{MANIFEST} is missing")
    damage = [*_wrong_files(inside, members)]
    record = _manifest(inside)
    store = RunStore(folder / "store")
    damage += _laid_out(inside, members, store, record["suite"])
    plan = None if damage else _plan(store, record["suite"], damage)
    unlabelled = () if plan is None else tuple(_without_labels(plan, record, store, home, damage))
    if plan is not None and not damage:
        damage += _wrong_records(store, plan)
        damage += _wrong_runs(store, plan, record)
        damage += _wrong_submissions(store)
    return ArchiveReport(
        suite=record["suite"],
        version=record["version"],
        runs=len(list(store)),
        submissions=len(list(_submissions(store))),
        damage=tuple(damage),
        unlabelled=unlabelled,
        store=store,
        board=(inside / BOARD[0], inside / BOARD[1]),
    )


def _wrong_files(inside: Path, members: tuple[str, ...]) -> Iterator[str]:
    """Members that are not what was packed, missing, or more than was packed."""
    try:
        lines = (inside / checksums.SUMS).read_text("utf-8").splitlines()
        listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    except (OSError, ValueError) as error:
        yield f"{checksums.SUMS} cannot be read: {error}"
        return
    for name in sorted({MANIFEST, PLAN, *BOARD} - set(members)):
        yield f"{name} is missing"
    for name in members:
        if name == checksums.SUMS:
            continue
        if name not in listed:
            yield f"{name} was added"
        elif file_digest(inside / name) != listed[name]:
            yield f"{name} is not what was packed"
    yield from (f"{name!a} is missing" for name in sorted(listed.keys() - set(members)))


def _manifest(inside: Path) -> Mapping[str, Any]:
    """The archive's own record.

    Raises:
        DataError: When it is none that this version reads.
    """
    table: Mapping[str, Any] = read_json(inside / MANIFEST, "record", error=DataError)
    if table.get("format") != FORMAT:
        raise DataError(f"{MANIFEST}: format should be {FORMAT}, found {table.get('format')!r}")
    kinds = {"suite": str, "version": str, "labels": dict, "predictions": dict, "missing": list}
    for name, kind in kinds.items():
        if not isinstance(table.get(name), kind):
            raise DataError(f"{MANIFEST}: {name} should be a {kind.__name__}")
    for name in ("suite", "version"):
        if not is_plain_name(table[name]):
            raise DataError(f"{MANIFEST}: {name} should be a plain name, found {table[name]!a}")
    return table


def _laid_out(inside: Path, members: tuple[str, ...], store: RunStore, suite: str) -> Iterator[str]:
    """Put the members where a store has them; what cannot be there is told."""
    for name in members:
        if name.endswith(".parquet"):
            try:
                _need_modest(inside / name)
            except (OSError, ValueError, pa.ArrowException) as error:
                yield f"{name} cannot be read: {error}"
    places = {"runs": "runs/{0}/{1}"} | {
        kind: f"{kind}/{{1}}" for kind in ("failures", "equivalences", "submissions")
    }
    for name in members:
        kind, _, rest = name.partition("/")
        if kind in places:
            _place(inside / name, store.root / places[kind].format(rest[:2], rest))
    if (inside / PLAN).is_file():
        _place(inside / PLAN, store.root / "plans" / f"{suite}.json")
    for run in store:
        yield from (f"run {run.key}: {text}" for text in _resealed(run.folder))


def _place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _need_modest(path: Path) -> None:
    """Refuse a table that is small as a file and enormous once read.

    Raises:
        ValueError: Saying what there is too much of.
    """
    with pq.ParquetFile(path) as file:
        facts, columns = file.metadata, [file.schema.column(i) for i in range(len(file.schema))]
        size = sum(facts.row_group(i).total_byte_size for i in range(facts.num_row_groups))
        texts = [item.path for item in columns if item.physical_type == "BYTE_ARRAY"]
    if facts.num_rows * max(1, facts.num_columns) > _MOST_ROWS * 5 or size > _MOST_BYTES:
        raise ValueError(f"it has {facts.num_rows} rows of {facts.num_columns} columns")
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        for group in file.iter_batches(2**16, columns=texts, use_threads=False):
            for column in group.columns:
                words = column.dictionary if pa.types.is_dictionary(column.type) else column
                if any(len(str(word)) > _LONGEST_TEXT for word in words):
                    raise ValueError(f"it has texts longer than {_LONGEST_TEXT} characters")


def _resealed(folder: Path) -> Iterator[str]:
    """What of a run differs from its own list, which then lists what is here."""
    try:
        sums = checksums.read_sums(folder)
    except (OSError, ValueError) as error:
        yield str(error)
        return
    here = {file.name for file in folder.iterdir()} - {checksums.SUMS}
    wrong = [checksums.wrong(folder / name, sums) for name in sorted(here | sums.keys() - LEFT_OUT)]
    if not sums:
        wrong = [f"{checksums.SUMS} is missing"]
    yield from (text for text in wrong if text)
    (folder / checksums.SUMS).unlink(missing_ok=True)
    checksums.seal(folder)


def _plan(store: RunStore, suite: str, damage: list[str]) -> StoredPlan | None:
    try:
        plan = store.plan(suite, written=True)
        if not store.plan_is_sealed(suite):
            damage.append(f"{PLAN} has no digest")
    except StoreError as error:
        damage.append(str(error))
        return None
    return plan


def _without_labels(
    plan: StoredPlan, record: Mapping[str, Any], store: RunStore, home: Home, damage: list[str]
) -> Iterator[str]:
    """Corpora without labels here; those of the others go into the store."""
    for corpus in plan.corpora:
        table = _labels(corpus.data, home)
        packed = record["labels"].get(corpus.data)
        if packed is None:
            damage.append(f"{MANIFEST} has no digest of the labels of {corpus.name}")
        if table is None:
            yield corpus.name
        elif packed is not None and labels_digest(table) != packed:
            damage.append(f"the labels of {corpus.name} here are not those that it was made on")
        else:
            store.keep_truth(corpus.data, table)


def _labels(data: str, home: Home) -> pd.DataFrame | None:
    """The labels of the corpus with a fingerprint, as runs on it keep them."""
    with contextlib.suppress(StoreError):
        return RunStore(home.store).truth(data)
    corpora = CorpusStore(home.corpora)
    for name in corpora.names():
        with contextlib.suppress(HarnessError):
            corpus = corpora.load(name)
            if corpus.fingerprint == data:
                return labels_of(corpus)
    return None


def _wrong_records(store: RunStore, plan: StoredPlan) -> Iterator[str]:
    """Equivalence records that do not hold, or that nothing relies on, and cells without any."""
    for name in equivalence.names(store):
        yield from (f"equivalence {name}: {text}" for text in equivalence.damage_of(store, name))
        if name not in plan.records:
            yield f"equivalence {name} is in no cell of the plan"
    yield from equivalence.cells_in_doubt(store, plan.suite)


def _wrong_runs(store: RunStore, plan: StoredPlan, record: Mapping[str, Any]) -> Iterator[str]:
    runs = {run.key: run for run in store}
    missing = {str(key) for key in record["missing"]}
    for key, run in runs.items():
        yield from (f"run {key}: {text}" for text in damage_of(store, run))
        digest = file_digest(run.folder / "predictions.parquet")
        if record["predictions"].get(key) != digest:
            yield f"run {key}: its predictions are not those that {MANIFEST} lists"
    records = equivalence.evidence_of(store, plan.records).values()
    evidence = {key for one in records for pair in one.runs for key in (pair.old, pair.new)}
    for key in sorted(runs.keys() - plan.keys - evidence):
        yield f"run {key} is in no cell of the plan"
    for key in sorted(plan.keys - runs.keys() - missing):
        try:
            reason = store.failure(key)
        except StoreError as error:
            yield str(error)
            continue
        if reason is None:
            yield f"run {key} is planned and missing, without a reason"
    yield from _wrong_cells(store, plan, runs.keys())


def _wrong_cells(store: RunStore, plan: StoredPlan, runs: Set[str]) -> Iterator[str]:
    """Cells whose run is of another system, corpus or seed."""
    systems = {row.label: row.system for row in plan.rows}
    data = {corpus.name: corpus.data for corpus in plan.corpora}
    for cell in plan.cells:
        if cell.key not in runs or cell.key is None:
            continue
        try:
            spec = store.get(cell.key).spec
        except StoreError:
            continue  # told above
        planned = (systems.get(cell.label), data.get(cell.corpus), cell.seed)
        found = (spec.system, spec.data, spec.seed)
        if planned != found:
            yield f"run {cell.key} is of another cell than {cell.label} on {cell.corpus}"


def _submissions(store: RunStore) -> Iterator[tuple[str, str]]:
    known = SubmissionStore(store.root)
    for folder in sorted((store.root / "submissions").glob("*")):
        yield from ((folder.name, name) for name in known.names(folder.name))


def _wrong_submissions(store: RunStore) -> Iterator[str]:
    known = SubmissionStore(store.root)
    for dataset, name in _submissions(store):
        try:
            submission = known.get(dataset, name)
            _ = submission.manifest
            if not submission.sealed:
                yield f"submission {dataset}/{name}: {checksums.SUMS} is missing"
        except HarnessError as error:
            yield str(error)
