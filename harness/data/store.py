"""The canonical corpus store: one folder per corpus, plain arrays that are memory-mapped.

``manifest.json`` · ``clips.parquet`` · ``<stream>.npy``, ``<stream>_lengths.npy`` · ``tokens.npy``
· ``SHA256SUMS``. A folder appears by one rename, so a half-converted corpus does not exist.

Opening a corpus checks its files against their digests; those of files that nobody touched since
are remembered in ``.checked.json`` beside the corpora.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness._util import canonical, checksums
from harness._util.atomic import commit_folder, sweep, write_atomic
from harness._util.canonical import Json
from harness._util.known_digests import KnownDigests
from harness.data.bringing import command_for
from harness.data.corpus import LABELS, Corpus, Stream
from harness.data.datasets import SPLITS, Dataset, datasets
from harness.data.rounding import rounded
from harness.errors import DataError, NotHere, StoreError

__all__ = ["CorpusStore", "Draft", "assemble", "corpus_name", "dataset_name", "fingerprint"]

FORMAT = 2  # 1: no list of digests; the content was known by its fingerprint alone
_OLDER = 1
_REQUIRED = ("id", "video", "clip", "split", "text", "label")
_NAME = re.compile(r"[a-z0-9+-]+@[a-z0-9-]+")
_BLOCK = 64 << 20  # bytes looked at together


@dataclass(frozen=True, eq=False, kw_only=True)
class Draft:
    """What a reader hands over: everything of a corpus but its fingerprint. See ``Corpus``."""

    name: str
    clips: pd.DataFrame
    streams: Mapping[str, Stream]
    tokens: NDArray[np.int32] | None = None
    manifest: Mapping[str, Json]


class CorpusStore:
    """Corpora under one folder.

    Args:
        root: ``Home.corpora``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> list[str]:
        """Stored corpora, sorted."""
        if not self.root.is_dir():
            return []
        return sorted(p.parent.name for p in self.root.glob("*@*/manifest.json"))

    def __contains__(self, name: str) -> bool:
        known = _NAME.fullmatch(name)  # anything else could leave the folder
        return known is not None and (self.root / name / "manifest.json").is_file()

    def load(self, name: str) -> Corpus:
        """Open a stored corpus whose files are what was written; arrays are memory-mapped.

        A large file is read only where it may have changed since it was last checked.

        Raises:
            NotHere: When the corpus is not stored, or its dataset is of a plug-in that is not
                installed.
            DataError: When its folder is damaged.
        """
        folder = self.root / name
        if name not in self:
            known = ", ".join(self.names()) or "none yet"
            raise NotHere(f"corpus {name!r} is not here (stored: {known})", hint=command_for(name))
        try:
            return self._open(name, folder)
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            again = "it is made again" if _is_made(name) else "run `msa data add` again"
            raise DataError(
                f"corpus {name!r} is damaged: {error}",
                hint=f"delete its folder and {again}: {folder}",
            ) from error

    def _open(self, name: str, folder: Path) -> Corpus:
        sums = checksums.read_sums(folder)
        if sums:
            self._need_intact(folder, ["manifest.json"], sums)
        record = json.loads((folder / "manifest.json").read_text("utf-8"))
        if record["format"] not in (FORMAT, _OLDER):
            raise ValueError(f"format {record['format']}, expected {FORMAT}")
        if sums:
            self._need_intact(folder, _files(record), sums)
        elif record["format"] != _OLDER:
            raise ValueError(f"{checksums.SUMS} is missing")
        corpus = _mapped(name, folder, record)
        if not sums:
            self._adopt(corpus, folder, record)
        return corpus

    def _need_intact(self, folder: Path, names: Iterable[str], sums: Mapping[str, str]) -> None:
        unlisted = [name for name in names if name not in sums]
        if unlisted:
            raise ValueError(f"{checksums.SUMS} does not list {unlisted[0]}")
        listed = {folder / name: sums[name] for name in names}
        wrong = KnownDigests(self.root / ".checked.json").differing(listed)
        if wrong:
            raise ValueError("; ".join(wrong.values()))

    def _adopt(self, corpus: Corpus, folder: Path, record: Mapping[str, Json]) -> None:
        """List the digests of a corpus from before there were such lists, if it is sound."""
        found = fingerprint(corpus.clips, corpus.streams, corpus.tokens)
        if found != corpus.fingerprint:
            raise ValueError(
                f"its content is {found[:12]}, its manifest says {corpus.fingerprint[:12]}"
            )
        names = ["manifest.json", *_files(record)]
        lines = [f"{canonical.file_digest(folder / name)}  {name}\n" for name in sorted(names)]
        with contextlib.suppress(OSError):  # a read-only home is checked anew each time
            write_atomic(folder / checksums.SUMS, "".join(lines))

    def add(self, draft: Draft) -> Corpus:
        """Assemble and store a draft.

        Storing the same content again is a no-op.

        Raises:
            DataError: For a draft that breaks the corpus contract, or a stored corpus of that name
                with other content.
            StoreError: When the disk refuses; nothing is left.
        """
        corpus = assemble(draft)
        if corpus.name in self:
            stored = self.load(corpus.name)
            if stored.fingerprint != corpus.fingerprint:
                raise DataError(
                    f"corpus {corpus.name!r} is already stored with other content"
                    f" ({stored.fingerprint[:12]}, new {corpus.fingerprint[:12]})",
                    hint=f"choose another --feature-set, or msa data remove {corpus.name} first",
                )
            return stored
        try:
            with self._writing(), commit_folder(self.root / corpus.name) as folder:
                self._write(corpus, folder)
        except OSError as error:
            raise StoreError(
                f"corpus {corpus.name!r} could not be stored: {error}",
                hint="free some space or fix the permissions, then run the same command again",
            ) from error
        return self.load(corpus.name)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Wait to be the only writer of corpora, and sweep what killed ones left."""
        self.root.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(self.root / ".lock"):
            sweep(self.root)
            yield

    def sweep(self) -> None:
        """Remove half-made corpora that killed conversions left, unless one is being made now."""
        if self.root.is_dir():
            with (
                contextlib.suppress(filelock.Timeout, OSError),  # busy, or read-only
                filelock.FileLock(self.root / ".lock", timeout=0),
            ):
                sweep(self.root)

    def _write(self, corpus: Corpus, folder: Path) -> None:
        for name, stream in corpus.streams.items():
            np.save(folder / f"{name}.npy", np.ascontiguousarray(stream.values, dtype=np.float32))
            np.save(folder / f"{name}_lengths.npy", stream.lengths.astype(np.int64))
        if corpus.tokens is not None:
            np.save(folder / "tokens.npy", np.ascontiguousarray(corpus.tokens, dtype=np.int32))
        corpus.clips.to_parquet(folder / "clips.parquet", index=False)
        record = {
            "format": FORMAT,
            "dataset": corpus.dataset.name,
            "fingerprint": corpus.fingerprint,
            "streams": list(corpus.streams),
            "tokens": corpus.tokens is not None,
            "manifest": corpus.manifest,
        }
        (folder / "manifest.json").write_text(canonical.dumps(record, indent=1), "utf-8")
        checksums.seal(folder)


def _files(record: Mapping[str, Any]) -> list[str]:
    """The files of a corpus beside its manifest."""
    streams = [f"{name}{part}.npy" for name in record["streams"] for part in ("", "_lengths")]
    return ["clips.parquet", *streams, *(["tokens.npy"] if record["tokens"] else [])]


def _mapped(name: str, folder: Path, record: Mapping[str, Any]) -> Corpus:
    streams = {
        stream: Stream(
            np.load(folder / f"{stream}.npy", mmap_mode="c"),
            np.load(folder / f"{stream}_lengths.npy"),
        )
        for stream in record["streams"]
    }
    tokens = np.load(folder / "tokens.npy", mmap_mode="c") if record["tokens"] else None
    dataset = record["dataset"]
    if dataset not in datasets:
        if (broken := datasets.broken(dataset)) is not None:
            raise NotHere(
                f"corpus {name!r} is of dataset {dataset!r}, which cannot be loaded: {broken}",
                hint=broken.remedy,
            )
        raise NotHere(
            f"corpus {name!r} is of dataset {dataset!r}, which nothing installed here defines",
            hint=f"install the package that brings dataset {dataset!r}",
        )
    return Corpus(
        name=name,
        dataset=datasets[dataset],
        fingerprint=record["fingerprint"],
        clips=pd.read_parquet(folder / "clips.parquet"),
        streams=streams,
        tokens=tokens,
        manifest=record["manifest"],
    )


def _is_made(name: str) -> bool:
    """Whether a corpus is made when it is asked for: a twin, or a transfer."""
    source = name.partition("@")[0]
    return source.endswith("-twin") or "-to-" in source


def assemble(draft: Draft) -> Corpus:
    """Validate a draft, order it by split and mark it with its fingerprint; nothing is stored.

    Raises:
        DataError: For a draft that breaks the corpus contract.
    """
    _check_clips(draft)
    _check_arrays(draft)
    ordered = _ordered(draft)
    return Corpus(
        name=ordered.name,
        dataset=datasets[dataset_name(ordered.name)],
        fingerprint=fingerprint(ordered.clips, ordered.streams, ordered.tokens),
        clips=ordered.clips,
        streams=ordered.streams,
        tokens=ordered.tokens,
        manifest=ordered.manifest,
    )


def corpus_name(dataset: Dataset, feature_set: str) -> str:
    """``dataset@feature-set``.

    Raises:
        DataError: For a feature set of other than lower-case letters, digits and hyphens.
    """
    name = f"{dataset.name}@{feature_set}"
    if not _NAME.fullmatch(name):
        raise DataError(
            f"a feature set is named by lower-case letters, digits, hyphens; found {feature_set!r}",
            hint="--feature-set NAME",
        )
    return name


def fingerprint(
    clips: pd.DataFrame, streams: Mapping[str, Stream], tokens: NDArray[np.int32] | None
) -> str:
    """SHA-256 over the content of a corpus, independent of file formats and names.

    Strings enter as UTF-8 with lengths, numbers as little-endian bytes, missing cells as a marker.
    """
    state = hashlib.sha256()
    for column in clips.columns:
        state.update(f"column {column}\x1f".encode())
        for chunk in _column_bytes(clips[column]):
            state.update(chunk)
    for name in sorted(streams):
        values, lengths = streams[name].values, streams[name].lengths
        state.update(f"stream {name} {values.shape}\x1f".encode())
        state.update(np.ascontiguousarray(lengths, dtype="<i8").data)
        for block in _blocks(values):
            state.update(np.ascontiguousarray(block, dtype="<f4").data)
    if tokens is not None:
        state.update(f"tokens {tokens.shape}\x1f".encode())
        state.update(np.ascontiguousarray(tokens, dtype="<i4").data)
    return state.hexdigest()


def _column_bytes(column: pd.Series) -> Iterable[bytes]:
    if pd.api.types.is_numeric_dtype(column):
        yield np.ascontiguousarray(column.to_numpy(dtype="<f8", na_value=np.nan)).tobytes()
        return
    for value in column:
        text = b"\x00" if pd.isna(value) else str(value).encode()
        yield len(text).to_bytes(8, "little") + text


def _ordered(draft: Draft) -> Draft:
    """Rows sorted by split, keeping the source order within each split."""
    rank = draft.clips["split"].map({name: i for i, name in enumerate(SPLITS)})
    if rank.isna().any():
        found = sorted(set(draft.clips["split"]) - set(SPLITS))
        raise DataError(f"splits are {', '.join(SPLITS)}; found {', '.join(map(repr, found))}")
    order = np.argsort(rank.to_numpy(), kind="stable")
    clips = draft.clips.iloc[order].reset_index(drop=True)
    labels = [name for name in LABELS if name in clips]
    clips = clips.assign(**{name: rounded(clips[name].astype("float64")) for name in labels})
    if np.array_equal(order, np.arange(len(order))):
        return Draft(
            name=draft.name,
            clips=clips,
            streams=draft.streams,
            tokens=draft.tokens,
            manifest=draft.manifest,
        )
    return Draft(
        name=draft.name,
        clips=clips,
        streams={k: Stream(s.values[order], s.lengths[order]) for k, s in draft.streams.items()},
        tokens=None if draft.tokens is None else draft.tokens[order],
        manifest=draft.manifest,
    )


def _check_clips(draft: Draft) -> None:
    clips = draft.clips
    if not _NAME.fullmatch(draft.name):
        raise DataError(f"a corpus is named dataset@feature-set, found {draft.name!r}")
    missing = [name for name in _REQUIRED if name not in clips]
    if missing:
        raise DataError(f"{draft.name}: clips lack the columns {', '.join(missing)}")
    if clips.empty:
        raise DataError(f"{draft.name}: no clips")
    if clips["id"].duplicated().any():
        twice = clips["id"][clips["id"].duplicated()].head(3).tolist()
        raise DataError(f"{draft.name}: clip ids occur twice: {', '.join(twice)}")
    if not np.isfinite(clips["label"].astype("float64")).all():
        raise DataError(f"{draft.name}: some clips have no finite label")


def _check_arrays(draft: Draft) -> None:
    n = len(draft.clips)
    for name, stream in draft.streams.items():
        if stream.values.ndim != 3 or len(stream.values) != n or len(stream.lengths) != n:
            raise DataError(
                f"{draft.name}: {name} should be (clips, frames, features) with {n} clips,"
                f" found {stream.values.shape}"
            )
        if ((stream.lengths < 1) | (stream.lengths > stream.frames)).any():
            raise DataError(f"{draft.name}: {name} lengths leave 1..{stream.frames}")
        if not all(np.isfinite(block).all() for block in _blocks(stream.values)):
            raise DataError(f"{draft.name}: {name} holds NaN or infinite values")
    if draft.tokens is not None and (draft.tokens.shape[:2] != (n, 3) or draft.tokens.ndim != 3):
        raise DataError(
            f"{draft.name}: tokens should be (clips, 3, tokens) with {n} clips,"
            f" found {draft.tokens.shape}"
        )


def _blocks(values: NDArray[np.float32]) -> Iterable[NDArray[np.float32]]:
    """Rows in blocks: a bounded copy even of a 10 GB array."""
    row = max(1, values.itemsize * math.prod(values.shape[1:]))
    step = min(512, max(1, _BLOCK // row))
    return (values[start : start + step] for start in range(0, len(values), step))


def dataset_name(corpus: str) -> str:
    """Name of the dataset that a corpus is of or imitates; nobody need have installed it.

    Example:
        >>> dataset_name("sims@label-csv"), dataset_name("mosi-twin-to-sims-twin@compact")
        ('sims', 'mosi-to-sims')
    """
    return corpus.partition("@")[0].replace("-twin", "")  # a transfer of twins has several
