"""Where labels come from when predictions are scored, and what contradicts them.

First match: a label file, a corpus asked for by name, a stored corpus that is the official split, a
stored one that all but is, the label columns of the predictions themselves. Wherever two of them
label a clip, they are compared (``harness.data.labels``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pandas as pd

from harness.data.corpus import Corpus
from harness.data.datasets import Dataset
from harness.data.labels import LabelNotice, OwnLabels, contradiction, gather, judge, judge_rows
from harness.data.readers import label_csv
from harness.data.split_labels import SplitLabels
from harness.data.store import CorpusStore, assemble
from harness.errors import SpecError, SubmissionError

__all__ = [
    "KnownLabels",
    "LabelSource",
    "find_labels",
    "find_source",
    "no_labels",
    "official_source",
    "own_labels",
    "refuse_unknown_split",
    "verified",
]

NEAR = 0.05
"""Share of a split's official clips that a stored corpus may lack, or have in addition, and still
be used without being asked for: releases of one dataset differ by single clips."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelSource:
    """A file or corpus that labels the clips of a dataset.

    Args:
        corpus: The clips; of a file, as they would be stored.
        name: What it is called: the file or the corpus.
    """

    corpus: Corpus
    name: str

    def of(self, split: str) -> SplitLabels:
        """The labels of one split, none where it has none of it."""
        return SplitLabels.of_table(self.corpus.clips, self.corpus.dataset, split)

    def is_near(self, split: str) -> bool:
        """Whether it has about as many clips of a split as there are officially."""
        return self.distance(split) <= NEAR * self.corpus.dataset.sizes[split]

    def distance(self, split: str) -> int:
        """How many clips of a split it has more or less than there are officially."""
        return abs(len(self.corpus.split(split)) - self.corpus.dataset.sizes[split])

    @property
    def origin(self) -> str:
        """Its name, and how it differs from the official split."""
        difference = self.corpus.differs_from_official
        return f"{self.name} ({difference}; not the official split)" if difference else self.name


@dataclass(frozen=True, eq=False, kw_only=True)
class KnownLabels:
    """The labels of a split that predictions are scored against, and where they are from.

    Args:
        truth: The labels.
        origin: Where they came from.
        videos_origin: Where the source videos came from.
        notices: What contradicts them in single clips.
    """

    truth: SplitLabels
    origin: str
    videos_origin: str
    notices: tuple[LabelNotice, ...] = ()


def own_labels(table: pd.DataFrame, name: str) -> list[OwnLabels]:
    """The labels of a predictions table, none where it has no such column."""
    return [gather(name, table["id"], table["label"])] if "label" in table else []


def find_labels(
    own: Sequence[OwnLabels],
    dataset: Dataset,
    split: str,
    store: CorpusStore,
    *,
    file: Path | None = None,
    corpus: str | None = None,
) -> KnownLabels:
    """The labels to score against, compared with every other label of these clips at hand.

    Args:
        own: The labels of the predictions files, those of all that are scored together.
        dataset: The dataset they are of.
        split: train, valid or test.
        store: The corpora at hand.
        file: A label file that was asked for.
        corpus: A stored corpus that was asked for.

    Raises:
        SubmissionError: When there are no labels, or the files' own contradict them.
        SpecError: For an unknown split, or a corpus of other data.
        DataError: For a label file or corpus that cannot be read.
    """
    refuse_unknown_split(dataset, split)
    found = find_source(dataset, split, store, file=file, corpus=corpus)
    if found is not None:
        chosen = file is not None or corpus is not None
        known = _of_split(found, split, found.name if file is not None else found.origin)
        others = _stored(dataset, store) if chosen else ()
        return verified(_compared(known, others, split), own)
    if not any(one.labels or one.disputed for one in own):
        raise no_labels(dataset, split, store)
    known = _of_files(own, dataset, split)
    for other in _stored(dataset, store):
        truth = other.of(split)
        for one in own:
            clash = contradiction(one.labels, truth.by_id, source=one.source, against=other.name)
            known = dataclasses.replace(known, notices=(*known.notices, *judge(clash)))
    return known


def verified(known: KnownLabels, own: Sequence[OwnLabels]) -> KnownLabels:
    """The labels with a notice of every single clip that a file labels otherwise.

    Raises:
        SubmissionError: When a file's labels contradict them, its own rows, or another file's.
    """
    notices = [notice for one in own for notice in judge_rows(one)]
    for one in own:
        clash = contradiction(
            one.labels, known.truth.by_id, source=one.source, against=known.origin
        )
        notices += judge(clash)
    labelled = known.truth.by_id
    beyond = [
        dataclasses.replace(
            one, labels={c: label for c, label in one.labels.items() if c not in labelled}
        )
        for one in own
    ]
    notices += _between(beyond)
    return dataclasses.replace(known, notices=(*known.notices, *notices))


def find_source(
    dataset: Dataset,
    split: str,
    store: CorpusStore,
    *,
    file: Path | None = None,
    corpus: str | None = None,
) -> LabelSource | None:
    """The file or corpus asked for, else the stored corpus nearest to official.

    Returns:
        None when nothing was asked for and no stored corpus has about the split's official clips.

    Raises:
        SpecError: For a corpus that is not of the dataset, or a file and a corpus at once.
        DataError: For a file or corpus that cannot be read.
    """
    if file is not None and corpus is not None:
        raise SpecError("labels come from one place: --labels or --corpus, not both")
    if file is not None:
        return LabelSource(corpus=assemble(label_csv.read(file, dataset)), name=file.name)
    if corpus is not None:
        found = store.load(corpus)
        if corpus not in _names(dataset, store):
            raise SpecError(
                f"corpus {corpus} does not hold the labels of {dataset.title}",
                hint=f"one of {', '.join(_names(dataset, store)) or 'none stored'}",
            )
        return LabelSource(corpus=found, name=corpus)
    official = official_source(dataset, store)
    if official is not None:
        return official
    near = [found for found in _stored(dataset, store) if found.is_near(split)]
    return min(near, key=lambda found: _remoteness(found, split), default=None)


def official_source(dataset: Dataset, store: CorpusStore) -> LabelSource | None:
    """The first stored corpus that is the whole dataset in its official split, None without one."""
    found = _stored(dataset, store)
    return next((one for one in found if not one.corpus.differs_from_official), None)


def no_labels(
    dataset: Dataset, split: str, store: CorpusStore, *, only: str | None = None
) -> SubmissionError:
    """Why there is nothing to score against, naming what is stored and does not do.

    Args:
        dataset: The dataset.
        split: Whose labels are looked for.
        store: The corpora at hand.
        only: The corpus that was asked for and does not do, None where any would.
    """
    for found in _stored(dataset, store):
        if only in (None, found.name):
            ways = "--labels LABEL.CSV" if only else f"--labels LABEL.CSV, or --corpus {found.name}"
            return SubmissionError(
                f"the stored corpus {found.name} is not the official split of {dataset.title}"
                f" ({found.corpus.differs_from_official}), so its {split} labels are not taken for"
                " the official ones",
                hint=ways,
            )
    return SubmissionError(
        f"no labels of {dataset.name} at hand to score against",
        hint=f"msa data add LABEL.CSV --dataset {dataset.name}, or --labels LABEL.CSV",
    )


def refuse_unknown_split(dataset: Dataset, split: str) -> None:
    """Raise SpecError for a split that the dataset does not have."""
    if split not in dataset.splits:
        raise SpecError(f"--split takes {', '.join(dataset.splits)}; found {split!r}")


# What is stored


def _names(dataset: Dataset, store: CorpusStore) -> list[str]:
    """Corpora of the dataset itself: no twins, and no transfers from or to it."""
    return [name for name in store.names() if name.partition("@")[0] == dataset.name]


def _stored(dataset: Dataset, store: CorpusStore) -> Iterator[LabelSource]:
    for name in _names(dataset, store):
        yield LabelSource(corpus=store.load(name), name=name)


def _remoteness(found: LabelSource, split: str) -> tuple[int, int]:
    """Smaller is nearer to the official split, which decides, then to the whole dataset."""
    corpus = found.corpus
    return found.distance(split), abs(len(corpus.clips) - corpus.dataset.clips)


def _of_split(found: LabelSource, split: str, origin: str) -> KnownLabels:
    truth = found.of(split)
    if not len(truth):
        counts = {name: len(part) for name, part in found.corpus.splits.items()}
        has = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
        raise SubmissionError(
            f"{found.name} has no {split} clips (it has {has or 'none at all'})",
            hint="check --split, or take labels that have it",
        )
    return KnownLabels(truth=truth, origin=origin, videos_origin=origin)


# What contradicts


def _compared(known: KnownLabels, others: Iterable[LabelSource], split: str) -> KnownLabels:
    """Labels that were asked for, with a notice of each stored corpus that contradicts them."""
    clashes = (
        contradiction(
            known.truth.by_id, other.of(split).by_id, source=known.origin, against=other.name
        )
        for other in others
        if not known.origin.startswith(other.name)
    )
    notices = tuple(clash.notice() for clash in clashes if clash is not None)
    return dataclasses.replace(known, notices=(*known.notices, *notices))


def _between(own: Sequence[OwnLabels]) -> list[LabelNotice]:
    clashes = (
        contradiction(a.labels, b.labels, source=a.source, against=b.source)
        for a, b in combinations(sorted(own, key=lambda one: one.source), 2)
    )
    return [notice for clash in clashes for notice in judge(clash)]


def _of_files(own: Sequence[OwnLabels], dataset: Dataset, split: str) -> KnownLabels:
    """The labels of the files, without the clips on which they do not agree."""
    notices = [notice for one in own for notice in judge_rows(one)] + _between(own)
    ids = [clip for one in own for clip in one.labels]
    both = gather("the files", ids, [label for one in own for label in one.labels.values()])
    disputed = {clip for one in own for clip in one.disputed}
    order = sorted(both.labels) if len(own) > 1 else both.labels  # either file may come first
    labels = {clip: both.labels[clip] for clip in order if clip not in disputed}
    videos = {clip: clip.rpartition("_")[0] or clip for clip in labels}
    if len(own) == 1:
        origin = "the file's own label column (unverified)"
    else:
        origin = "the files' own label columns (unverified)"
    return KnownLabels(
        truth=SplitLabels.of_clips(labels, videos, dataset, split),
        origin=origin,
        videos_origin="the part of the clip id before the last underscore",
        notices=tuple(notices),
    )
