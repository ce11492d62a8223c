"""Explanations: texts that a language model wrote about clips, joined to a stored corpus.

They are side information: results with and without them are never ranked together. A corpus with
explanations is a corpus of its own, whose fingerprint covers every word of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pandas as pd

from harness.canonical import Json, file_digest
from harness.data.corpus import EXPLANATIONS, Corpus
from harness.data.store import Draft, corpus_name
from harness.errors import DataError, SubmissionError
from harness.predictions import read_predictions_table

__all__ = ["Kind", "check_bare", "explain", "explained_name", "read", "source_of"]

Kind = Literal["transcript_llm", "video_mllm", "both"]
"""Who wrote them from what: a language model from the transcript, a multimodal one from the clip,
or one of each. ``Protocol.side_info`` has the same values."""


def read(path: Path, corpus: Corpus) -> pd.DataFrame:
    """Explanations by clip id.

    Args:
        path: ``.csv``, ``.parquet`` or ``.jsonl`` with ``id`` (or ``video_id`` and ``clip_id``) and
            one or more of ``audio_clue``, ``visual_clue``, ``summary``.
        corpus: Whose clips they explain.

    Returns:
        Index clip id, one text column per explanation of the file; empty cells are empty texts.

    Raises:
        DataError: For a file that cannot be read, without these columns, with repeated clips, or
            with clips that are not the corpus's.
    """
    if path.suffix not in (".csv", ".parquet", ".jsonl"):
        raise DataError(f"explanations come as .csv, .parquet or .jsonl; found {path.name}")
    try:
        table = read_predictions_table(path).frame
    except SubmissionError as error:
        raise DataError(str(error), hint=error.hint) from error
    columns = [name for name in EXPLANATIONS if name in table]
    if not columns:
        raise DataError(
            f"{path.name} has none of the columns {', '.join(EXPLANATIONS)};"
            f" it has {', '.join(map(str, table))}"
        )
    texts = table[columns].fillna("").astype(str)
    texts.index = pd.Index(_ids(path, table, corpus), name="id")
    _check_clips(path, texts.index, corpus)
    return texts


def explain(
    corpus: Corpus, texts: pd.DataFrame, *, feature_set: str, kind: Kind, source: dict[str, Json]
) -> Draft:
    """The corpus with explanations; clips without one get an empty text.

    Args:
        corpus: A stored corpus.
        texts: From ``read``.
        feature_set: Name of the new feature set.
        kind: Recorded, and compared with what a protocol allows.
        source: Recorded: where the texts come from.

    Raises:
        DataError: When the corpus has explanations already.
    """
    check_bare(corpus)
    columns = texts.reindex(corpus.clips["id"]).fillna("").reset_index(drop=True)
    filled = {str(name): int((cells.str.strip() != "").sum()) for name, cells in columns.items()}
    record: dict[str, Json] = {**source, "clips": filled}
    return Draft(
        name=explained_name(corpus, feature_set),
        clips=pd.concat([corpus.clips, columns], axis=1),
        streams=corpus.streams,
        tokens=corpus.tokens,
        manifest={**corpus.manifest, "side_info": kind, "explanations": record},
    )


def check_bare(corpus: Corpus) -> None:
    """Raise DataError when the corpus has explanations already."""
    present = [name for name in EXPLANATIONS if name in corpus.clips]
    if present:
        raise DataError(
            f"corpus {corpus.name} already has {', '.join(present)}",
            hint="start from the corpus without explanations",
        )


def explained_name(corpus: Corpus, feature_set: str) -> str:
    """What the corpus is called with explanations; a twin stays a twin.

    Raises:
        DataError: For a feature set that cannot be one.
    """
    name = corpus_name(corpus.dataset, feature_set)
    return name.replace("@", "-twin@") if corpus.is_twin else name


def source_of(path: Path) -> dict[str, Json]:
    """Name and content of the file, for the manifest."""
    return {"name": path.name, "sha256": file_digest(path)}


def _ids(path: Path, table: pd.DataFrame, corpus: Corpus) -> list[str]:
    if "id" in table:
        return table["id"].astype(str).tolist()
    if not {"video_id", "clip_id"} <= set(table):
        raise DataError(f"{path.name}: expected a column id, or video_id and clip_id")
    pairs = zip(table["video_id"].astype(str), table["clip_id"].astype(str), strict=True)
    return [corpus.dataset.clip_id(video, clip) for video, clip in pairs]


def _check_clips(path: Path, ids: pd.Index, corpus: Corpus) -> None:
    twice = ids[ids.duplicated()].unique()
    if len(twice):
        raise DataError(f"{path.name} explains a clip twice: {', '.join(twice[:3])}")
    strange = ids[~ids.isin(corpus.clips["id"])]
    if len(strange):
        raise DataError(
            f"{path.name} explains {len(strange)} clips that {corpus.name} does not have:"
            f" {', '.join(strange[:3])}",
            hint=f"its clips are called like {corpus.clips['id'].iloc[0]}",
        )
