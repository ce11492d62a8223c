"""Trials: a few clips of each split of a corpus, to try something out, as a corpus of its own.

``mosi@unaligned-50-limit-200`` has at most 200 clips of each split of ``mosi@unaligned-50``. Source
videos keep their shares: clips are taken in the order of their places within their video, so that a
larger limit has the clips of a smaller one. Which clips those are depends on ids alone.

A trial is another corpus, with another fingerprint: no run of it is taken for one of the whole.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.data.corpus import Corpus, Stream
from harness.data.datasets import SPLITS
from harness.data.store import CorpusStore, Draft
from harness.errors import DataError, SpecError

__all__ = ["cut", "is_trial", "open_or_cut", "parent_of", "trial_name"]

_NAME = re.compile(r"(?P<parent>[^@]+@.+)-limit-(?P<limit>[1-9][0-9]*)")


def trial_name(corpus: str, limit: int) -> str:
    """The name of the trial of so many clips of each split.

    Raises:
        SpecError: For a limit below one, a trial of a trial, or a trial of a transfer.

    Example:
        >>> trial_name("mosi@unaligned-50", 200)
        'mosi@unaligned-50-limit-200'
    """
    if limit < 1:
        raise SpecError(f"a limit is a number of clips, at least 1; found {limit}")
    if is_trial(corpus):
        raise SpecError(f"{corpus} is a trial already", hint=f"limit {parent_of(corpus)[0]}")
    if "-to-" in corpus.partition("@")[0]:
        raise SpecError(
            f"{corpus} is a transfer, and a limit is for corpora of one dataset",
            hint="leave --limit out, or take a scaled twin such as mosi-twin@compact-x5",
        )
    return f"{corpus}-limit-{limit}"


def is_trial(name: str) -> bool:
    """Whether a corpus name is that of a trial."""
    return _NAME.fullmatch(name) is not None


def parent_of(name: str) -> tuple[str, int]:
    """The corpus that a trial is cut from, and its limit.

    Raises:
        SpecError: For the name of no trial.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise SpecError(f"{name!r} is not the name of a trial; expected CORPUS-limit-CLIPS")
    return found["parent"], int(found["limit"])


def open_or_cut(name: str, store: CorpusStore, load: Callable[[str], Corpus]) -> Corpus:
    """The stored trial, cut and stored when it is asked for the first time.

    Args:
        name: Of the trial.
        store: Where corpora are.
        load: Opens its parent.

    Raises:
        NotHere: When neither it nor its parent is here.
        DataError: When its parent has been replaced since.
    """
    parent, limit = parent_of(name)
    if name not in store:
        return store.add(cut(load(parent), limit))
    corpus = store.load(name)
    then = corpus.manifest["trial_of"]
    now = store.load(parent).fingerprint if parent in store else then
    if now != then:
        raise DataError(
            f"corpus {name} was cut from another {parent} ({str(then)[:12]}) than is here now"
            f" ({str(now)[:12]})",
            hint=f"msa data remove {name}; it is made again when it is asked for",
        )
    return corpus


def cut(corpus: Corpus, limit: int) -> Draft:
    """At most ``limit`` clips of each split.

    Raises:
        SpecError: As ``trial_name``.
    """
    name = trial_name(corpus.name, limit)
    rows = np.concatenate(
        [part.rows.start + _chosen(part.clips, limit) for part in corpus.splits.values()]
    )
    manifest = {key: value for key, value in corpus.manifest.items() if key != "ceilings"}
    kept = corpus.clips.iloc[rows].reset_index(drop=True)
    counts = {split: int((kept["split"] == split).sum()) for split in SPLITS}
    whole = {split: len(part) for split, part in corpus.splits.items()}
    return Draft(
        name=name,
        clips=kept,
        streams={
            stream: Stream(one.values[rows], one.lengths[rows])
            for stream, one in corpus.streams.items()
        },
        tokens=None if corpus.tokens is None else corpus.tokens[rows],
        manifest={
            **manifest,
            "trial_of": corpus.fingerprint,
            "trial": {"limit": limit, "clips": counts, "of": whole},
        },
    )


def _chosen(clips: pd.DataFrame, limit: int) -> NDArray[np.int64]:
    """Places of the clips of a split that are kept, in its order."""
    if len(clips) <= limit:
        return np.arange(len(clips))
    drawn = clips["id"].map(lambda clip: hashlib.sha256(str(clip).encode()).hexdigest())
    table = pd.DataFrame({"video": clips["video"], "drawn": drawn})
    within = table.groupby("video")["drawn"].rank(method="first")
    share = (within - 0.5) / table.groupby("video")["drawn"].transform("size")
    order = table.assign(share=share).sort_values(["share", "drawn"]).index.to_numpy()
    return np.sort(order[:limit])
