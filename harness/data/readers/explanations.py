"""Explanations: texts that a language model wrote about clips, joined to a stored corpus.

They are side information: results with and without them are never ranked together. A corpus with
explanations is a corpus of its own, whose fingerprint covers every word of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from harness._util.canonical import Json, file_digest
from harness.data.corpus import EXPLANATIONS, Corpus
from harness.data.leak_gate import LeakGate
from harness.data.readers.tables import read_table
from harness.data.store import Draft, corpus_name
from harness.errors import DataError

__all__ = ["ExplanationTexts", "Kind", "check_bare", "explain", "explained_name", "read"]

Kind = Literal["transcript_llm", "video_mllm", "both"]
"""Who wrote them from what: a language model from the transcript, a multimodal one from the clip,
or one of each. ``Protocol.side_info`` has the same values."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ExplanationTexts:
    """Explanations as a file has them.

    Args:
        texts: Index clip id, one text column per explanation; empty cells are empty texts.
        source: Name, content and encoding of the file, for the manifest.
    """

    texts: pd.DataFrame
    source: dict[str, Json]


def read(path: Path, corpus: Corpus, *, encoding: str | None = None) -> ExplanationTexts:
    """Explanations by clip id.

    Args:
        path: ``.csv``, ``.parquet`` or ``.jsonl`` with ``id`` (or ``video_id`` and ``clip_id``) and
            one or more of ``audio_clue``, ``visual_clue``, ``summary``. CSV is in UTF-8 or, by
            evidence, in an encoding of the dataset's language.
        corpus: Whose clips they explain.
        encoding: What a CSV is in, where evidence does not tell.

    Raises:
        DataError: For a file that cannot be read, without these columns, with cells that are no
            texts, with repeated clips, or with clips that are not the corpus's.
    """
    table = read_table(
        path, what="explanations", language=corpus.dataset.language, encoding=encoding
    )
    columns = [name for name in EXPLANATIONS if name in table.frame]
    if not columns:
        raise DataError(
            f"{path.name} has none of the columns {', '.join(EXPLANATIONS)};"
            f" it has {', '.join(map(str, table.frame))}"
        )
    ids = table.ids(unique=True, dataset=corpus.dataset)
    texts = pd.DataFrame(
        {name: table.texts(name, ids) for name in columns}, index=pd.Index(ids, name="id")
    )
    _check_clips(path, texts.index, corpus)
    source: dict[str, Json] = {"name": path.name, "sha256": file_digest(path)}
    if table.encoding:
        source["encoding"] = table.encoding
    return ExplanationTexts(texts=texts, source=source)


def explain(
    corpus: Corpus,
    texts: pd.DataFrame,
    *,
    feature_set: str,
    kind: Kind,
    source: dict[str, Json],
    gate: LeakGate | None = None,
) -> Draft:
    """The corpus with explanations; clips without one get an empty text.

    Args:
        corpus: A stored corpus.
        texts: As ``ExplanationTexts.texts``.
        feature_set: Name of the new feature set.
        kind: Recorded, and compared with what a protocol allows.
        source: Recorded: where the texts come from.
        gate: Recorded: what the leak gate found of the texts; None where nobody asked it.

    Raises:
        DataError: When the corpus has explanations already.
    """
    check_bare(corpus)
    columns = texts.reindex(corpus.clips["id"]).fillna("").reset_index(drop=True)
    filled = {str(name): int((cells.str.strip() != "").sum()) for name, cells in columns.items()}
    record: dict[str, Json] = {**source, "clips": filled}
    if gate is not None:
        record["leak_gate"] = gate.json()
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


def _check_clips(path: Path, ids: pd.Index, corpus: Corpus) -> None:
    strange = ids[~ids.isin(corpus.clips["id"])]
    if len(strange):
        raise DataError(
            f"{path.name} explains {len(strange)} clips that {corpus.name} does not have:"
            f" {', '.join(strange[:3])}",
            hint=f"its clips are called like {corpus.clips['id'].iloc[0]}",
        )
