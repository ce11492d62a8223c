"""Transfer corpora: whose clips, on which scale, in which space, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import data
from harness._util import checksums
from harness.data.corpus import EXPLANATIONS, Corpus, Stream
from harness.data.datasets import datasets
from harness.data.store import CorpusStore, Draft
from harness.data.transfer.compose import is_transfer, parts_of
from harness.data.transfer.rules import check_corpora, check_knowledge, check_settings
from harness.errors import DataError, SpecError
from harness.home import Home
from harness.spec.protocols import protocols
from harness.tests.research import research_data

SPACE = {"audio": "lld", "seconds": 0.1}
PROTOCOL = protocols["domain_generalization"]
NAMES = ("mosi", "mosei", "sims", "simsv2")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def add(home: Home) -> Callable[..., Corpus]:
    """Store ``<dataset>@own``: 4 train, 2 valid, 2 test clips, labels up to the scale's end."""

    def make(
        name: str,
        *,
        dim: int = 2,
        frames: int = 3,
        space: object = SPACE,
        streams: bool = True,
        **columns: object,
    ) -> Corpus:
        dataset = datasets[name]
        labels = np.array([-1, 1, 0.5, 0, -0.2, 0.2, 1, -1]) * dataset.high
        clips = pd.DataFrame({"split": ["train"] * 4 + ["valid"] * 2 + ["test"] * 2})
        clips = clips.assign(video=[f"{name}{i}" for i in range(8)], clip="1", text=f"in {name}")
        clips["id"] = name + "_" + clips["video"]
        clips = clips.assign(label=labels.round(6), **columns)
        values = np.full((8, frames, dim), dataset.high, dtype=np.float32)
        stream = Stream(values, np.full(8, frames))
        return CorpusStore(home.corpora).add(
            Draft(
                name=f"{name}@own",
                clips=clips,
                streams={"audio": stream} if streams else {},
                manifest={} if space is None else {"feature_space": space},
            )
        )

    return make


# Names


@given(
    st.lists(st.sampled_from(["mosi", "mosei"]), min_size=1, max_size=2, unique=True),
    st.sampled_from(["sims", "simsv2"]),
    st.sampled_from(["label-csv", "unaligned-50", "own"]),
    st.sampled_from([("", "common features"), ("-text", "text"), ("-text-en", "English text")]),
    st.sampled_from(["", "-twin"]),
)
def test_a_name_says_parts_target_and_track(sources, target, features, track, twin):
    folders = "+".join(source + twin for source in sources)
    name = f"{folders}-to-{target}{twin}@{features}{track[0]}"
    assert is_transfer(name)
    parts = parts_of(name)
    assert parts.sources == tuple(f"{source}{twin}@{features}" for source in sources)
    assert (parts.target, parts.track) == (f"{target}{twin}@{features}", track[1])
    assert parts.dataset.sources == tuple(sources)
    assert parts.dataset.target == target


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mosi-to-@own", "not the name"),
        ("-to-mosi@own", "not the name"),
        ("mosi-to-sims", "not the name"),
        ("mosi-to-sims@", "not the name"),
        ("mosi-to-sims@../own", "not the name"),
        ("mosi-to-nothing@own", "unknown dataset"),
        ("mosi+mosi-to-sims@own", "twice"),
        ("mosi-twin-to-sims@own", "mixes twins"),
        ("mosi+sims-to-sims@own", "train on its target"),
        ("sims-to-simsv2@own", "recur"),
        ("simsv2-to-sims@own", "recur"),
        ("sims+simsv2-to-mosi@own", "recur"),
        ("mosi+simsv2-to-sims@own", "recur"),
    ],
)
def test_other_names_are_refused(name, reason, home):
    with pytest.raises(SpecError, match=reason):
        data.load(name, home)
    assert not home.corpora.exists()


def test_derived_datasets_are_found_and_not_listed():
    assert "mosi+mosei-to-sims" in datasets
    assert "mosi-to-nothing" not in datasets
    assert set(NAMES) <= set(datasets)
    assert not [name for name in datasets if "-to-" in name]
    assert datasets["sims-to-sims"].is_bound
    assert not any(datasets[name].is_bound for name in (*NAMES, "mosi-to-sims"))


# Content


def test_learned_from_the_sources_tested_on_the_target(add, home):
    for name in ("mosi", "mosei", "sims"):
        add(name)
    corpus = data.load("mosi+mosei-to-sims@own", home)
    found = corpus.clips.groupby(["split", "domain"]).size().to_dict()
    sizes = {("train", 4), ("valid", 2)}
    learned = {(split, name): n for split, n in sizes for name in ("mosi", "mosei")}
    assert found == learned | {("test", "sims"): 2}
    assert corpus.dataset is datasets["mosi+mosei-to-sims"]


@pytest.mark.parametrize("name", ["mosi-to-sims", "sims-to-mosi", "mosei+sims-to-mosi"])
def test_labels_are_divided_by_their_own_scale(add, home, name):
    for part in ("mosi", "mosei", "sims"):
        add(part)
    corpus = data.load(f"{name}@own", home)
    for domain, clips in corpus.clips.groupby("domain"):
        own = CorpusStore(home.corpora).load(f"{domain}@own").clips.set_index("id")["label"]
        expected = own[clips["id"]].to_numpy() / datasets[domain].high
        assert clips["label"].to_numpy() == pytest.approx(expected, abs=1e-6)
    assert corpus.clips["label"].abs().max() == 1.0


def test_streams_are_joined_in_the_order_of_the_clips(add, home):
    add("mosi", frames=3)
    add("sims", frames=5)
    corpus = data.load("mosi-to-sims@own", home)
    values, lengths = corpus.streams["audio"].values, corpus.streams["audio"].lengths
    for i, domain in enumerate(corpus.clips["domain"]):
        high, frames = (3.0, 3) if domain == "mosi" else (1.0, 5)
        assert lengths[i] == frames
        assert (values[i, :frames] == high).all() and not values[i, frames:].any()


def test_a_bound_holds_its_dataset_and_nothing_else(add, home):
    own = add("sims")
    bound = data.load("sims-to-sims@own", home)
    assert bound.clips["id"].tolist() == own.clips["id"].tolist()
    assert bound.clips["label"].tolist() == own.clips["label"].tolist()


def test_parts_and_scales_are_recorded(add, home):
    parts = [add("mosi"), add("sims")]
    manifest = data.load("mosi-to-sims@own", home).manifest
    assert manifest["parts"] == {part.name: part.fingerprint for part in parts}
    assert manifest["label_divisors"] == {"mosi": 3.0, "sims": 1.0}


def test_composed_once_and_found_again(add, home):
    add("mosi"), add("sims")
    first = data.load("mosi-to-sims@own", home)
    assert data.load("mosi-to-sims@own", home).fingerprint == first.fingerprint
    assert "mosi-to-sims@own" in CorpusStore(home.corpora)


def test_a_replaced_part_is_noticed(add, home):
    add("mosi"), add("sims")
    data.load("mosi-to-sims@own", home)
    shutil.rmtree(home.corpora / "mosi@own")
    add("mosi", text="other words")
    with pytest.raises(DataError, match="another mosi@own") as caught:
        data.load("mosi-to-sims@own", home)
    assert caught.value.hint


def test_a_missing_part_is_named(add, home):
    add("mosi")
    with pytest.raises(DataError, match="'sims@own' is not here"):
        data.load("mosi-to-sims@own", home)


@pytest.mark.parametrize("kind", ["video_mllm", "transcript_llm"])
def test_explanations_stay_where_all_parts_have_them_of_one_kind(add, home, kind):
    texts = dict.fromkeys(EXPLANATIONS, "told")
    add("mosi", **texts)
    sims = add("sims", **texts)
    path = home.corpora / sims.name / "manifest.json"
    record = json.loads(path.read_text())
    record["manifest"]["side_info"] = kind
    path.write_text(json.dumps(record))
    _resealed(path.parent)
    corpus = data.load("mosi-to-sims@own-text", home)
    assert not set(EXPLANATIONS) & set(corpus.clips)  # MOSI's are nobody's


def test_explanations_of_all_parts_stay(add, home):
    for name in ("mosi", "sims"):
        add(name, **dict.fromkeys(EXPLANATIONS, f"told of {name}"))
    clips = data.load("mosi-to-sims@own-text", home).clips
    assert (clips["summary"] == "told of " + clips["domain"]).all()


# Tracks and feature spaces


def test_text_tracks_drop_streams(add, home):
    add("mosi"), add("sims", text_en="in English")
    native, english = (data.load(f"mosi-to-sims@own-{t}", home) for t in ("text", "text-en"))
    assert not native.streams and not english.streams
    assert set(native.split("test").texts) == {"in sims"}
    assert set(english.split("test").texts) == {"in English"}
    assert english.split("train").texts == native.split("train").texts  # English as it is


@pytest.mark.parametrize(
    "column",
    [{}, *({"text_en": ["words"] * 7 + [last]} for last in (None, "", " ", "\n", "\u3000"))],
)
def test_english_text_needs_every_translation(add, home, column):
    add("mosi"), add("sims", **column)
    with pytest.raises(DataError, match="no English transcript") as caught:
        data.load("mosi-to-sims@own-text-en", home)
    assert "-text" in caught.value.hint


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dim": 3}, "audio 2 .* audio 3"),
        ({"space": {"audio": "other"}}, "different feature spaces"),
        ({"space": None}, "not recorded"),
        ({"streams": False}, "no streams"),
    ],
)
def test_different_feature_spaces_are_refused_and_text_is_offered(add, home, changes, reason):
    add("mosi"), add("sims", **changes)
    with pytest.raises(DataError, match=reason) as caught:
        data.load("mosi-to-sims@own", home)
    assert "mosi-to-sims@own-text" in caught.value.hint
    data.load("mosi-to-sims@own-text", home)


def test_equal_widths_alone_make_no_common_space(add, home):
    add("mosi", space=None), add("sims", space=None)
    with pytest.raises(DataError, match="one extractor"):
        data.load("mosi-to-sims@own", home)


def test_corpora_without_streams_need_no_space(add, home):
    add("mosi", space=None, streams=False), add("sims", space=None, streams=False)
    assert not data.load("mosi-to-sims@own", home).streams


# Twins


def test_twins_compose_with_their_ceilings(home):
    corpus = data.load("sims-twin-to-mosi-twin@compact-x5-shift", home)
    assert corpus.is_twin and corpus.manifest["synthetic"]
    assert set(corpus.streams) == {"text", "audio", "vision"}
    target = data.load("mosi-twin@compact-x5-shift", home).manifest["ceilings"]["test"]
    found = corpus.manifest["ceilings"]["test"]
    assert found["all"]["mae"] == pytest.approx(target["all"]["mae"] / 3, abs=1e-4)
    assert found["all"]["corr"] == target["all"]["corr"]
    train, test = corpus.split("train").labels, corpus.split("test").labels
    expected = np.abs(test - train.mean()).mean()  # the source mean, not the target's
    assert found["train_mean"]["mae"] == pytest.approx(expected, abs=1e-4)


# Rules


def test_a_video_in_training_and_test_is_refused(add, home):
    add("mosi"), add("mosei")
    _with_videos(home, "mosei@own", {6: "mosi0"})
    with pytest.raises(DataError, match="in train of mosi@own and in test of mosei@own") as caught:
        data.load("mosi-to-mosei@own", home)
    assert "mosi0" in str(caught.value)


def _with_videos(home: Home, name: str, changed: dict[int, str]) -> None:
    path = home.corpora / name / "clips.parquet"
    clips = pd.read_parquet(path)
    clips.loc[list(changed), "video"] = list(changed.values())
    clips.to_parquet(path, index=False)
    _resealed(path.parent)


def _resealed(folder: Path) -> None:
    """As if it had been written with this content."""
    (folder / checksums.SUMS).unlink()
    checksums.seal(folder)


@pytest.mark.parametrize("name", ["mosi@own", "mosi-to-sims@own"])
def test_protocol_and_corpus_must_agree(add, home, name):
    add("mosi"), add("sims")
    corpus = data.load(name, home)
    right, wrong = PROTOCOL, protocols["in_domain"]
    if not is_transfer(name):
        right, wrong = wrong, right
    check_corpora(right, [corpus])
    with pytest.raises(SpecError) as caught:
        check_corpora(wrong, [corpus])
    assert caught.value.hint


@pytest.mark.parametrize(
    ("split", "domain"), [("train", "sims"), ("valid", "sims"), ("test", "mosi")]
)
def test_target_clips_in_training_are_refused(add, home, split, domain):
    add("mosi"), add("sims")
    corpus = data.load("mosi-to-sims@own", home)
    clips = corpus.clips.copy()
    clips.loc[(clips["split"] == split).idxmax(), "domain"] = domain
    with pytest.raises(DataError, match=f"{split} of mosi-to-sims@own should hold clips of"):
        check_corpora(PROTOCOL, [dataclasses.replace(corpus, clips=clips)])


@pytest.mark.parametrize(
    ("knowledge", "allowed"),
    [("mosei", True), ("mosi", True), ("sims", False), ("simsv2", False)],
)
def test_knowledge_of_the_target_is_refused(add, home, knowledge, allowed):
    for name in {"mosi", "sims", knowledge}:
        add(name)
    corpus = data.load("mosi-to-sims@own", home)
    known = data.load(f"{knowledge}@own", home)
    if allowed:
        check_knowledge(corpus, known)
        return
    with pytest.raises(DataError, match="overlaps the target"):
        check_knowledge(corpus, known)


def test_knowledge_may_not_hold_the_target_in_a_transfer_either(add, home):
    for name in ("mosi", "mosei", "sims"):
        add(name)
    corpus = data.load("mosi-to-mosei@own", home)
    with pytest.raises(DataError, match="overlaps the target"):
        check_knowledge(corpus, data.load("mosei+mosi-to-sims@own", home))


def test_knowledge_with_test_videos_of_the_target_is_refused(add, home):
    for name in ("mosi", "mosei", "sims"):
        add(name)
    corpus = data.load("sims-to-mosi@own", home)
    _with_videos(home, "mosei@own", {0: "mosi7"})
    with pytest.raises(DataError, match="test videos recur in it, such as mosi7"):
        check_knowledge(corpus, data.load("mosei@own", home))


@pytest.mark.parametrize("video", ["mosi７", "ｍosi7", "mosi7"])
def test_a_video_that_looks_like_a_test_video_is_one(add, home, video):
    for name in ("mosi", "mosei", "sims"):
        add(name)
    corpus = data.load("sims-to-mosi@own", home)
    _with_videos(home, "mosei@own", {0: video})
    with pytest.raises(DataError, match="test videos recur in it, such as mosi7"):
        check_knowledge(corpus, data.load("mosei@own", home))
    with pytest.raises(DataError, match="1 videos are both in train"):
        data.load("mosei-to-mosi@own", home)


def test_in_domain_knowledge_is_not_looked_at(add):
    check_knowledge(add("mosi"), add("mosei"))


@pytest.mark.parametrize(
    ("settings", "labels", "refused"),
    [
        (1, ["ERM", "CORAL"], ""),
        (2, ["ERM #1", "ERM #2", "CORAL #1", "CORAL #2"], ""),
        (1, ["ERM #1", "ERM #2", "CORAL"], "'ERM' tries 2"),
        (2, ["ERM #1", "ERM #2", "CORAL"], "'CORAL' tries 1"),
    ],
)
def test_every_algorithm_has_the_same_number_of_tries(settings, labels, refused):
    protocol = dataclasses.replace(PROTOCOL, settings=settings)
    if not refused:
        check_settings(protocol, labels)
        return
    with pytest.raises(SpecError, match=refused):
        check_settings(protocol, labels)


def test_other_protocols_count_no_tries():
    check_settings(protocols["in_domain"], ["ERM #1", "ERM #2", "CORAL"])


# Real data


def test_real_sets_compose_as_documented(home):
    from harness.data.readers import label_csv

    store = CorpusStore(home.corpora)
    for name in ("mosi", "sims"):
        store.add(label_csv.read(research_data(name, "label.csv"), datasets[name]))
    corpus = data.load("mosi-to-sims@label-csv-text-en", home)
    counts = {name: len(split) for name, split in corpus.splits.items()}
    assert counts == {name: c.clips for name, c in corpus.dataset.splits.items()}
    for split, expected in corpus.dataset.splits.items():
        labels = corpus.split(split).labels
        assert ((labels < 0).sum(), (labels > 0).sum()) == (expected.negative, expected.positive)
    assert corpus.split("test").clips["text"].str.contains("[A-Za-z]").mean() > 0.95
