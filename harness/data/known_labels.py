"""Where labels come from when predictions are scored, and what contradicts them.

First match: a label file, a corpus asked for by name, a stored corpus that is the official split, a
stored one that all but is, the label columns of the predictions themselves. Wherever two of them
label a clip, they are compared (``harness.data.labels``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pandas as pd

from harness.data.datasets import Dataset
from harness.data.labels import LabelNotice, OwnLabels, contradiction, gather, judge, judge_rows
from harness.data.readers import label_csv
from harness.data.store import CorpusStore
from harness.errors import SpecError, SubmissionError

__all__ = [
    "Annotated",
    "Labels",
    "annotated",
    "find_labels",
    "no_labels",
    "of_clips",
    "official_clips",
    "own_labels",
    "refuse_unknown_split",
    "verified",
]

NEAR = 0.05
"""Share of a split's official clips that a stored corpus may lack, or have in addition, and still
be used without being asked for: releases of one dataset differ by single clips."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Annotated:
    """All clips of a dataset with their labels, from one place.

    Args:
        dataset: The dataset.
        clips: Columns ``id, video, split, label``.
        name: The file or corpus.
    """

    dataset: Dataset
    clips: pd.DataFrame
    name: str

    def split(self, name: str) -> pd.DataFrame:
        """The clips of one split."""
        return self.clips[self.clips["split"] == name]

    @property
    def gap(self) -> str:
        """What differs from the official split, such as ``1 of 1,284 train clips``; else empty."""
        counts = [
            f"{len(self.split(name)):,} of {official.clips:,} {name}"
            for name, official in self.dataset.splits.items()
            if len(self.split(name)) != official.clips
        ]
        return f"{', '.join(counts)} clips" if counts else ""

    def is_near(self, split: str) -> bool:
        """Whether it has about as many clips of a split as there are officially."""
        official = self.dataset.splits[split].clips
        return abs(len(self.split(split)) - official) <= NEAR * official

    @property
    def origin(self) -> str:
        """Its name, and what it lacks."""
        return f"{self.name} ({self.gap}; not the official split)" if self.gap else self.name


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Labels of one split.

    Args:
        truth: Clip id -> label.
        videos: Clip id -> source video.
        origin: Where the labels came from.
        videos_origin: Where the source videos came from.
        notices: What contradicts them in single clips.
    """

    truth: Mapping[str, float]
    videos: Mapping[str, str]
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
) -> Labels:
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
    found = annotated(dataset, split, store, file=file, corpus=corpus)
    if found is not None:
        chosen = file is not None or corpus is not None
        known = _of_split(found, split, found.name if file is not None else found.origin)
        others = _stored(dataset, store) if chosen else ()
        return verified(_compared(known, others, split), own)
    if not own:
        raise no_labels(dataset, split, store)
    known = _of_files(own)
    for other in _stored(dataset, store):
        truth = _truth(other.split(split))
        for one in own:
            clash = contradiction(one.labels, truth, source=one.source, against=other.name)
            known = dataclasses.replace(known, notices=(*known.notices, *judge(clash)))
    return known


def verified(known: Labels, own: Sequence[OwnLabels]) -> Labels:
    """The labels with a notice of every single clip that a file labels otherwise.

    Raises:
        SubmissionError: When a file's labels contradict them, its own rows, or another file's.
    """
    notices = [notice for one in own for notice in judge_rows(one)]
    for one in own:
        clash = contradiction(one.labels, known.truth, source=one.source, against=known.origin)
        notices += judge(clash)
    beyond = [
        dataclasses.replace(
            one, labels={c: label for c, label in one.labels.items() if c not in known.truth}
        )
        for one in own
    ]
    notices += _between(beyond)
    return dataclasses.replace(known, notices=(*known.notices, *notices))


def annotated(
    dataset: Dataset,
    split: str,
    store: CorpusStore,
    *,
    file: Path | None = None,
    corpus: str | None = None,
) -> Annotated | None:
    """The clips of a file or corpus asked for, else of the stored corpus nearest to official.

    Returns:
        None when nothing was asked for and no stored corpus has about the split's official clips.

    Raises:
        SpecError: For a corpus that is not of the dataset, or a file and a corpus at once.
        DataError: For a file or corpus that cannot be read.
    """
    if file is not None and corpus is not None:
        raise SpecError("labels come from one place: --labels or --corpus, not both")
    if file is not None:
        return Annotated(dataset=dataset, clips=label_csv.read(file, dataset).clips, name=file.name)
    if corpus is not None:
        found = store.load(corpus)
        if corpus not in _names(dataset, store):
            raise SpecError(
                f"corpus {corpus} does not hold the labels of {dataset.title}",
                hint=f"one of {', '.join(_names(dataset, store)) or 'none stored'}",
            )
        return Annotated(dataset=dataset, clips=found.clips, name=corpus)
    official = official_clips(dataset, store)
    if official is not None:
        return official
    near = [found for found in _stored(dataset, store) if found.is_near(split)]
    return max(near, key=lambda found: _closeness(found, split), default=None)


def official_clips(dataset: Dataset, store: CorpusStore) -> Annotated | None:
    """The first stored corpus that is the whole dataset in its official split, None without one."""
    return next((found for found in _stored(dataset, store) if not found.gap), None)


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
                f" ({found.gap}), so its {split} labels are not taken for the official ones",
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


def of_clips(clips: pd.DataFrame, origin: str) -> Labels:
    """Labels of a table with columns ``id, video, label``."""
    return Labels(
        truth=_truth(clips),
        videos=dict(zip(clips["id"], clips["video"], strict=True)),
        origin=origin,
        videos_origin=origin,
    )


# What is stored


def _names(dataset: Dataset, store: CorpusStore) -> list[str]:
    """Corpora of the dataset itself: no twins, and no transfers from or to it."""
    return [name for name in store.names() if name.partition("@")[0] == dataset.name]


def _stored(dataset: Dataset, store: CorpusStore) -> Iterator[Annotated]:
    for name in _names(dataset, store):
        yield Annotated(dataset=dataset, clips=store.load(name).clips, name=name)


def _closeness(found: Annotated, split: str) -> tuple[int, int]:
    """Larger is nearer to the official split, which decides, then to the whole dataset."""
    here = abs(len(found.split(split)) - found.dataset.splits[split].clips)
    return -here, -abs(len(found.clips) - found.dataset.clips)


def _of_split(found: Annotated, split: str, origin: str) -> Labels:
    clips = found.split(split)
    if clips.empty:
        counts = found.clips["split"].value_counts()
        has = ", ".join(
            f"{counts[name]:,} {name}" for name in found.dataset.splits if name in counts
        )
        raise SubmissionError(
            f"{found.name} has no {split} clips (it has {has or 'none at all'})",
            hint="check --split, or take labels that have it",
        )
    return of_clips(clips, origin)


def _truth(clips: pd.DataFrame) -> dict[str, float]:
    return dict(zip(clips["id"], clips["label"].astype(float).round(6), strict=True))


# What contradicts


def _compared(known: Labels, others: Iterable[Annotated], split: str) -> Labels:
    """Labels that were asked for, with a notice of each stored corpus that contradicts them."""
    clashes = (
        contradiction(
            known.truth, _truth(other.split(split)), source=known.origin, against=other.name
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


def _of_files(own: Sequence[OwnLabels]) -> Labels:
    """The labels of the files, without the clips on which they do not agree."""
    notices = [notice for one in own for notice in judge_rows(one)] + _between(own)
    ids = [clip for one in own for clip in one.labels]
    both = gather("the files", ids, [label for one in own for label in one.labels.values()])
    disputed = {clip for one in own for clip in one.disputed}
    order = sorted(both.labels) if len(own) > 1 else both.labels  # either file may come first
    truth = {clip: both.labels[clip] for clip in order if clip not in disputed}
    if len(own) == 1:
        origin = "the file's own label column (unverified)"
    else:
        origin = "the files' own label columns (unverified)"
    return Labels(
        truth=truth,
        videos={clip: clip.rpartition("_")[0] or clip for clip in truth},
        origin=origin,
        videos_origin="the part of the clip id before the last underscore",
        notices=tuple(notices),
    )
