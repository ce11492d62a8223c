"""MMSA ``label.csv`` files (one row per clip, no features) to corpora.

Source: thuiar/MMSA, the label files beside its features.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from harness._util.canonical import Json, file_digest
from harness.data.datasets import SPLITS, Dataset
from harness.data.readers.label_table import OPTIONAL_NUMBERS, REQUIRED, open_labels
from harness.data.readers.tables import Rows
from harness.data.store import Draft, corpus_name

__all__ = ["read"]

_RESERVED = ("id", "video", "clip", "split")  # of the corpus; a column of that name is left out


def read(
    path: Path,
    dataset: Dataset,
    feature_set: str = "label-csv",
    *,
    text: str = "text",
    encoding: str | None = None,
) -> Draft:
    """Convert a label file: clips, texts and labels without feature streams.

    Columns ``video_id, clip_id, text, label, mode`` are required, in any order and letter case;
    ``label_T/A/V``, ``start`` and ``stop`` are numbers or empty; other columns are kept as text.
    Instead of ``video_id`` and ``clip_id`` there may be one column of whole ids, ``id`` or
    ``clip_id``; beside ``video_id``, a ``clip_id`` may be the whole id too.

    What no one sees does not count: blanks around names, ids and splits, the order of the columns
    and the kind of line ends (a line end inside a text is one newline). Texts stay as they are.

    Args:
        path: The ``.csv`` file, in UTF-8 or, by evidence, in an encoding of the language.
        dataset: The dataset it claims to be.
        feature_set: Name of the feature set.
        text: Column that serves as the transcript, for files with a translation beside it.
        encoding: What the file is in, where evidence does not tell.

    Raises:
        DataError: For a missing or empty file, an encoding that cannot be told, missing columns,
            and, with the line, for rows of another width, quotes that swallow rows, texts with
            control characters, labels that are not numbers, unknown splits, and ids that are empty,
            repeated, changed by a spreadsheet, or other than they look.
    """
    table = open_labels(path, dataset, encoding)
    pairs = table.pairs(dataset)
    columns: dict[str, object] = {
        "id": table.ids(pairs, dataset),
        "video": [video for video, _ in pairs],
        "clip": [clip for _, clip in pairs],
        "split": table.splits(),
        "text": table.texts(text),
        "label": table.numbers("label", empty=False),
    }
    for name in OPTIONAL_NUMBERS:
        if name in table.header:
            columns[name] = table.numbers(name, empty=True)
    others = sorted(set(table.header) - {*REQUIRED, *OPTIONAL_NUMBERS, table.whole_ids})
    for name in others:
        if name not in _RESERVED:
            columns[name] = table.texts(name)
    clips = pd.DataFrame(columns)
    return Draft(
        name=corpus_name(dataset, feature_set),
        clips=clips,
        streams={},
        manifest={
            "reader": "label-csv",
            "source": _source(path, table.content, encoding),
            "text": text,
            "clips": {split: int((clips["split"] == split).sum()) for split in SPLITS},
            "ignored": [name for name in others if name in _RESERVED],
        },
    )


def _source(path: Path, content: Rows, stated: str | None) -> dict[str, Json]:
    """What was read, how, and how many lines it had (more than clips where texts have several)."""
    decoded = content.decoded
    evidence = "as stated" if stated is not None else decoded.evidence
    return {
        "name": path.name,
        "sha256": file_digest(path),
        "encoding": decoded.encoding,
        **({"evidence": evidence} if evidence else {}),
        "lines": content.lines[-1],
    }
