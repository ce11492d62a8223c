"""Names that say what a corpus is: official ones are for the dataset in its official split.

``mosi@unaligned-50`` is CMU-MOSI as published, whoever has a corpus of that name. A part of it, its
clips in another split, or other clips are a feature set of their own.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator

from harness.data.datasets import SPLITS, Dataset, datasets
from harness.data.identifiers import skeleton
from harness.data.store import CorpusStore, Draft, corpus_name
from harness.errors import DataError, NotHere

__all__ = ["is_official_name", "named"]

_OWN = "-own"
_LABELS = "label-csv"
_FEW = 0.5
"""Share of its clips below which a corpus is not of a dataset whose clips are known."""


def is_official_name(dataset: Dataset, feature_set: str) -> bool:
    """Whether a feature set is called as the published one is.

    Example:
        >>> mosi = datasets["mosi"]
        >>> is_official_name(mosi, "aligned-50"), is_official_name(mosi, "label-csv-own")
        (True, False)
    """
    if feature_set.endswith(_OWN):
        return False
    labels = feature_set == _LABELS or feature_set.startswith(f"{_LABELS}-")
    return labels or feature_set in dataset.shapes


def named(draft: Draft, dataset: Dataset, store: CorpusStore, *, stated: str | None) -> Draft:
    """A draft under a name that is true of it.

    Args:
        draft: What a reader made of a file, under the name that its layout suggests.
        dataset: What it is said to be.
        store: Corpora whose clips are known.
        stated: The feature set that the user named; None where it names itself, and one that is not
            the official split is called ``<feature-set>-own``.

    Raises:
        DataError: For clips of another dataset, and for an official name that was stated for
            anything else.
    """
    counted = Counter(draft.clips["split"])
    counts = {split: counted[split] for split in SPLITS}
    other = _looks_like(draft, counts, dataset, store)
    if other is not None:
        raise DataError(
            f"these clips are not of {dataset.title}: {other.why} {other.dataset.title}",
            hint=f"--dataset {other.dataset.name}",
        )
    features = draft.name.partition("@")[2]
    why = _difference(draft, counts, dataset, store)
    if why is None or not is_official_name(dataset, features):
        return draft
    if stated is not None:
        raise DataError(
            f"{draft.name} is {dataset.title} as published; this file is not: {why}",
            hint=f"give it a name of its own: --feature-set {features}{_OWN}",
        )
    return dataclasses.replace(draft, name=corpus_name(dataset, f"{features}{_OWN}"))


@dataclasses.dataclass(frozen=True)
class _Other:
    dataset: Dataset
    why: str


def _looks_like(
    draft: Draft, counts: dict[str, int], dataset: Dataset, store: CorpusStore
) -> _Other | None:
    """Another dataset whose counts, or whose stored clips, these are."""
    if counts != dataset.sizes:
        for known in datasets.values():
            if known.name != dataset.name and known.sizes == counts:
                return _Other(known, f"{_spelled(counts)} clips are those of")
    ids = set(draft.clips["id"].map(skeleton))
    for known, clips in _stored(store):
        shared = len(ids & clips)
        related = dataset.name in known.contains or known.name in dataset.contains
        if known.name != dataset.name and not related and shared > _FEW * len(ids):
            return _Other(known, f"{shared:,} of {len(ids):,} ids are those of")
    return None


def _difference(
    draft: Draft, counts: dict[str, int], dataset: Dataset, store: CorpusStore
) -> str | None:
    """What is not as in the dataset; None where nothing is."""
    if counts != dataset.sizes:
        return f"{_spelled(counts)} clips instead of {_spelled(dataset.sizes)}"
    ids = set(draft.clips["id"].map(skeleton))
    for known, clips in _stored(store):
        if known.name == dataset.name and len(clips) == len(ids):
            shared = len(ids & clips)
            if shared < _FEW * len(ids):
                return f"{shared:,} of its {len(ids):,} ids are known"
    return None


def _stored(store: CorpusStore) -> Iterator[tuple[Dataset, set[str]]]:
    """Whole datasets at hand, and the ids of their clips."""
    for name in store.names():
        dataset = name.partition("@")[0]
        if dataset not in datasets or not is_official_name(
            datasets[dataset], name.partition("@")[2]
        ):
            continue
        try:
            corpus = store.load(name)
        except NotHere:
            continue
        if corpus.differs_from_official is None:
            yield corpus.dataset, set(corpus.clips["id"].map(skeleton))


def _spelled(counts: dict[str, int]) -> str:
    return " / ".join(f"{counts[split]:,}" for split in SPLITS)
