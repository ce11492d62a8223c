"""Accepted submissions on disk: one folder each, there only when it is whole.

``<dataset>/<name>/manifest.json`` holds what the authors state and what was found, without a time,
host or path; ``predictions.parquet`` holds ``id, seed, pred, split``: one prediction of a clip by
each run, of clean clips unless the manifest's ``where`` says otherwise. ``SHA256SUMS`` lists both;
what is not what was written is never read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd

from harness._util import canonical, checksums
from harness._util.atomic import commit_folder, folders_in, is_plain_name, replaced_folder
from harness._util.canonical import Json
from harness._util.documents import read_json
from harness._util.holding import held
from harness._util.parquet import read_parquet
from harness._util.registry import suggest
from harness._util.schema import parse
from harness._util.shown import look_alikes, print_alike
from harness.errors import StoreError, SubmissionError
from harness.submissions.checking import Checked
from harness.submissions.flags import Flag
from harness.submissions.manifest import Badge, SubmissionManifest

__all__ = ["Outcome", "StoredSubmission", "SubmissionRecord", "SubmissionStore"]

FORMAT = 2  # 1: some had no list of digests
_SEALED = 2
_TRIES = 5  # a replacement while one reads takes milliseconds

Outcome = Literal["added", "unchanged", "replaced"]


@dataclass(frozen=True, kw_only=True)
class SubmissionRecord:
    """What is known of a stored submission.

    Args:
        dataset: Name of the dataset.
        split: The split predicted.
        badge: Where its numbers come from.
        stated: What the authors state.
        source: SHA-256 of the file as submitted.
        seeds: The seeds of the file, none where it has no such column.
        clips: Clips that every run covers.
        expected: Official number of clips.
        left_out: Rows of the file for other splits.
        flags: What a reader must know.
    """

    dataset: str
    split: str
    badge: Badge = Badge.RECOMPUTED
    stated: SubmissionManifest
    source: str
    seeds: tuple[int, ...]
    clips: int
    expected: int
    left_out: int
    flags: tuple[Flag, ...]

    @classmethod
    def of(
        cls,
        checked: Checked,
        manifest: SubmissionManifest,
        *,
        dataset: str,
        split: str,
        source: str,
    ) -> SubmissionRecord:
        """The record of predictions that passed the checks."""
        return cls(
            dataset=dataset,
            split=split,
            stated=manifest,
            source=source,
            seeds=checked.seeds,
            clips=checked.clips,
            expected=checked.expected,
            left_out=checked.left_out,
            flags=checked.flags,
        )

    @property
    def name(self) -> str:
        """The submission's name."""
        return self.stated.name

    @property
    def runs(self) -> int:
        """Number of runs."""
        return max(1, len(self.seeds))

    def table(self) -> dict[str, Json]:
        """As JSON values."""
        return {
            "format": FORMAT,
            "dataset": self.dataset,
            "split": self.split,
            "badge": str(self.badge),
            "stated": self.stated.table(),
            "source": self.source,
            "seeds": list(self.seeds),
            "clips": self.clips,
            "expected": self.expected,
            "left_out": self.left_out,
            "flags": [{"kind": flag.kind, "text": flag.text} for flag in self.flags],
        }

    @classmethod
    def parse(cls, table: Mapping[str, object]) -> SubmissionRecord:
        """The inverse of ``table``.

        Raises:
            SubmissionError: Naming the key and what was expected, when it is not such a table.
        """
        fields = dict(table)
        found = fields.pop("format", None)
        if not isinstance(found, int) or not 1 <= found <= FORMAT:
            raise SubmissionError(f"manifest.json: format should be {FORMAT}, found {found!r}")
        return parse(cls, fields, "manifest.json", error=SubmissionError)


@dataclass(frozen=True)
class StoredSubmission:
    """A stored submission, read when first asked for: all of the old or all of the new one.

    Args:
        place: Its folder, unless that is just being replaced.
    """

    place: Path

    @property
    def name(self) -> str:
        """Its name, unique per dataset."""
        return self.place.name

    @property
    def folder(self) -> Path:
        """Where its files are now."""
        return replaced_folder(self.place)

    @property
    def sealed(self) -> bool:
        """Whether there are digests to check its files against."""
        return (self.folder / checksums.SUMS).exists()

    @property
    def manifest(self) -> SubmissionRecord:
        """What the authors state and what was found.

        Raises:
            StoreError: When a file of the submission is damaged.
        """
        return self._content[0]

    def predictions(self) -> pd.DataFrame:
        """Columns ``id, seed, pred`` (float64), ``split``, sorted by seed and id.

        Raises:
            StoreError: When a file of the submission is damaged.
        """
        return self._content[1].copy()

    @cached_property
    def _content(self) -> tuple[SubmissionRecord, pd.DataFrame]:
        for _ in range(_TRIES):
            before = self._where()
            try:
                content = self._read(before.folder)
            except StoreError:
                if self._where() == before:
                    raise
            else:
                if self._where() == before:
                    return content
        raise self._damaged("it is replaced again and again")

    def _where(self) -> _Where:
        """The folder to read: one renamed meanwhile is another."""
        folder = self.folder
        with contextlib.suppress(OSError):
            return _Where(folder, folder.stat().st_ino)
        return _Where(folder, None)

    def _read(self, folder: Path) -> tuple[SubmissionRecord, pd.DataFrame]:
        if wrong := checksums.damage(folder, _SEALED):
            raise self._damaged("; ".join(wrong))
        try:
            table = read_json(folder / "manifest.json", "record", error=SubmissionError)
            record = SubmissionRecord.parse(table)
        except SubmissionError as error:
            raise self._damaged(str(error)) from error
        if (record.dataset, record.name) != (folder.parent.name, self.name):
            raise self._damaged(f"it is {record.dataset}/{record.name}")
        try:
            predictions = read_parquet(folder / "predictions.parquet")
            return record, predictions[["id", "seed", "pred", "split"]]
        except (OSError, ValueError, KeyError) as error:
            raise self._damaged(f"predictions.parquet: {error}") from error

    def _damaged(self, why: str) -> StoreError:
        return StoreError(
            f"submission {self.name!r} is damaged: {why}",
            hint="msa submit FILE --replace",
        )


class _Where(NamedTuple):
    folder: Path
    inode: int | None


class SubmissionStore:
    """The submissions beside the runs of a store.

    Args:
        store: ``Home.store``; submissions have a folder in it.
    """

    def __init__(self, store: Path) -> None:
        self.root = store / "submissions"

    def names(self, dataset: str) -> list[str]:
        """Submissions for a dataset, sorted."""
        return folders_in(self.root / dataset) if is_plain_name(dataset) else []

    def of(self, dataset: str) -> Iterator[StoredSubmission]:
        """The submissions for a dataset, sorted by name."""
        return (StoredSubmission(self.root / dataset / name) for name in self.names(dataset))

    def get(self, dataset: str, name: str) -> StoredSubmission:
        """One submission.

        Raises:
            SubmissionError: When there is none of that name.
        """
        known = self.names(dataset)
        if name not in known:
            guess = suggest(name, known, key=True)
            raise SubmissionError(
                f"no submission {name!r} for {dataset}{guess} (known: {', '.join(known) or 'none'})"
            )
        return StoredSubmission(self.root / dataset / name)

    def put(
        self, record: SubmissionRecord, predictions: pd.DataFrame, *, replace: bool = False
    ) -> Outcome:
        """Store a submission; the same content again changes nothing.

        The run store that it belongs to is held meanwhile. Killed at any moment, this leaves the
        old submission or the new one.

        Args:
            record: What is known of it.
            predictions: Columns ``id, seed, pred, split``.
            replace: Whether other content under the same name gives way.

        Raises:
            SubmissionError: When the name is taken by other content, or a name or title prints like
                that of another submission.
            StoreError: When another process is writing to the store, or the disk refuses.
        """
        with held(self.root.parent, "submission"):
            return self._put(record, predictions, replace)

    def _put(self, record: SubmissionRecord, predictions: pd.DataFrame, replace: bool) -> Outcome:
        target = self.root / record.dataset / record.name
        taken = record.name in self.names(record.dataset)
        if taken and _holds(StoredSubmission(target), record, predictions):
            return "unchanged"
        if taken and not replace:
            raise SubmissionError(
                f"{record.dataset} already has a submission {record.name!r} with other content",
                hint="--replace, or --name another",
            )
        self._refuse_alike(record)
        with _refusals(record.name), commit_folder(target, replace=taken) as folder:
            predictions.to_parquet(folder / "predictions.parquet", index=False)
            content = canonical.dumps(record.table(), indent=1)
            (folder / "manifest.json").write_text(content, "utf-8")
            checksums.seal(folder)
        return "replaced" if taken else "added"

    def _refuse_alike(self, record: SubmissionRecord) -> None:
        """Two submissions that a reader of a board cannot tell apart are not accepted."""
        for other in self.of(record.dataset):
            if other.name == record.name:
                continue
            if alike := print_alike((other.name, record.name)):
                raise SubmissionError(
                    f"{record.dataset} already has a submission with a name that prints alike:"
                    f" {look_alikes(*alike)}",
                    hint="--name another",
                )
            with contextlib.suppress(StoreError):  # a damaged one has no title to compare
                titles = other.manifest.stated.display, record.stated.display
                if print_alike(titles):
                    raise SubmissionError(
                        f"{record.dataset} already has a submission whose title prints alike:"
                        f" {look_alikes(*titles)} (of {other.name!r})",
                        hint='give it another title = "…", or the same --name with --replace',
                    )


def _holds(stored: StoredSubmission, record: SubmissionRecord, predictions: pd.DataFrame) -> bool:
    try:
        return stored.manifest == record and stored.predictions().equals(predictions)
    except StoreError:
        return False  # damaged: other content


@contextlib.contextmanager
def _refusals(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"submission {name!r} could not be stored: {error}",
            hint="free some space or fix the permissions, then submit again",
        ) from error
