"""MMSA feature files (pickle: split -> key -> array) to corpora.

The layout of the public MMSA features and of every file derived from them, TEXT's files with
explanations included. Files are read by ``unpickle``, never unpickled. How padding and lengths are
read stands in ``_padding``.

Source: thuiar/MMSA and fip-lab/TEXT, the keys their data loaders read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness._util.canonical import Json, file_digest
from harness.data.corpus import STREAMS, Stream
from harness.data.datasets import Dataset
from harness.data.readers.frames import CLEANING, frames_and_dim, padded, to_streams
from harness.data.readers.padding import Lengths
from harness.data.readers.pickled_clips import KEYS, clips_of, unlabelled_clips_of
from harness.data.readers.split_file import SplitFile, open_clip_file, open_split_file
from harness.data.store import Draft, corpus_name
from harness.errors import DataError

__all__ = ["UnlabelledFeatures", "read", "read_unlabelled"]

_TOKEN = 16  # bytes charged per token id: copied as a whole number, compared, joined, moved
_USED = KEYS | {"text_bert", *STREAMS} | {f"{name}_lengths" for name in STREAMS}


@dataclass(frozen=True, eq=False, kw_only=True)
class UnlabelledFeatures:
    """Clips and their features, in the order of their file; see ``Corpus`` for the parts."""

    clips: pd.DataFrame
    streams: Mapping[str, Stream]
    tokens: NDArray[np.int32] | None


def read_unlabelled(path: Path, dataset: Dataset) -> UnlabelledFeatures:
    """Read a feature file for its features alone: labels need not be there, and are not read.

    Args:
        path: The ``.pkl`` file: keyed arrays of all clips, or of some splits.
        dataset: Whose rules take ids apart, and whose language texts are in.

    Raises:
        DataError: As ``read``, but for labels and splits that are missing.
    """
    file = open_clip_file(path, language=dataset.language)
    given = {
        name: padded(name, file.entries(name), file.budget, pad=True)
        for name in STREAMS
        if name in file.keys
    }
    parts = {name: arrays for name, (arrays, _) in given.items()}
    counted = {name: counts for name, (_, counts) in given.items() if counts is not None}
    tokens = _tokens(file)
    frames = {name: frames_and_dim(name, arrays)[0] for name, arrays in parts.items()}
    stated = _stated_lengths(file, frames, tokens, counted)
    converted = to_streams(parts, stated, file.budget)
    return UnlabelledFeatures(
        clips=unlabelled_clips_of(file),
        streams={name: stream for name, (stream, _) in converted.items()},
        tokens=None if tokens is None else tokens[0],
    )


def read(
    path: Path,
    dataset: Dataset,
    feature_set: str | None = None,
    *,
    pad: bool = False,
    layout: str = "mmsa",
) -> Draft:
    """Convert an MMSA feature file.

    Args:
        path: The ``.pkl`` file.
        dataset: The dataset it claims to be.
        feature_set: Name of the feature set, lower-case letters, digits and hyphens; None to
            recognise a public one by its array sizes.
        pad: Whether streams with one (t, D) array per clip may be padded with zeros at the end.
        layout: ``mmsa``, or ``mag-bert`` for lists of word-aligned clips (they are padded).

    Returns:
        Clips in the order train, valid, test. Absent texts are empty, absent uni-modal labels NaN.
        The manifest records the source, what was cleaned, moved, extended and cut, where lengths
        come from and which keys were left out. Token streams other than ``text_bert`` are left out
        because they can be made again from their texts.

    Raises:
        DataError: For an unsafe or damaged file, one that takes more memory than a file of its size
            may (see ``Budget``), missing keys, ids that are no ids, repeat or look
            alike, arrays or lengths that do not fit together, or a feature set that is unknown or
            not what its name says.
    """
    if feature_set is not None:
        corpus_name(dataset, feature_set)  # a bad name is refused before any work
    file = open_split_file(path, layout=layout, language=dataset.language)
    pad = pad or layout == "mag-bert"
    given = {
        name: padded(name, file.entries(name), file.budget, pad=pad)
        for name in STREAMS
        if name in file.keys
    }
    parts = {name: arrays for name, (arrays, _) in given.items()}
    shapes = {name: frames_and_dim(name, arrays) for name, arrays in parts.items()}
    feature_set = _feature_set(dataset, shapes, feature_set)
    clips, gaps = clips_of(file, dataset)
    tokens = _tokens(file)
    counted = {name: counts for name, (_, counts) in given.items() if counts is not None}
    frames = {name: shape[0] for name, shape in shapes.items()}
    stated = _stated_lengths(file, frames, tokens, counted)
    converted = to_streams(parts, stated, file.budget)
    return Draft(
        name=corpus_name(dataset, feature_set),
        clips=clips,
        streams={name: stream for name, (stream, _) in converted.items()},
        tokens=None if tokens is None else tokens[0],
        manifest={
            "reader": "mmsa-pickle",
            "source": _source(path, dataset),
            "clips": dict(file.counts),
            "cleaning": CLEANING,
            **gaps,
            "streams": {name: record for name, (_, record) in converted.items()},
            "tokens_moved": 0 if tokens is None else int((tokens[1] > 0).sum()),
            **_left_out(file),
        },
    )


def _feature_set(dataset: Dataset, shapes: Mapping[str, tuple[int, int]], name: str | None) -> str:
    if name is None:
        for known, published in dataset.shapes.items():
            if published == shapes:
                return known
        raise DataError(
            f"no public feature set of {dataset.title} has {_spelled(shapes)}",
            hint="name it: --feature-set NAME (lower-case letters, digits, hyphens)",
        )
    if dataset.shapes.get(name, shapes) != shapes:
        raise DataError(
            f"{name} of {dataset.title} has {_spelled(dataset.shapes[name])};"
            f" found {_spelled(shapes)}",
            hint="give these features another name: --feature-set NAME",
        )
    return name


def _spelled(shapes: Mapping[str, tuple[int, int]]) -> str:
    return ", ".join(f"{stream} {t}x{d}" for stream, (t, d) in shapes.items()) or "no streams"


def _tokens(file: SplitFile) -> tuple[NDArray[np.int32], NDArray[np.int64]] | None:
    """(N, 3, L) ids, mask, segments, padding at the end, and (N,) where it began before that.

    They are stored as whole numbers of any numeric type.
    """
    if "text_bert" not in file.keys:
        return None
    parts = []
    for split, part in file.entries("text_bert").items():
        where = f"{file.name}: {split}.text_bert"
        if not isinstance(part, np.ndarray) or part.dtype.kind not in "fiu":
            raise DataError(f"{where} should be an array of numbers")
        if part.ndim != 3 or part.shape[1] != 3:
            raise DataError(f"{where} should be (clips, 3, tokens), found {part.shape}")
        file.budget.spend(_TOKEN * part.size, f"{split}.text_bert")
        with np.errstate(invalid="ignore"):
            whole = part.astype(np.int32)
        if not np.array_equal(whole, part) or (whole < 0).any() or (whole[:, 1] > 1).any():
            raise DataError(f"{where} should hold token ids, a mask of 0 and 1, and segments")
        parts.append(whole)
    if len({part.shape[2] for part in parts}) != 1:
        raise DataError(f"{file.name}: text_bert has another number of tokens in each split")
    return _padded_at_the_end(file, np.concatenate(parts))


def _padded_at_the_end(
    file: SplitFile, tokens: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    mask = tokens[:, 1] > 0  # (N, L)
    starts = mask.argmax(axis=1).astype(np.int64)
    for row in np.flatnonzero(starts):
        tokens[row] = np.roll(tokens[row], -starts[row], axis=1)
    holes = np.flatnonzero((np.diff(tokens[:, 1], axis=1) > 0).any(axis=1))
    if holes.size:
        shown = ", ".join(file.places[row] for row in holes[:3])
        raise DataError(
            f"{file.name}: the text_bert mask has zeros between ones in {holes.size} clips, such as"
            f" {shown}",
            hint="mask padding alone: ones for every token of the text",
        )
    return tokens, starts


def _stated_lengths(
    file: SplitFile,
    frames: Mapping[str, int],
    tokens: tuple[NDArray[np.int32], NDArray[np.int64]] | None,
    counted: Mapping[str, NDArray[np.int64]],
) -> dict[str, Lengths]:
    """What the file says of each stream: frame counts, a token mask, arrays of their own length."""
    places = file.places
    stated = {}
    for name in frames:
        key = f"{name}_lengths"
        if key in file.keys:
            stated[name] = _frame_counts(file, key)
        elif name == "text" and tokens is not None and tokens[0].shape[2] == frames[name]:
            mask = tokens[0][:, 1].sum(axis=1, dtype=np.int64)
            stated[name] = Lengths(
                frames=mask, source="text_bert mask", places=places, starts=tokens[1]
            )
        elif name in counted:
            stated[name] = Lengths(
                frames=counted[name], source="frames of each clip's array", places=places
            )
    return stated


def _frame_counts(file: SplitFile, key: str) -> Lengths:
    given = file.numbers(key)
    wrong = np.flatnonzero((given < 0) | (given != np.floor(given)))
    if wrong.size:
        shown = ", ".join(f"{file.places[row]} {given[row]:g}" for row in wrong[:3])
        raise DataError(
            f"{file.name}: {key} should be whole numbers of frames, not negative; {wrong.size} of"
            f" {given.size} are not ({shown})",
            hint=f"store the number of frames of each clip, or leave {key} out",
        )
    frames = np.minimum(given, np.iinfo(np.int32).max).astype(np.int64)
    return Lengths(frames=frames, source=key, places=file.places)


def _source(path: Path, dataset: Dataset) -> dict[str, Json]:
    sha256 = file_digest(path)
    published = dataset.published_files.get(sha256)
    return {"name": path.name, "sha256": sha256, "published_as": published}


def _left_out(file: SplitFile) -> dict[str, Json]:
    """Keys that were seen but are not part of the corpus."""
    rest = file.keys - _USED
    tokens = {key for key in rest if key.endswith("_bert")}
    return {"token_streams": [*sorted(tokens)], "ignored": [*sorted(rest - tokens)]}
