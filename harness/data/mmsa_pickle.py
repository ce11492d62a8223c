"""MMSA feature files (pickle: split -> key -> array) to corpora.

The layout of the public MMSA features and of every file derived from them, TEXT's files with
explanations included. Files are read by ``unpickle``, never unpickled.

Source: thuiar/MMSA and fip-lab/TEXT, the keys their data loaders read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.canonical import Json, file_digest
from harness.data._frames import CLEANING, Lengths, frames_and_dim, to_stream
from harness.data._split_file import SplitFile, open_split_file
from harness.data.corpus import STREAMS
from harness.data.datasets import Dataset
from harness.data.store import Draft, corpus_name
from harness.errors import DataError

__all__ = ["read"]

_LABELS = {
    "regression_labels": "label",
    "regression_labels_T": "label_T",
    "regression_labels_A": "label_A",
    "regression_labels_V": "label_V",
}
_TEXTS = {
    "annotations": "annotation",
    "raw_text_en": "text_en",
    "audio_clue": "audio_clue",
    "visual_clue": "visual_clue",
    "clue_summary": "summary",
    "reason": "reason",
    "text_clue": "text_clue",
}
_MAIN_LABEL = "regression_labels_M"  # how some files spell regression_labels
_USED = {"id", "raw_text", "text_bert", _MAIN_LABEL, *_LABELS, *_TEXTS, *STREAMS} | {
    f"{name}_lengths" for name in STREAMS
}


def read(path: Path, dataset: Dataset, feature_set: str | None = None) -> Draft:
    """Convert an MMSA feature file.

    Args:
        path: The ``.pkl`` file.
        dataset: The dataset it claims to be.
        feature_set: Name of the feature set, lower-case letters, digits and hyphens; None to
            recognise a public one by its array sizes.

    Returns:
        Clips in the order train, valid, test. The manifest records the source, what was cleaned,
        where lengths come from and which keys were left out. Token streams other than
        ``text_bert`` are left out because they can be made again from their texts.

    Raises:
        DataError: For an unsafe or damaged file, missing keys, arrays that do not fit together, or
            a feature set that is unknown or not what its name says.
    """
    if feature_set is not None:
        corpus_name(dataset, feature_set)  # a bad name is refused before any work
    file = open_split_file(path)
    parts = {name: file.entries(name) for name in STREAMS if name in file.keys}
    shapes = {name: frames_and_dim(name, arrays) for name, arrays in parts.items()}
    feature_set = _feature_set(dataset, shapes, feature_set)
    clips = _clips(file, dataset)
    tokens = _tokens(file)
    converted = {
        name: to_stream(name, arrays, _stated_lengths(file, name, shapes[name][0], tokens))
        for name, arrays in parts.items()
    }
    return Draft(
        name=corpus_name(dataset, feature_set),
        clips=clips,
        streams={name: stream for name, (stream, _) in converted.items()},
        tokens=tokens,
        manifest={
            "reader": "mmsa-pickle",
            "source": _source(path, dataset),
            "clips": dict(file.counts),
            "cleaning": CLEANING,
            "streams": {name: record for name, (_, record) in converted.items()},
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


def _clips(file: SplitFile, dataset: Dataset) -> pd.DataFrame:
    pairs = [_video_and_clip(file.name, clip_id) for clip_id in file.texts("id")]
    columns: dict[str, object] = {
        "id": [dataset.clip_id(video, clip) for video, clip in pairs],
        "video": [video for video, _ in pairs],
        "clip": [clip for _, clip in pairs],
        "split": np.repeat(list(file.counts), list(file.counts.values())),
        "text": file.texts("raw_text"),
    }
    main = "regression_labels"
    if main not in file.keys and _MAIN_LABEL in file.keys:
        main = _MAIN_LABEL
    columns["label"] = file.numbers(main)
    for key, column in _LABELS.items():
        if column != "label" and key in file.keys:
            columns[column] = file.numbers(key)
    columns |= {column: file.texts(key) for key, column in _TEXTS.items() if key in file.keys}
    return pd.DataFrame(columns)


def _video_and_clip(file: str, clip_id: str) -> tuple[str, str]:
    """``video$_$clip`` as MMSA writes it; also ``video/clip`` and ``video_clip``."""
    for separator in ("$_$", "/", "_"):
        video, found, clip = clip_id.rpartition(separator)
        if found and video and clip:
            return video, clip
    raise DataError(f"{file}: ids should be video$_$clip or video_clip, found {clip_id[:60]!r}")


def _tokens(file: SplitFile) -> NDArray[np.int32] | None:
    """(N, 3, L) ids, mask, segments; stored as whole numbers of any numeric type."""
    if "text_bert" not in file.keys:
        return None
    parts = []
    for split, part in file.entries("text_bert").items():
        where = f"{file.name}: {split}.text_bert"
        if not isinstance(part, np.ndarray) or part.dtype.kind not in "fiu":
            raise DataError(f"{where} should be an array of numbers")
        if part.ndim != 3 or part.shape[1] != 3:
            raise DataError(f"{where} should be (clips, 3, tokens), found {part.shape}")
        with np.errstate(invalid="ignore"):
            whole = part.astype(np.int32)
        if not np.array_equal(whole, part) or (whole < 0).any() or (whole[:, 1] > 1).any():
            raise DataError(f"{where} should hold token ids, a mask of 0 and 1, and segments")
        parts.append(whole)
    if len({part.shape[2] for part in parts}) != 1:
        raise DataError(f"{file.name}: text_bert has another number of tokens in each split")
    return np.concatenate(parts)


def _stated_lengths(
    file: SplitFile, name: str, frames: int, tokens: NDArray[np.int32] | None
) -> Lengths | None:
    key = f"{name}_lengths"
    if key in file.keys:
        return Lengths(frames=file.numbers(key).astype(np.int64), source=key, binding=False)
    if name == "text" and tokens is not None and tokens.shape[2] == frames:
        mask = tokens[:, 1].sum(axis=1, dtype=np.int64)
        return Lengths(frames=mask, source="text_bert mask", binding=True)
    return None


def _source(path: Path, dataset: Dataset) -> dict[str, Json]:
    sha256 = file_digest(path)
    published = dataset.published_files.get(sha256)
    return {"name": path.name, "sha256": sha256, "published_as": published}


def _left_out(file: SplitFile) -> dict[str, Json]:
    """Keys that were seen but are not part of the corpus."""
    rest = file.keys - _USED
    tokens = {key for key in rest if key.endswith("_bert")}
    return {"token_streams": [*sorted(tokens)], "ignored": [*sorted(rest - tokens)]}
