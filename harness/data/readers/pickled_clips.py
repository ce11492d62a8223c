"""The clips of an MMSA file as a table: ids in one spelling, labels and texts, gaps counted."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd

from harness._util.canonical import Json
from harness.data.datasets import Dataset
from harness.data.identifiers import canonical_id, look_alikes
from harness.data.readers.split_file import SplitFile
from harness.errors import DataError

__all__ = ["KEYS", "clips_of", "unlabelled_clips_of"]

_MAIN_LABEL = ("regression_labels", "regression_labels_M")  # as most and as some files spell it
_LABELS = {f"regression_labels_{modality}": f"label_{modality}" for modality in "TAV"}
_TEXTS = {
    "annotations": "annotation",
    "raw_text_en": "text_en",
    "audio_clue": "audio_clue",
    "visual_clue": "visual_clue",
    "clue_summary": "summary",
    "reason": "reason",
    "text_clue": "text_clue",
}
KEYS = frozenset({"id", "raw_text", *_MAIN_LABEL, *_LABELS, *_TEXTS})
"""What the table is made of."""


def clips_of(file: SplitFile, dataset: Dataset) -> tuple[pd.DataFrame, dict[str, Json]]:
    """One row per clip in the order of the file, columns as ``Corpus.clips`` has them.

    Returns:
        The table, and the record: ``texts_absent`` and ``labels_absent`` count None and NaN by key,
        ``texts_decoded`` says how bytes other than UTF-8 were read; keys without any are left out.

    Raises:
        DataError: For missing keys, and, naming split and row, for ids that are no ids, texts that
            are no texts and labels that are no numbers; for ids that repeat or look alike.
    """
    pairs = _ids(file, dataset)
    main = next((key for key in _MAIN_LABEL if key in file.keys), _MAIN_LABEL[0])
    texts = {
        key: file.texts(key) for key in ("raw_text", *_TEXTS) if key in file.keys | {"raw_text"}
    }
    labels = {
        key: file.numbers(key, absent=key != main)
        for key in (main, *_LABELS)
        if key in file.keys | {main}
    }
    columns: dict[str, object] = {
        "id": [dataset.clip_id(video, clip) for video, clip in pairs],
        "video": [video for video, _ in pairs],
        "clip": [clip for _, clip in pairs],
        "split": np.repeat(list(file.counts), list(file.counts.values())),
        "text": texts["raw_text"].values,
    }
    columns |= {_LABELS.get(key, "label"): values for key, values in labels.items()}
    columns |= {_TEXTS[key]: texts[key].values for key in texts if key in _TEXTS}
    record: dict[str, Json] = {
        "texts_absent": {key: read.absent for key, read in texts.items() if read.absent},
        "texts_decoded": {key: read.read_as for key, read in texts.items() if read.read_as},
        "labels_absent": {
            key: int(np.isnan(values).sum())
            for key, values in labels.items()
            if np.isnan(values).any()
        },
    }
    return pd.DataFrame(columns), record


def unlabelled_clips_of(file: SplitFile) -> pd.DataFrame:
    """One row per clip in the order of the file: ``id``, and the texts that it has.

    Raises:
        DataError: As ``clips_of``, but for labels and texts that are missing.
    """
    ids = []
    for where, entry in file.cells("id"):
        try:
            ids.append(canonical_id(entry.decode() if isinstance(entry, bytes) else entry))
        except ValueError as error:  # UnicodeDecodeError is one
            raise DataError(f"{where}: {error}", hint="store ids as text") from error
    _refuse_ambiguous(file, ids)
    texts = {"raw_text": "text", **_TEXTS}
    columns = {name: file.texts(key).values for key, name in texts.items() if key in file.keys}
    return pd.DataFrame({"id": ids, **columns})


def _ids(file: SplitFile, dataset: Dataset) -> list[tuple[str, str]]:
    """Video and clip of each id. Numbers are refused: neither half of an id is in them."""
    pairs = []
    for where, entry in file.cells("id"):
        try:
            text = entry.decode() if isinstance(entry, bytes) else entry
            pairs.append(dataset.split_id(text))
        except ValueError as error:  # UnicodeDecodeError is one
            raise DataError(
                f"{where}: {error}", hint="store ids as text, as published: video$_$clip"
            ) from error
    _refuse_ambiguous(file, [dataset.clip_id(video, clip) for video, clip in pairs])
    return pairs


def _refuse_ambiguous(file: SplitFile, ids: list[str]) -> None:
    repeated = [clip for clip, times in Counter(ids).items() if times > 1]
    if repeated:
        raise DataError(
            f"{file.name} has {len(repeated)} clips more than once: {', '.join(repeated[:3])}",
            hint="one entry per clip over all splits; which of them is meant cannot be told",
        )
    pairs = look_alikes(ids)
    if pairs:
        one, other = pairs[0]
        raise DataError(
            f"{file.name}: {len(pairs)} ids look like another one and are not: {one!a} and"
            f" {other!a}",
            hint="spell every id as published",
        )
