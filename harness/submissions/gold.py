"""The labels that submissions are checked against: never those of the submission itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.data.datasets import Dataset, datasets
from harness.data.known_labels import (
    LabelSource,
    find_source,
    no_labels,
    official_source,
    refuse_unknown_split,
)
from harness.data.split_labels import SplitLabels
from harness.data.store import CorpusStore

__all__ = ["Gold", "find_gold"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Gold:
    """The labels of one split, and where other clip ids belong.

    Args:
        truth: The labels.
        elsewhere: Clip id -> (dataset, split) of every other clip known.
        origin: What the labels are called in messages.
        gap: What the labels lack of the official split, or have in addition; empty for nothing.
    """

    truth: SplitLabels
    elsewhere: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    origin: str = "the stored ones"
    gap: str = ""

    @property
    def expected(self) -> int:
        """Official number of clips of the split."""
        return self.truth.dataset.sizes[self.truth.split]

    @property
    def ids(self) -> set[str]:
        """Every known clip of the dataset."""
        own = self.truth.dataset.name
        return {
            *self.truth.ids,
            *(clip for clip, (name, _) in self.elsewhere.items() if name == own),
        }

    @property
    def lacking(self) -> int:
        """Number of official clips of the split that have no label here."""
        return max(0, self.expected - len(self.truth))


def find_gold(
    dataset: Dataset,
    split: str,
    store: CorpusStore,
    *,
    file: Path | None = None,
    corpus: str | None = None,
) -> tuple[Gold, str]:
    """The labels to check a submission against, and the place they came from, as reports name it.

    Args:
        dataset: The dataset that is predicted.
        split: train, valid or test.
        store: The corpora at hand.
        file: A label file that was asked for.
        corpus: A stored corpus that was asked for.

    Raises:
        SubmissionError: When there are no labels of about the official split.
        SpecError: For an unknown split, a corpus of other data, or a file and a corpus at once.
        DataError: For a label file or corpus that cannot be read.
    """
    refuse_unknown_split(dataset, split)
    found = find_source(dataset, split, store, file=file, corpus=corpus)
    if found is None or (corpus is not None and not found.is_near(split)):
        raise no_labels(dataset, split, store, only=corpus)
    elsewhere = {clip: where for clip, where in _places(found) if where != (dataset.name, split)}
    gold = Gold(
        truth=found.of(split),
        elsewhere={**_other_datasets(dataset, store), **elsewhere},
        origin=f"those of {found.name}",
        gap=found.corpus.differs_from_official or "",
    )
    return gold, found.origin if file is None else found.name


def _other_datasets(dataset: Dataset, store: CorpusStore) -> dict[str, tuple[str, str]]:
    """Clip id -> (dataset, split) of the stored corpora of other datasets."""
    others = [other for other in datasets.values() if other.name != dataset.name]
    stored = [found for other in others if (found := official_source(other, store))]
    return {clip: where for found in stored for clip, where in _places(found)}


def _places(found: LabelSource) -> Iterator[tuple[str, tuple[str, str]]]:
    """Every clip of a source, with its (dataset, split)."""
    clips, dataset = found.corpus.clips, found.corpus.dataset.name
    for clip, split in zip(clips["id"], clips["split"], strict=True):
        yield clip, (dataset, split)
