"""Every check passes on a sound corpus and finds the defect it is there for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from harness.data import label_csv, mmsa_pickle
from harness.data.audit import audit
from harness.data.corpus import Corpus, Stream
from harness.data.datasets import Counts, datasets
from harness.data.store import CorpusStore
from harness.tests.research import research_data

SIZES = {"train": 6, "valid": 3, "test": 3}
TOY = replace(
    datasets["sims"],
    name="toy",
    splits={
        split: Counts(clips=n, negative=n // 3, zero=n // 3, positive=n // 3, videos=n // 3)
        for split, n in SIZES.items()
    },
    shapes={"tiny": {"audio": (4, 2)}},
    splits_share_videos=False,
)


def corpus(dataset=TOY, name="toy@tiny") -> Corpus:
    """Three clips per video, labelled -0.4, 0 and 0.4."""
    splits = [split for split, n in SIZES.items() for _ in range(n)]
    videos = [f"{split}{i // 3}" for split, n in SIZES.items() for i in range(n)]
    clips = pd.DataFrame(
        {
            "id": [f"{video}_{i}" for i, video in enumerate(videos)],
            "video": videos,
            "clip": [str(i) for i in range(12)],
            "split": splits,
            "text": [f"text {i}" for i in range(12)],
            "label": np.tile([-0.4, 0.0, 0.4], 4),
            "label_T": np.tile([-0.4, np.nan, 0.4], 4),
            "start": np.zeros(12),
            "stop": np.ones(12),
        }
    )
    values = np.ones((12, 4, 2), dtype=np.float32)
    values[:, 3] = 0
    streams = {"audio": Stream(values, np.full(12, 3))}
    census = {split: {"nan": 0, "infinite": 0} for split in SIZES}
    manifest = {"streams": {"audio": {"nonfinite": census}}}
    return Corpus(name, dataset, "0" * 64, clips, streams, None, manifest)


def verdicts(*corpora: Corpus) -> dict[str, str]:
    return {check.name: check.verdict for check in audit(corpora) if check.verdict != "ok"}


def changed(column: str, rows, value) -> Corpus:
    sound = corpus()
    clips = sound.clips.copy()
    clips.loc[rows, column] = value
    return replace(sound, clips=clips)


def with_audio(change) -> Corpus:
    sound = corpus()
    values, lengths = sound.streams["audio"].values.copy(), sound.streams["audio"].lengths.copy()
    change(values, lengths)
    return replace(sound, streams={"audio": Stream(values, lengths)})


def put(rows, frames, value):
    def change(values, lengths):
        values[rows, frames] = value

    return change


def set_length(row, value):
    def change(values, lengths):
        lengths[row] = value

    return change


def without(row: int) -> Corpus:
    sound = corpus()
    return replace(sound, clips=sound.clips.drop(index=row).reset_index(drop=True), streams={})


def cleaned() -> Corpus:
    census = {"train": {"nan": 3, "infinite": 1}}
    return replace(corpus(), manifest={"streams": {"audio": {"nonfinite": census}}})


def test_a_sound_corpus_passes_every_check():
    checks = audit([corpus()])
    assert len(checks) > 15
    assert {check.verdict for check in checks} == {"ok"}
    assert {check.corpus for check in checks} == {"toy@tiny"}


DEFECTS = {
    "a clip is missing": (without(11), {"clips test", "signs test", "modalities"}, "fail"),
    "a sign is wrong": (changed("label", 0, 0.2), {"signs train"}, "fail"),
    "a video is new": (changed("video", 0, "other"), {"videos train"}, "fail"),
    "an id is repeated": (changed("id", 1, "train0_0"), {"repeated ids"}, "fail"),
    "a label is too high": (changed("label", 2, 1.2), {"label out of range"}, "fail"),
    "a label is NaN": (
        changed("label", 1, np.nan),
        {"label out of range", "signs train"},
        "fail",
    ),
    "a T label is too low": (changed("label_T", 2, -3), {"label_T out of range"}, "fail"),
    "a label is off the grid": (changed("label", 2, 0.3), {"label off the grid"}, "fail"),
    "a text is empty": (changed("text", 3, "  "), {"empty texts"}, "warn"),
    "a text is missing": (changed("text", 3, None), {"empty texts"}, "warn"),
    "all texts are empty": (changed("text", slice(None), ""), {"empty texts"}, "fail"),
    "a video is in two splits": (
        changed("video", [9, 10, 11], "train0"),
        {"videos in two splits"},
        "fail",
    ),
    "a clip has no duration": (changed("stop", 4, 0.0), {"clips of no duration"}, "note"),
    "NaN": (with_audio(put(0, 0, np.nan)), {"audio NaN or infinite"}, "fail"),
    "infinity": (with_audio(put(0, 0, np.inf)), {"audio NaN or infinite"}, "fail"),
    "signal in padding": (with_audio(put(5, 3, 1)), {"audio signal in padding"}, "fail"),
    "length 0": (
        with_audio(lambda v, n: (put(5, slice(None), 0)(v, n), set_length(5, 0)(v, n))),
        {"audio lengths out of range", "audio clips without signal"},
        None,
    ),
    "length too long": (with_audio(set_length(5, 9)), {"audio lengths out of range"}, "fail"),
    "a clip without signal": (
        with_audio(put(5, slice(None), 0)),
        {"audio clips without signal"},
        "warn",
    ),
    "no signal at all": (
        with_audio(put(slice(None), slice(None), 0)),
        {"audio clips without signal"},
        "fail",
    ),
    "values were cleaned": (cleaned(), {"audio values cleaned"}, "note"),
    "a modality is missing": (replace(corpus(), streams={}), {"modalities"}, "fail"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_found_by_its_check_alone(defect):
    damaged, names, verdict = DEFECTS[defect]
    found = verdicts(damaged)
    assert set(found) == names
    if verdict is not None:
        assert set(found.values()) == {verdict}


def test_a_check_says_what_it_expected_and_found():
    (check,) = [c for c in audit([changed("label", 0, 0.2)]) if c.verdict == "fail"]
    assert (check.name, check.expected, check.found) == ("signs train", "2/2/2", "1/2/3")


def test_declared_shared_videos_are_a_note():
    shared = replace(
        changed("video", [9, 10, 11], "train0"), dataset=replace(TOY, splits_share_videos=True)
    )
    (check,) = [c for c in audit([shared]) if c.verdict != "ok"]
    assert check.verdict == "note"
    assert check.detail == "1 of 1 test videos are in train"


def test_a_rare_label_off_the_grid_is_a_note():
    sound = corpus()
    clips = pd.concat([sound.clips] * 200, ignore_index=True)
    clips.loc[0, "label"] = -0.1
    found = verdicts(replace(sound, clips=clips, streams={}))
    assert found["label off the grid"] == "note"


def test_another_split_of_all_clips_is_a_warning():
    resplit = changed("split", 5, "valid")
    found = {c.name: c for c in audit([resplit]) if c.verdict != "ok"}
    assert found["clips train"].verdict == "warn"
    assert "never compare" in found["clips train"].detail
    also_wrong = replace(resplit, clips=resplit.clips.assign(label=0.0))
    assert verdicts(also_wrong)["clips train"] == "fail"


def test_a_twin_has_no_official_counts_and_no_overlaps():
    twin = replace(without(11), name="toy-twin@tiny")
    assert verdicts(twin, corpus()) == {}


def test_two_feature_sets_of_one_dataset_agree():
    first, second = corpus(), replace(corpus(), name="toy@other")
    names = {c.name: c.verdict for c in audit([first, second]) if c.name.startswith("same")}
    assert names == {f"same {what} as toy@other": "ok" for what in ("clips", "labels", "split")}


def test_two_feature_sets_of_one_dataset_disagree():
    moved = replace(changed("split", [3, 4, 5], "test"), name="toy@other")
    check = next(c for c in audit([corpus(), moved]) if c.name == "same split as toy@other")
    assert (check.verdict, check.expected, check.found) == ("warn", 12, 9)
    assert check.detail.startswith("3 of its test clips are in train or valid here, 0 of")
    relabelled = replace(changed("label", 0, -0.2), name="toy@other")
    assert verdicts(corpus(), relabelled)["same labels as toy@other"] == "fail"
    assert (
        verdicts(corpus(), replace(without(11), name="toy@other"))["same clips as toy@other"]
        == "warn"
    )


def whole(part: Corpus) -> Corpus:
    """The same clips under a dataset that declares to contain them."""
    return replace(part, name="big@tiny", dataset=replace(TOY, name="big", contains=("toy",)))


@pytest.mark.parametrize("part_first", [True, False])
def test_a_declared_containment_is_a_note(part_first):
    edited = whole(changed("text", 0, "another text"))
    pair = [corpus(), edited] if part_first else [edited, corpus()]
    (check,) = [c for c in audit(pair) if c.name == "contains toy@tiny"]
    assert (check.corpus, check.verdict) == ("big@tiny", "note")
    assert "100.0% of its test clips" in check.detail
    assert "1 texts differ" in check.detail


@pytest.mark.parametrize(
    "other", [changed("label", 0, -0.2), changed("split", 5, "valid"), without(11)]
)
def test_a_containment_that_does_not_hold_fails(other):
    assert verdicts(corpus(), whole(other))["contains toy@tiny"] == "fail"


def test_undeclared_shared_clips_fail():
    stranger = replace(corpus(), name="stranger@tiny", dataset=replace(TOY, name="stranger"))
    assert verdicts(corpus(), stranger) == {"clips shared with stranger@tiny": "fail"}
    apart = replace(stranger, clips=stranger.clips.assign(id=[f"x_{i}" for i in range(12)]))
    assert verdicts(corpus(), apart) == {}


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> dict[str, Corpus]:
    store = CorpusStore(tmp_path_factory.mktemp("corpora"))
    return {
        name: store.add(label_csv.read(research_data(name, "label.csv"), datasets[name]))
        for name in ("mosi", "mosei", "sims", "simsv2")
    }


@pytest.mark.data
def test_the_real_label_files(real):
    checks = audit(list(real.values()))
    assert {check.verdict for check in checks} == {"ok", "note"}
    notes = {(c.corpus.partition("@")[0], c.name): c for c in checks if c.verdict == "note"}
    contained = notes["simsv2", "contains sims@label-csv"]
    assert contained.found == "2281 clips, 2281 equal labels, 2281 equal splits"
    assert "44.2% of its test clips" in contained.detail
    assert "2WGyTLYerpo_44" in notes["mosi", "clips of no duration"].detail
    assert "59 of 59" in notes["sims", "videos in two splits"].detail
    assert "128 of 145" in notes["simsv2", "videos in two splits"].detail
    assert notes["simsv2", "label off the grid"].found == 1
    assert not any(name.startswith("clips shared") for _, name in notes)


@pytest.mark.data
def test_the_utterance_features_use_another_split(real, tmp_path):
    path = research_data("mosi_utterance", "features.pkl")
    utterance = CorpusStore(tmp_path).add(mmsa_pickle.read(path, datasets["mosi"], "utterance"))
    checks = {c.name: c for c in audit([utterance, real["mosi"]]) if c.corpus == utterance.name}
    assert checks["clips test"].verdict == "warn"
    assert checks["videos in two splits"].verdict == "ok"
    assert checks["same labels as mosi@label-csv"].verdict == "ok"
    split = checks["same split as mosi@label-csv"]
    assert split.verdict == "warn"
    assert split.detail.startswith("558 of its test clips are in train or valid here")
