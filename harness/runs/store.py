"""The run store: predictions are the result, and existence is completion.

``runs/<kk>/<key>/`` holds one committed run: ``manifest.json``, ``predictions.parquet``,
``history.json``, per watched split ``curve_<split>.parquet``, ``diagnostics.parquet`` of a system
with diagnostics of each clip, and ``answers.parquet`` of zero-shot models; where the selected
weights are kept, ``weights.safetensors`` and, of what they are, ``weights.json``.
``truth/<data>.parquet`` holds the labels of each corpus that was run on, so that every metric can
be recomputed from the store alone.
``plans/<suite>.json`` says which cells a suite consists of; ``failures/<key>.json`` why one failed,
and ``failures/<key>.txt`` where in the code; ``logs/<key>.log`` what was said while it ran;
``equivalences/<name>.json`` that runs of an earlier source count as those of a later one.

Each run folder, and each label table, lists the SHA-256 of its files; a plan and the record of a
failure hold their own.
What was damaged since is never read, and a digest that is missing is damage. A damaged run is moved
to ``damaged/`` before it is run again. Whether a run is sound beyond its files is said by
``harness.runs.soundness``.

Only the driver writes. A run folder appears by one rename; a kill at any moment loses at most the
cells in flight.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from harness._util import canonical, checksums
from harness._util.atomic import (
    commit_folder,
    folders_in,
    is_plain_name,
    remove_folder,
    write_atomic,
)
from harness._util.budget import Budget
from harness._util.canonical import Json
from harness._util.holding import held
from harness._util.redaction import redacted
from harness._util.sealed import stamped, unstamped
from harness.errors import StoreError
from harness.runs.manifest import Manifest
from harness.runs.stored_plan import StoredPlan
from harness.runs.weights.card import CARD, TENSORS, WEIGHTS_FILES, WeightsCard
from harness.spec import PredictionCell, RunSpec
from harness.spec.prediction_cell import COUNTED, PLAIN

if TYPE_CHECKING:  # tables are heavy to import, and who counts runs reads none
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc
    from numpy.typing import NDArray

    from harness.data.corpus import Corpus
    from harness.runs.record import RunRecord
    from harness.runs.weights.placing import KeptWeights

__all__ = ["RunStore", "StoredRun", "labels_of"]

FORMAT = 2  # 1: predictions had one column for condition and variant; some runs had no digests
_SEALED = 2
_PLAN_FORMAT = 2  # 1: no digest
_LABELS_FORMAT = 2  # 1: some had no digest
_LABELS_KEY = b"msa-harness.format"
_AGAIN = "msa run SUITE runs it again; msa verify finds others"

T = TypeVar("T")


@dataclass(frozen=True)
class StoredRun:
    """A committed run, read lazily; each file is checked against its digest when first read."""

    folder: Path

    @property
    def key(self) -> str:
        """The run's identity."""
        return self.folder.name

    @cached_property
    def manifest(self) -> Manifest:
        """Spec, result, provenance and cost.

        Raises:
            StoreError: For a damaged one, naming the key, what was expected and what was found.
        """
        path = self._intact("manifest.json")
        manifest = Manifest.of(_read_json(path, dict), _damaged_record(path))
        described = manifest.more.get("key", self.key)
        if described != self.key:
            raise _damaged(f"manifest.json in {self.key}", f"it describes run {described}")
        return manifest

    @property
    def spec(self) -> RunSpec:
        """What was run.

        Raises:
            StoreError: When the manifest does not say, or says something else than the key.
        """
        spec = self.manifest.spec
        if spec.key != self.key:
            raise _damaged(f"manifest.json in {self.key}", f"it describes run {spec.key}")
        return spec

    @cached_property
    def damage(self) -> tuple[str, ...]:
        """What is wrong with its files, one sentence each; see ``soundness.damage_of`` for all."""
        found = checksums.damage(self.folder, _SEALED)
        if not found and self.sealed:
            self._checked.update(dict.fromkeys(self._sums))
        return tuple(found or ([] if self.sealed else self._unreadable()))

    @cached_property
    def damage_but_weights(self) -> tuple[str, ...]:
        """As ``damage``, of all that tables and boards read: weights need but be there."""
        if not self.sealed:
            return self.damage
        found = checksums.damage(self.folder, _SEALED, unread=(TENSORS,))
        if not found:
            self._checked.update(dict.fromkeys(self._sums.keys() - {TENSORS}))
        return tuple(found)

    def vanished(self) -> str | None:
        """What is wrong with its weights where they went without being removed on purpose.

        Raises:
            StoreError: As ``weights``.
        """
        card = self.weights
        if card is None or bool(card.removed) == (TENSORS not in self._sums):
            return None
        return f"{TENSORS} is there and was removed" if card.removed else f"{TENSORS} is missing"

    @property
    def sealed(self) -> bool:
        """Whether there are digests to check its files against."""
        return (self.folder / checksums.SUMS).exists()

    def _unreadable(self) -> Iterator[str]:
        """What of a run without digests cannot be read."""
        for read in (lambda: self.manifest, self.history, self.table):
            try:
                read()
            except StoreError as error:
                yield str(error)

    @cached_property
    def _checked(self) -> dict[str, str | None]:
        """File -> what is wrong with it, of the files looked at so far."""
        return {}

    @property
    def sums(self) -> Mapping[str, str]:
        """File -> SHA-256 as listed; none for a run of before there were lists.

        Raises:
            StoreError: When the list is missing or damaged.
        """
        return self._sums

    @cached_property
    def _sums(self) -> dict[str, str]:
        if (text := checksums.lost(self.folder, _SEALED)) is not None:
            raise _damaged(f"run {self.key}", text)
        try:
            return checksums.read_sums(self.folder)
        except (OSError, ValueError) as error:
            raise _damaged(f"run {self.key}", error) from error

    def _intact(self, name: str) -> Path:
        """The path of a file whose content is what was committed; of none, if there was none."""
        path = self.folder / name
        if name != "manifest.json":
            _ = self.manifest  # files of another run are whole and yet not of this one
        if name not in self._checked:
            self._checked[name] = checksums.wrong(path, self._sums)
        if (text := self._checked[name]) is not None:
            raise _damaged(f"run {self.key}", text)
        return path

    def predictions(self, split: str = "test", cell: PredictionCell = COUNTED) -> pd.Series:
        """Clip id -> float64 prediction, in the order of the corpus; none for a cell without."""
        table: pd.DataFrame = self.cell(split, cell).to_pandas()
        return table.set_index("id")["pred"].rename(self.key)

    def cell(self, split: str = "test", cell: PredictionCell = COUNTED) -> pa.Table:
        """As ``predictions``, in Arrow's own form and half the time: columns ``id, pred``."""
        from harness.runs.prediction_table import CODED, rows_of

        return self.columns(rows_of(split, cell), CODED).select(["id", "pred"])

    def table(self, rows: pc.Expression | None = None) -> pd.DataFrame:
        """Predictions, columns ``id, split, condition, variant, pred``: all, or some rows."""
        table: pd.DataFrame = self.columns(rows).to_pandas()
        return table

    def columns(self, rows: pc.Expression | None = None, coded: Sequence[str] = ()) -> pa.Table:
        """As ``table``, in Arrow's own form, some columns as dictionaries."""
        from harness.runs.prediction_table import misfit, with_variants

        table = _read_columns(self._intact("predictions.parquet"), rows, with_variants, coded)
        if (text := misfit(table.schema)) is not None:
            raise _damaged(f"predictions.parquet in {self.key}", text)
        return table

    def under(self, split: str = "test") -> pd.DataFrame:
        """(n, C) plain predictions, float64: a row per clip, by id, and a column per condition."""
        import pyarrow.compute as pc

        table = self.table(_of(split) & (pc.field("variant") == PLAIN))
        try:
            return table.set_index(["id", "condition"])["pred"].unstack("condition")  # noqa: PD010
        except ValueError as error:  # two of one clip under one condition
            raise _damaged(f"run {self.key}", error) from error

    @cached_property
    def weights(self) -> WeightsCard | None:
        """What its weights are, also where they were removed; None for a run that kept none.

        Raises:
            StoreError: When the record of them is damaged, or of another run.
        """
        path = self._intact(CARD)
        if not path.is_file():
            return None
        card = WeightsCard.of(_read_json(path, dict), _damaged_record(path))
        if card.run.key != self.key:
            raise _damaged(f"{CARD} in {self.key}", f"it describes run {card.run.key}")
        return card

    def tensors(self) -> Path:
        """The file of its weights, checked.

        Raises:
            StoreError: When it keeps none, they were removed, or they are damaged.
        """
        card = self.weights
        if card is None or card.removed:
            state = "kept no weights" if card is None else "has no weights any more: pruned"
            raise StoreError(
                f"run {self.key} {state}",
                hint=f"msa weights {self.key[:12]} --to FOLDER --again trains it once more",
            )
        return self._intact(TENSORS)

    def history(self) -> list[dict[str, Json]]:
        """One record per epoch."""
        return _read_json(self._intact("history.json"), list)

    def curve(self, split: str) -> NDArray[np.float32] | None:
        """(E, n) predictions after each epoch, None for systems without epochs."""
        path = self._intact(f"curve_{split}.parquet")
        return _read_table(path).to_numpy(dtype="float32").T if path.is_file() else None

    def diagnostics(self, split: str = "test", condition: str = "clean") -> pd.DataFrame | None:
        """Diagnostics of each clip, indexed by id; None when the system gave none.

        Those of corrupted clips are kept under the conditions that hit one modality alone.
        """
        path = self._intact("diagnostics.parquet")
        if not path.is_file():
            return None
        table = _read_table(path, _of(split))
        if "condition" in table:
            table = table[table.pop("condition") == condition]
        return table.set_index("id").drop(columns="split")

    def diagnostics_by_condition(self, split: str = "test") -> dict[str, pd.DataFrame]:
        """Every condition with diagnostics -> as ``diagnostics``."""
        path = self._intact("diagnostics.parquet")
        if not path.is_file():
            return {}
        table = _read_table(path, _of(split)).drop(columns="split")
        if "condition" not in table:
            table = table.assign(condition="clean")
        return {
            str(condition): rows.set_index("id").drop(columns="condition")
            for condition, rows in table.groupby("condition", sort=False)
        }

    def answers(self, split: str = "test") -> pd.DataFrame | None:
        """Answers of a zero-shot model, one row per question; None for all but zero-shot models.

        Columns: ``id`` of the clip, ``prompt``, ``turn``, ``shown`` (joined by +), ``outcome``,
        ``value`` on the label scale and covered ``mass`` (NaN without), ``text`` as received and
        ``first_text`` where it took two ``tries``, ``detail``, ``prompt_tokens``,
        ``completion_tokens``, ``seconds``, ``requests``.
        """
        path = self._intact("answers.parquet")
        if not path.is_file():
            return None
        table = _read_table(path, _of(split))
        return table.drop(columns="split").reset_index(drop=True)


class RunStore:
    """Runs, plans, failures and labels under one folder.

    Args:
        root: ``Home.store``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._clips: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {}

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the store as its only writer and clear what a killed one left.

        Raises:
            StoreError: When another process holds it (named with its id), or it cannot be written.
        """
        with held(self.root):
            yield

    # Runs

    def folder(self, key: str) -> Path:
        """Where the run with this key is, or would be."""
        return self.root.joinpath("runs", key[:2], key)

    def __contains__(self, key: str) -> bool:
        return self.folder(key).is_dir()

    def __iter__(self) -> Iterator[StoredRun]:
        for folder in sorted(self.root.glob("runs/??/" + "?" * 32)):
            yield StoredRun(folder)

    def keys(self) -> frozenset[str]:
        """The keys of all committed runs, which costs less than asking for many."""
        folders = list(self.root.glob("runs/??"))
        return frozenset(key for folder in folders for key in folders_in(folder))

    def keys_like(self, beginning: str) -> list[str]:
        """The keys of committed runs that begin so, from two digits on; other runs cost nothing."""
        found = folders_in(self.root / "runs" / beginning[:2])
        return [key for key in found if key.startswith(beginning)]

    def get(self, key: str) -> StoredRun:
        """The committed run with this key.

        Raises:
            StoreError: When it has not been committed.
        """
        folder = self.folder(key)
        if not folder.is_dir():
            raise StoreError(f"run {key} is not in the store", hint="msa run SUITE")
        return StoredRun(folder)

    def commit(self, record: RunRecord) -> None:
        """Store a finished run; committing the same key twice is a no-op.

        Raises:
            StoreError: When the disk refuses (full, read-only); nothing half-written remains.
        """
        if record.key in self:
            return
        with _refusals(f"run {record.key}"):
            with commit_folder(self.folder(record.key)) as folder:
                _write_record(record, folder)
            self._forget(record.key)

    def put_weights(self, key: str, weights: KeptWeights) -> None:
        """Give a run the weights that it lacks. The caller holds the store.

        Raises:
            StoreError: When the run is not there or damaged, or the disk refuses.
        """
        with self._rewritten(key) as folder:
            weights.put_into(folder)

    def remove_weights(self, key: str) -> None:
        """Take the weights of a run away; its record of them says so. The caller holds the store.

        Raises:
            StoreError: When the run is not there or damaged, has none, or the disk refuses.
        """
        run = self.get(key)
        run.tensors()
        assert run.weights is not None
        gone = canonical.dumps(replace(run.weights, removed=True).json(), indent=1)
        with self._rewritten(key) as folder:
            (folder / CARD).write_text(gone, "utf-8")

    @contextlib.contextmanager
    def _rewritten(self, key: str) -> Iterator[Path]:
        """A folder with all of a run but its weights, which takes its place.

        Its other files are the same ones, with the digests that they had.
        """
        run = self.get(key)
        if damage := run.damage or (() if run.sealed else ("it is of before there were digests",)):
            raise _damaged(f"run {key}", "; ".join(damage))
        sums = run.sums
        with _refusals(f"run {key}"), commit_folder(run.folder, replace=True) as folder:
            for name in sums.keys() - WEIGHTS_FILES:
                _link(run.folder / name, folder / name)
            yield folder
            new = {path.name for path in folder.iterdir()} & WEIGHTS_FILES
            digests = {n: d for n, d in sums.items() if n not in WEIGHTS_FILES}
            digests |= {name: canonical.file_digest(folder / name) for name in new}
            lines = (f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
            (folder / checksums.SUMS).write_text("".join(lines), "utf-8")

    def set_aside(self, key: str) -> None:
        """Move a damaged run to ``damaged/``, so that it is run again.

        Raises:
            StoreError: When the disk refuses.
        """
        place = self.root / "damaged" / key
        with _refusals(f"run {key}"):
            place.parent.mkdir(exist_ok=True)
            shutil.rmtree(place, ignore_errors=True)
            self.folder(key).rename(place)

    def discard(self, key: str) -> None:
        """Delete a run; a kill meanwhile leaves it whole or gone. The caller holds the store.

        Raises:
            StoreError: When it is not there, or the disk refuses.
        """
        folder = self.get(key).folder
        with _refusals(f"the deletion of run {key}"):
            remove_folder(folder)

    @property
    def computed(self) -> Path:
        """Where numbers are kept that can be computed again from runs and labels."""
        return self.root / ".computed"

    # Failures

    def failure_file(self, key: str) -> Path:
        """Where the reason of a failed cell is, if it failed."""
        return self.root / "failures" / f"{key}.json"

    def traceback_file(self, key: str) -> Path:
        """Where it says in which code a failed cell broke, if that is known."""
        return self.failure_file(key).with_suffix(".txt")

    def log_file(self, key: str) -> Path:
        """Where it says how a cell went, attempt by attempt, if it was run here."""
        return self.root / "logs" / f"{key}.log"

    def fail(self, key: str, reason: str, traceback: str | None = None) -> None:
        """Remember why a cell failed, without secrets; a later success forgets it.

        Args:
            key: Of the cell.
            reason: Why, in a line.
            traceback: Where in the code; None where that says nothing.

        Raises:
            StoreError: When the disk refuses.
        """
        table = stamped({"key": key, "reason": redacted(reason)})
        with _refusals(f"the failure of run {key}"):
            if traceback is None:
                self.traceback_file(key).unlink(missing_ok=True)
            else:
                write_atomic(self.traceback_file(key), redacted(traceback))
            write_atomic(self.failure_file(key), canonical.dumps(table))

    def forget_failure(self, key: str) -> None:
        """Forget why a cell failed; nothing to forget is fine.

        Raises:
            StoreError: When the disk refuses.
        """
        with _refusals(f"the failure of run {key}"):
            self._forget(key)

    def _forget(self, key: str) -> None:
        self.failure_file(key).unlink(missing_ok=True)
        self.traceback_file(key).unlink(missing_ok=True)

    def failed(self) -> list[str]:
        """Keys of the cells whose failure is remembered, sorted."""
        found = self.root.glob("failures/*.json")
        return sorted(path.stem for path in found if not checksums.is_litter(path.name))

    def traceback(self, key: str) -> str | None:
        """Where in the code a failed cell broke; None where that is not known."""
        try:
            return self.traceback_file(key).read_text("utf-8", errors="replace")
        except OSError:
            return None

    def failure(self, key: str) -> str | None:
        """Why the cell failed last time, None when it did not.

        Raises:
            StoreError: When the record of it is damaged.
        """
        path = self.failure_file(key)
        if key in self or not path.is_file():  # a kill may part a commit from its forgetting
            return None
        try:
            found = unstamped(_read_json(path, dict))
        except ValueError as error:
            raise _damaged_failure(path, str(error)) from error
        if found.get("key") != key:
            raise _damaged_failure(path, f"it is of run {found.get('key')}")
        return str(found.get("reason"))

    # Plans

    def put_plan(self, suite: str, plan: StoredPlan) -> None:
        """Remember what a suite consists of.

        Raises:
            StoreError: When the disk refuses, or the name is no plain file name.
        """
        with _refusals(f"the plan of suite {suite!r}"):
            content = canonical.dumps(_with_digest(plan.json(), suite), indent=1)
            write_atomic(self.plan_file(suite), content)

    def plan(self, suite: str, *, written: bool = False) -> StoredPlan:
        """What a suite consists of, as last planned.

        Args:
            suite: Its name.
            written: Whether to take it as it was written; else cells whose runs were carried over
                from an earlier source, by records that do not hold, name the run of their own.

        Raises:
            StoreError: When the suite was never planned here, or its plan is damaged.
        """
        path = self.plan_file(suite)
        if not path.is_file():
            known = ", ".join(self.plans()) or "none"
            raise StoreError(
                f"suite {suite!r} has not been run here (run so far: {known})",
                hint=f"msa run {suite}",
            )
        found = StoredPlan.of(_without_digest(_read_json(path, dict), path), _damaged_record(path))
        if written or all(cell.carried is None for cell in found.cells):
            return found
        from harness.runs.equivalence import settled

        return settled(found, self)

    def plan_digest(self, suite: str) -> str:
        """Of the file of a plan.

        Raises:
            StoreError: When it cannot be read.
        """
        try:
            return canonical.file_digest(self.plan_file(suite))
        except OSError as error:
            raise _damaged_plan(self.plan_file(suite), str(error)) from error

    def plan_is_sealed(self, suite: str) -> bool:
        """Whether a plan has a digest; those of before there were any have none.

        Raises:
            StoreError: When it cannot be read.
        """
        return "digest" in _read_json(self.plan_file(suite), dict)

    def plans(self) -> list[str]:
        """Suites planned here, sorted."""
        found = self.root.glob("plans/*.json")
        return sorted(path.stem for path in found if not checksums.is_litter(path.name))

    def plan_file(self, suite: str) -> Path:
        """Where the plan of a suite is, if it was planned.

        Raises:
            StoreError: When the name is no plain file name.
        """
        if not is_plain_name(suite):
            raise StoreError(f"a suite's name is a plain file name, found {suite!r}")
        return self.root / "plans" / f"{suite}.json"

    # Labels

    def put_truth(self, corpus: Corpus) -> None:
        """Keep a corpus's ids, source videos, splits and labels beside the runs.

        Raises:
            StoreError: When the disk refuses.
        """
        path = self._truth(corpus.fingerprint)
        sealed = path.is_file() and _labels_format(path) >= _LABELS_FORMAT
        if sealed and _listed(path) == checksums.file_digest(path):
            return
        self.keep_truth(corpus.fingerprint, labels_of(corpus))

    def keep_truth(self, data: str, table: pd.DataFrame) -> None:
        """Keep a table of labels for the corpus that ``data`` marks.

        Args:
            data: Fingerprint of the corpus.
            table: As ``labels_of`` gives it.

        Raises:
            StoreError: When the disk refuses.
        """
        path = self._truth(data)
        with _refusals(f"the labels for data {data[:12]}"):
            content = _labels_file(table)
            # the digest first: a kill between the two leaves no table without one
            write_atomic(_sum_of(path), f"{hashlib.sha256(content).hexdigest()}  {path.name}\n")
            write_atomic(path, content)

    def truth(self, data: str) -> pd.DataFrame:
        """Columns ``id, video, split, label`` (and label_T/A/V) of the corpus ``data`` marks.

        Raises:
            StoreError: When no run on that corpus was stored, or the table is damaged.
        """
        path = self._truth(data)
        if not path.is_file():
            raise StoreError(f"no labels stored for data {data[:12]}", hint="msa run SUITE")
        listed = _listed(path)
        if listed is None and _labels_format(path) >= _LABELS_FORMAT:
            raise _damaged_labels(path, f"{_sum_of(path).name} is missing")
        if listed is not None and listed != checksums.file_digest(path):
            raise _damaged_labels(path, "it is not what was written")
        return _read_table(path)

    def clips(self, data: str) -> Mapping[str, tuple[str, ...]]:
        """Split -> the ids of its labelled clips, in the order of the corpus ``data`` marks.

        Raises:
            StoreError: As ``truth``.
        """
        path = self._truth(data)
        digest = checksums.file_digest(path) if path.is_file() else ""
        if (data, digest) not in self._clips:
            table = self.truth(data)
            self._clips[data, digest] = {
                str(split): tuple(ids) for split, ids in table.groupby("split", sort=False)["id"]
            }
        return self._clips[data, digest]

    def label_files(self, data: str) -> tuple[Path, Path]:
        """Where the labels of the corpus ``data`` marks are, and their digest."""
        path = self._truth(data)
        return path, _sum_of(path)

    def _truth(self, data: str) -> Path:
        return self.root / "truth" / f"{data[:32]}.parquet"


def labels_of(corpus: Corpus) -> pd.DataFrame:
    """What is kept of a corpus beside its runs: ids, source videos, splits and labels."""
    from harness.data.corpus import LABELS

    columns = ["id", "video", "split", *(name for name in LABELS if name in corpus.clips)]
    return corpus.clips[columns]


def _write_record(record: RunRecord, folder: Path) -> None:
    from harness.runs.prediction_table import COLUMNS

    record.predictions[list(COLUMNS)].to_parquet(
        folder / "predictions.parquet",
        index=False,
        compression="zstd",
        use_dictionary=["id", "split", "condition", "variant"],
        column_encoding={"pred": "BYTE_STREAM_SPLIT"},  # half the size where networks predict
    )
    for split, curve in record.curves.items():
        curve.to_parquet(folder / f"curve_{split}.parquet", index=False)
    if record.diagnostics is not None:
        record.diagnostics.to_parquet(folder / "diagnostics.parquet", index=False)
    if record.answers is not None:
        record.answers.to_parquet(folder / "answers.parquet", index=False)
    (folder / "history.json").write_text(canonical.dumps(record.history), "utf-8")
    manifest = {"format": FORMAT, "key": record.key, **record.manifest.json()}
    (folder / "manifest.json").write_text(canonical.dumps(manifest, indent=1), "utf-8")
    if record.weights is not None:
        record.weights.put_into(folder)
    checksums.seal(folder)


def _link(source: Path, target: Path) -> None:
    """The same file under another name; a copy where the file system has no such names."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)


def _sum_of(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _listed(path: Path) -> str | None:
    """The digest written beside a table of labels, none that fits if that is of another table.

    None where there is no such file.
    """
    with contextlib.suppress(FileNotFoundError):
        listed = _sum_of(path).read_text("utf-8", errors="replace")
        digest, _, name = listed.rstrip("\n").partition("  ")
        return digest if name == path.name else ""
    return None


def _labels_file(table: pd.DataFrame) -> bytes:
    """A table of labels as Parquet that says its format."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    made = pa.Table.from_pandas(table, preserve_index=False)
    version = {_LABELS_KEY: str(_LABELS_FORMAT).encode()}
    sink = io.BytesIO()
    pq.write_table(made.replace_schema_metadata({**(made.schema.metadata or {}), **version}), sink)
    return sink.getvalue()


def _labels_format(path: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(path).metadata or {}
        return int(metadata.get(_LABELS_KEY, b"1"))
    except (OSError, ValueError, pa.ArrowException):
        return 1  # reading the table says what is wrong with it


def _with_digest(table: Mapping[str, Json], suite: str) -> dict[str, Json]:
    stamped = {**table, "format": _PLAN_FORMAT, "stored_as": suite}
    return {**stamped, "digest": canonical.digest(stamped)}


def _without_digest(table: Mapping[str, Json], path: Path) -> dict[str, Json]:
    """A stored plan without what was put around it, once it is known to be what was written."""
    stamped = dict(table)
    listed = stamped.pop("digest", None)
    content = {name: stamped[name] for name in stamped.keys() - {"format", "stored_as"}}
    if listed is None and len(content) == len(stamped):
        return content  # of before there were digests
    if listed is None:
        raise _damaged_plan(path, "its digest is missing")
    if listed != canonical.json_digest(stamped):
        raise _damaged_plan(path, "it is not what was written")
    if stamped["stored_as"] != path.stem:
        raise _damaged_plan(path, f"it is the plan of suite {stamped['stored_as']}")
    return content


def _damaged_plan(path: Path, why: str) -> StoreError:
    return StoreError(f"{_damaged_record(path)}: {why}", hint=f"msa run {path.stem}")


def _damaged_failure(path: Path, why: str) -> StoreError:
    return StoreError(f"{_damaged_record(path)}: {why}", hint=_AGAIN)


def _damaged_labels(path: Path, why: str) -> StoreError:
    return StoreError(
        f"damaged table {path.name} in truth: {why}", hint="msa run SUITE writes it again"
    )


def _damaged(what: str, error: object) -> StoreError:
    return StoreError(f"{what} is damaged: {error}", hint=_AGAIN)


@contextlib.contextmanager
def _refusals(what: str) -> Iterator[None]:
    """What the disk refuses inside the block (full, read-only) becomes a store error."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{what} could not be stored: {error}",
            hint="free some space or fix the permissions; the same command continues",
        ) from error


def _damaged_record(path: Path) -> str:
    return f"damaged record {path.name} in {path.parent.name}"


def _read_json(path: Path, kind: type[T]) -> T:
    try:
        content = json.loads(Budget.of(path, "a record", error=StoreError).read(path))
        if not isinstance(content, kind):
            raise ValueError(f"expected a {kind.__name__}, found a {type(content).__name__}")
    except (OSError, ValueError, RecursionError, StoreError) as error:
        raise StoreError(
            f"{_damaged_record(path)}: {error}",
            hint=_AGAIN,
        ) from error
    return content


def _of(split: str) -> pc.Expression:
    """What holds for the rows of a split."""
    import pyarrow.compute as pc

    return pc.field("split") == split


def _read_table(path: Path, rows: pc.Expression | None = None) -> pd.DataFrame:
    from harness._util.parquet import read_parquet

    with _unreadable(path):
        return read_parquet(path, rows)


def _read_columns(
    path: Path,
    rows: pc.Expression | None,
    convert: Callable[[pa.Table], pa.Table],
    coded: Sequence[str],
) -> pa.Table:
    from harness._util.parquet import read_columns

    with _unreadable(path):
        return read_columns(path, rows, convert, coded=coded)


@contextlib.contextmanager
def _unreadable(path: Path) -> Iterator[None]:
    """What is wrong with a table that is read inside the block becomes a store error."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise StoreError(
            f"damaged table {path.name} in {path.parent.name}: {error}",
            hint=_AGAIN,
        ) from error
