"""Joining the parts of a transfer: clips, streams, and what forbids it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness._util.canonical import Json
from harness.data.corpus import EXPLANATIONS, Corpus, Split, Stream
from harness.data.datasets import SPLITS
from harness.data.identifiers import skeleton
from harness.data.transfer.name import Parts
from harness.errors import DataError

__all__ = ["Pieces"]


@dataclass(frozen=True, eq=False)
class Pieces:
    """The splits that a transfer is joined from.

    Args:
        parts: What its name says.
        opened: The corpora it names.
    """

    parts: Parts
    opened: Mapping[str, Corpus]

    @cached_property
    def splits(self) -> tuple[Split, ...]:
        """Train of every source, valid of every source, test of the target."""
        sources = [self.opened[part] for part in self.parts.sources]
        learned = itertools.product(SPLITS[:-1], sources)
        target = self.opened[self.parts.target]
        return (*(source.split(name) for name, source in learned), target.split(SPLITS[-1]))

    @property
    def clips(self) -> pd.DataFrame:
        """All clips, labels in [-1, 1], with ``domain``."""
        explained = EXPLANATIONS if self._explained else ()
        tables = [self._table(split, explained) for split in self.splits]
        return pd.concat(tables, ignore_index=True)

    def _table(self, split: Split, explained: Sequence[str]) -> pd.DataFrame:
        clips, dataset = split.clips, split.corpus.dataset
        texts = _english(split) if self.parts.track == "English text" else clips["text"]
        table = clips[["id", "video", "clip", "split"]].assign(
            text=texts, label=clips["label"] / dataset.high, domain=dataset.name
        )
        return pd.concat([table, clips[list(explained)]], axis=1)

    @property
    def _explained(self) -> bool:
        """Whether all parts have explanations by the same kind of writer."""
        kinds = {str(part.manifest.get("side_info")) for part in self.opened.values()}
        present = (set(EXPLANATIONS) <= set(part.clips) for part in self.opened.values())
        return len(kinds) == 1 and all(present)

    @property
    def streams(self) -> dict[str, Stream]:
        """All streams.

        Raises:
            DataError: When the parts have different feature spaces, or nothing says they have not.
        """
        _check_feature_space(self.parts, list(self.opened.values()))
        return {
            name: _joined([part for split in self.splits if (part := split.stream(name))])
            for name in self.opened[self.parts.target].streams
        }

    def check_videos(self) -> None:
        """See that no clip of the sources comes from a test video of the target.

        Raises:
            DataError: Naming one that does.
        """
        if self.parts.dataset.is_bound:  # as its dataset was published
            return
        *learned, test = self.splits
        tested = set(test.clips["video"].map(skeleton))
        for split in learned:
            shared = tested.intersection(split.clips["video"].map(skeleton))
            if shared:
                raise DataError(
                    f"{len(shared)} videos are both in {split.name} of {split.corpus.name} and"
                    f" in test of {test.corpus.name}, such as {min(shared)}",
                    hint="a transfer must not train on videos it is tested on",
                )


def _joined(streams: Sequence[Stream]) -> Stream:
    """One stream below the other, padded to the longest."""
    rows = [0, *itertools.accumulate(len(stream.lengths) for stream in streams)]
    frames = max(stream.frames for stream in streams)
    values = np.zeros((rows[-1], frames, streams[0].dim), dtype=np.float32)
    for start, stream in zip(rows, streams, strict=False):
        values[start : start + len(stream.lengths), : stream.frames] = stream.values
    lengths: NDArray[np.int64] = np.concatenate([stream.lengths for stream in streams])
    return Stream(values, lengths)


def _english(split: Split) -> pd.Series:
    """The English transcripts of a split."""
    clips, corpus = split.clips, split.corpus
    if corpus.dataset.language == "en":
        return clips["text"]
    if "text_en" not in clips or (clips["text_en"].fillna("").str.strip() == "").any():
        raise DataError(
            f"corpus {corpus.name} has no English transcript of every clip (column text_en)",
            hint="take the transcripts as they are: …-text instead of …-text-en",
        )
    return clips["text_en"]


def _feature_space(corpus: Corpus) -> Json:
    """Which space the streams live in, None where nobody recorded it."""
    generator = corpus.manifest.get("generator")
    if corpus.is_twin and isinstance(generator, Mapping):
        return {"twins": generator["version"]}
    return corpus.manifest.get("feature_space")


def _check_feature_space(parts: Parts, opened: Sequence[Corpus]) -> None:
    for corpus in opened:
        widths = {name: stream.dim for name, stream in corpus.streams.items()}
        space = _feature_space(corpus)
        first = {name: stream.dim for name, stream in opened[0].streams.items()}
        if widths != first or space != _feature_space(opened[0]):
            raise DataError(
                f"{opened[0].name} and {corpus.name} have different feature spaces:"
                f" {_described(first, _feature_space(opened[0]))}, and {_described(widths, space)}",
                hint=f"transcripts alone: {parts.name}-text",
            )
        if widths and space is None:
            raise DataError(
                f"nothing records that the streams of {', '.join(parts.corpora)} come from one"
                " extractor: the target's features would be noise to what was trained",
                hint=f"extract all parts alike, or transcripts alone: {parts.name}-text",
            )


def _described(widths: Mapping[str, int], space: Json) -> str:
    streams = ", ".join(f"{name} {dim}" for name, dim in widths.items()) or "no streams"
    return f"{streams} ({'extractor not recorded' if space is None else space})"
