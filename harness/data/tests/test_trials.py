"""Trials: a few clips of each split, every source video with its share, as a corpus of its own."""

from __future__ import annotations

import itertools
import shutil

import numpy as np
import pytest

from harness import data
from harness.data import trials
from harness.data.audit import audit
from harness.data.store import CorpusStore, assemble
from harness.errors import DataError, NotHere, SpecError
from harness.home import Home
from harness.testing import small_corpus, small_draft

CLIPS = {"train": 60, "valid": 30, "test": 12}


@pytest.fixture
def whole(home: Home):
    return small_corpus(home.corpora, clips=CLIPS)


def test_each_split_has_so_many_clips_at_most_and_everything_of_them(home: Home, whole) -> None:
    found = data.load("mosi@small-limit-20", home)
    assert {name: len(part) for name, part in found.splits.items()} == {
        "train": 20,
        "valid": 20,
        "test": 12,
    }
    places = whole.clips.set_index("id").index.get_indexer(found.clips["id"])
    assert found.clips.equals(whole.clips.iloc[places].reset_index(drop=True))
    for name, stream in found.streams.items():
        assert np.array_equal(stream.values, whole.streams[name].values[places])
        assert np.array_equal(stream.lengths, whole.streams[name].lengths[places])
    assert found.fingerprint != whole.fingerprint
    assert found.differs_from_official is not None
    assert data.load("mosi@small-limit-20", home).fingerprint == found.fingerprint


def test_videos_keep_their_shares() -> None:
    draft = small_draft(clips={"train": 100, "valid": 6, "test": 6})
    sizes = [40, 30, 20, 10]
    videos = np.repeat([f"v{i}" for i in range(4)], sizes)
    clips = draft.clips.copy()
    clips.loc[clips["split"] == "train", "video"] = videos
    corpus = assemble(data.store.Draft(**{**vars_of(draft), "clips": clips}))
    for limit in (10, 20, 50):
        kept = trials.cut(corpus, limit).clips
        counts = kept[kept["split"] == "train"]["video"].value_counts()
        for i, size in enumerate(sizes):
            assert abs(counts[f"v{i}"] - size * limit / 100) <= 1


def vars_of(draft) -> dict[str, object]:
    return {n: getattr(draft, n) for n in ("name", "clips", "streams", "tokens", "manifest")}


def test_a_larger_limit_has_the_clips_of_a_smaller_one(whole) -> None:
    kept = [set(trials.cut(whole, limit).clips["id"]) for limit in (1, 5, 20, 59, 60)]
    assert all(one <= other for one, other in itertools.pairwise(kept))


def test_which_clips_they_are_depends_on_their_ids_alone(whole) -> None:
    draft = small_draft(clips=CLIPS, seed=7)  # other labels, texts and features
    other = trials.cut(assemble(draft), 9)
    assert list(other.clips["id"]) == list(trials.cut(whole, 9).clips["id"])


def test_a_trial_of_a_twin_has_no_ceilings(home: Home) -> None:
    found = data.load("mosi-twin@compact-x5-limit-4", home)
    assert found.is_twin
    assert "ceilings" not in found.manifest
    assert len(found.clips) == 12


@pytest.mark.parametrize(
    ("corpus", "limit", "message"),
    [
        ("mosi@small", 0, "at least 1; found 0"),
        ("mosi@small-limit-3", 2, "is a trial already"),
        ("mosi+mosei-to-sims@label-csv-text", 2, "is a transfer"),
    ],
)
def test_what_has_no_trial(corpus: str, limit: int, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        trials.trial_name(corpus, limit)


def test_what_it_is_cut_from_has_to_be_here_and_the_same(home: Home, whole) -> None:
    with pytest.raises(NotHere, match="'sims@small' is not here"):
        data.load("sims@small-limit-3", home)
    data.load("mosi@small-limit-3", home)
    shutil.rmtree(home.corpora / "mosi@small")
    assert len(data.load("mosi@small-limit-3", home).clips) == 9
    CorpusStore(home.corpora).add(small_draft(clips=CLIPS, seed=7))
    with pytest.raises(DataError, match="was cut from another mosi@small"):
        data.load("mosi@small-limit-3", home)


def test_an_audit_asks_no_official_counts_of_it(home: Home, whole) -> None:
    checks = audit([data.load("mosi@small-limit-3", home)])
    assert not [check for check in checks if check.name.startswith(("clips ", "signs "))]
