"""What is to be predicted, as a corpus: a stored one, a table of clips, features, recordings.

It is checked to be what the network reads; where it is not, both are named.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from harness import data
from harness.data.corpus import EXPLANATIONS, Corpus, Stream
from harness.data.datasets import datasets
from harness.data.readers.mmsa_pickle import read_unlabelled
from harness.data.readers.tables import read_table
from harness.errors import DataError, SpecError
from harness.home import Home
from harness.runs.predicting.recordings import HeardBy, of_recordings
from harness.runs.predicting.unlabelled import SPLIT, without_labels
from harness.runs.weights.card import StreamFacts
from harness.runs.weights.restoring import Restored

__all__ = ["Clips", "find_clips"]

_TABLES = (".csv", ".jsonl", ".parquet")
_PICKLES = (".pkl", ".pickle")
_KINDS = (
    f"a corpus (dataset@feature-set), a table of clips ({', '.join(_TABLES)}), a pickle of features"
    " or a folder of recordings"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Clips:
    """Clips that a network can read.

    Args:
        name: What messages call them.
        corpus: With streams of the sizes that the network was built for.
        splits: Those to predict.
        labelled: Whether they are of a corpus, with its splits and labels.
        notices: What a reader must know.
    """

    name: str
    corpus: Corpus
    splits: tuple[str, ...]
    labelled: bool
    notices: tuple[str, ...] = ()


def find_clips(
    on: str | Path, restored: Restored, home: Home, *, split: str, how: HeardBy
) -> Clips:
    """What ``on`` names, checked to be what the network reads.

    Args:
        on: A corpus (``dataset@feature-set``), a table of clips, a pickle of features, or a folder
            of recordings.
        restored: The network.
        home: Where corpora and caches are.
        split: Of a corpus: ``train``, ``valid``, ``test`` or ``all``.
        how: How recordings become clips.

    Raises:
        DataError: When it is none of these, lacks what the network reads, or has it in another
            feature set or other sizes.
        SpecError: For a split that is none, or stored tokens where there are none.
    """
    path = Path(on)
    if "@" in str(on) and not path.exists():
        return _of_corpus(str(on), restored, home, split)
    if path.is_dir():
        corpus = of_recordings(path, restored, home, how)
    elif path.suffix.lower() in _TABLES and path.exists():
        corpus = _of_table(path, restored)
    elif path.suffix.lower() in _PICKLES and path.exists():
        read = read_unlabelled(path, datasets[restored.model.dataset])
        corpus = without_labels(read.clips, read.streams, read.tokens, restored.model)
        _need(corpus, restored, path.name)
    else:
        what = "found no such file" if not path.exists() else f"found {path.name}"
        raise DataError(f"clips are {_KINDS}; {what}: {on}", hint="msa list corpora")
    fitted, notices = _sized(corpus, restored, path.name, cuts=path.is_dir())
    return Clips(name=path.name, corpus=fitted, splits=(SPLIT,), labelled=False, notices=notices)


def _of_corpus(name: str, restored: Restored, home: Home, split: str) -> Clips:
    corpus, model = data.load(name, home), restored.model
    splits = tuple(corpus.splits) if split == "all" else (split,)
    if split != "all" and split not in corpus.splits:
        raise SpecError(f"--split takes {', '.join(corpus.splits)} or all; found {split!r}")
    empty = [one for one in splits if not len(corpus.split(one))]
    if empty:
        raise DataError(f"corpus {name} has no {empty[0]} clips", hint="--split")
    if restored.streams and corpus.feature_set != model.feature_set:
        raise DataError(
            f"{restored.name} reads features of {model.feature_set}; {name} has those of"
            f" {corpus.feature_set}",
            hint=f"a corpus DATASET@{model.feature_set}",
        )
    if restored.streams and corpus.manifest.get("feature_space") != model.space:
        raise DataError(
            f"{restored.name} and {name} call their features alike, and they were made in other"
            " ways: by other extractors, versions or encoders",
            hint=f"msa extract {name.partition('@')[0]}@… --as {model.feature_set}, as for the"
            " corpus that it was trained on",
        )
    _need(corpus, restored, name)
    fitted, notices = _sized(corpus, restored, name, cuts=False)
    return Clips(name=name, corpus=fitted, splits=splits, labelled=True, notices=notices)


def _of_table(path: Path, restored: Restored) -> Corpus:
    """Clips with their texts."""
    if restored.streams:
        raise DataError(
            f"{restored.name} reads {' and '.join(restored.streams)} features of"
            f" {restored.model.feature_set}; a table has texts alone",
            hint="--on a pickle of features, a corpus, or recordings",
        )
    table = read_table(path, what="tables of clips", hint="columns: id, text")
    ids = table.ids(unique=True)
    known = ("text", *EXPLANATIONS)
    texts = {name: table.texts(name, ids) for name in known if name in table.frame}
    corpus = without_labels(pd.DataFrame({"id": ids, **texts}), {}, None, restored.model)
    _need(corpus, restored, path.name)
    return corpus


def _need(corpus: Corpus, restored: Restored, name: str) -> None:
    """Refuse clips without what the network reads."""
    lacking = sorted(restored.system.missing(corpus, restored.params) - {"unimodal"})
    lacking += [n for n in restored.streams if n not in corpus.streams and n not in lacking]
    if lacking:
        told = {"tokens": "texts to make tokens of", "transcript": "texts (a column text)"}
        if restored.params.tokens == "corpus":
            told["tokens"] = "stored tokens"
        raise DataError(
            f"{restored.name} reads {', '.join(told.get(n, n) for n in lacking)}; {name} has none",
            hint=f"msa card {restored.system.name} lists what it reads",
        )


def _sized(
    corpus: Corpus, restored: Restored, name: str, *, cuts: bool
) -> tuple[Corpus, tuple[str, ...]]:
    """The corpus with the streams that the network was built for, as many frames each."""
    streams, notices = {}, []
    for stream in restored.streams:
        found, model = corpus.streams[stream], restored.model.streams[stream]
        if found.dim != model.dim or (found.frames > model.frames and not cuts):
            raise DataError(
                f"{restored.name} reads {stream} of {model.frames} frames x {model.dim} features;"
                f" {name} has {found.frames} x {found.dim}",
                hint="features made as those of the corpus that it was trained on",
            )
        if longer := int((found.lengths > model.frames).sum()):
            notices.append(
                f"{longer} clips have more frames of {stream} than the {model.frames} that"
                f" {restored.name} reads: the rest is left out"
            )
        streams[stream] = _with_frames(found, model)
    return dataclasses.replace(corpus, streams=streams), tuple(notices)


def _with_frames(stream: Stream, model: StreamFacts) -> Stream:
    if stream.frames == model.frames:
        return stream
    values = np.zeros((len(stream.values), model.frames, model.dim), np.float32)
    kept = min(stream.frames, model.frames)
    values[:, :kept] = stream.values[:, :kept]
    return Stream(values, np.minimum(stream.lengths, model.frames))
