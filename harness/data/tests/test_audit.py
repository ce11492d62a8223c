"""Every check passes on a sound corpus and finds the defect it is there for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from harness.data.audit import audit
from harness.data.audit.agreement import error_rate
from harness.data.audit.census import take_census
from harness.data.audit.report import markdown
from harness.data.corpus import Corpus, Stream
from harness.data.datasets import Counts, datasets
from harness.data.readers import label_csv, mmsa_pickle
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
            "text": [f"这是第{i}句话" for i in range(12)],
            "label": np.tile([-0.4, 0.0, 0.4], 4),
            "label_T": np.tile([-0.4, np.nan, 0.4], 4),
            "start": np.arange(12.0),
            "stop": np.arange(12.0) + 1,
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


def changed(column: str, rows, value, **others) -> Corpus:
    sound = corpus()
    clips = sound.clips.copy()
    for name, cell in {column: value, **others}.items():
        clips.loc[rows, name] = cell
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
    "a clip has no duration": (changed("stop", 4, 4.0), {"clips of no duration"}, "note"),
    "a clip starts before 0": (changed("start", 0, -0.5), {"clips that start before 0"}, "note"),
    "a clip has no stop": (changed("stop", 4, np.nan), {"clips with half their times"}, "note"),
    "a clip has no start": (changed("start", 4, np.nan), {"clips with half their times"}, "note"),
    "no clip has a stop": (
        replace(corpus(), clips=corpus().clips.drop(columns="stop")),
        {"clips with half their times"},
        "note",
    ),
    "two clips have equal times": (
        changed("start", [3, 4], 0.0, stop=2.0),
        {"clips at the times of another"},
        "note",
    ),
    "an id looks like another": (changed("id", 1, "train0\uff3f0"), {"repeated ids"}, "fail"),
    "a video looks like one of train": (
        changed("video", [9, 10, 11], "train\uff10"),
        {"videos in two splits", "videos that look like another"},
        None,
    ),
    "a dash of a video is another": (
        replace(
            changed("video", 0, "a\u2010b"),
            clips=changed("video", 0, "a\u2010b").clips.assign(
                video=["a\u2010b", "a-b", "a-b", *["c"] * 3, *["d"] * 3, *["e"] * 3]
            ),
        ),
        {"videos train", "videos that look like another"},
        None,
    ),
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


TEXTS = {
    "texts that spell a missing value": ["nan", "None", "NULL", " NaN ", "n/a", "<NA>"],
    "texts decoded wrongly": [
        *("itâ€™s", "cafÃ©", "ä½\u00a0å¥½", "ä½ å¥½", "Â£5", "ðŸ˜€", "é”Ÿæ–¤", "浣犲ソ", "锟斤拷"),
    ],
    "texts with replacement characters": ["我\ufffd们", "\ufffd\ufffd好"],
    "texts with HTML entities": [
        "我们&amp;你",
        "她&#39;说",
        "你&#x4f60;",
        "好&nbsp;吗",
        "&GT;&gt;好",
    ],
    "texts with invisible characters": ["我\u200b们", "\ufeff好", "好\x00", "好\x92的", "好\u202e"],
    "texts with blanks at the ends": ["我们 ", "\u3000我们", "我们\n", "\t我们", "\u00a0我"],
    "texts not in composed form": ["你e\u0301好", "\uf900你好"],
    "texts that end like rows": [
        "好,1.0,P,train\nv2,1,好",
        "好,test",
        "好,-1,N,Valid",
        "好,0,dev ",
    ],
    "texts in another language": ["I do not know", "OK", "spa da", "Привет ok"],
}
HARMLESS = [
    *(
        "我不知道",
        "他说：“好”",
        "iPhone很贵",
        "spa，大哥你看，spa",
        "……",
        "123",
        "AT&T和我",
        "&;好",
        "R&B很好",
    ),
    *(
        "为nan人",
        "第3,2句",
        "好,train的",
        "一\n二",
        "她😀👨\u200d👩\u200d👧好",
        "好é”",
        "联通",
        "训练, test 好",
    ),
]


@pytest.mark.parametrize(("name", "text"), [(n, t) for n, texts in TEXTS.items() for t in texts])
def test_a_text_with_a_fault_is_counted_with_its_clip(name, text):
    found = {check.name: check for check in audit([changed("text", 5, text)])}
    assert found[name].found == 1
    assert corpus().clips["id"][5] in found[name].detail


@pytest.mark.parametrize("text", HARMLESS)
def test_a_text_without_a_fault_is_not_counted(text):
    assert verdicts(changed("text", 5, text)) == {}


ENGLISH = [f"this is what she said about number {i}" for i in range(12)]


@pytest.mark.parametrize(
    ("language", "column", "texts", "verdict"),
    [
        ("en", "text", ENGLISH, None),
        ("en", "text", ["it抯 good don抰 miss", *ENGLISH[1:]], "warn"),
        ("en", "text", corpus().clips["text"].tolist(), "warn"),
        ("en", "text", ["한국어", *ENGLISH[1:]], "warn"),
        ("en", "text", ["café naïve – “so”", *ENGLISH[1:]], None),
        ("zh", "text", ENGLISH, "warn"),
        ("zh", "text_en", ENGLISH, None),
        ("zh", "text_en", corpus().clips["text"].tolist(), "warn"),
        ("zh", "other", ENGLISH, None),
        ("mixed", "text", ENGLISH, None),
    ],
)
def test_the_language_of_the_transcripts(language, column, texts, verdict):
    sound = corpus(replace(TOY, language=language))
    manifest = {**sound.manifest, "text": column}
    spoken = replace(sound, clips=sound.clips.assign(text=texts), manifest=manifest)
    assert verdicts(spoken).get("texts in another language") == verdict


def test_few_texts_in_another_language_are_a_note():
    sound = corpus()
    many = pd.concat([sound.clips] * 10, ignore_index=True)
    many.loc[0, "text"] = "OK"
    check = named(audit([replace(sound, clips=many, streams={})]), "texts in another language")
    assert (check.verdict, check.found) == ("note", 1)
    assert check.detail.startswith("more Latin words than Chinese characters in 0.8%: train0_0")


def named(checks, name):
    return next(check for check in checks if check.name == name)


@pytest.mark.parametrize(
    ("train", "test", "found"),
    [
        ("我不愿意让他去吧就耍脾气", "我不愿意让他去吧就耍脾气", 1),
        ("I do not like this movie", "i do NOT like  this movie ", 1),
        ("Ｉ do not like this movie", "I do not\u00a0like this movie", 1),
        ("The ﬁlm was good for me", "The film was good for me", 1),
        ("我不知道", "我不知道", 0),
        ("thank you very much", "thank you very much", 0),
        ("I do not like this movie", "I do not like that movie", 0),
    ],
)
def test_a_transcript_of_test_that_train_has_is_a_note(train, test, found):
    both = changed("text", 0, train)
    both.clips.loc[9, "text"] = test
    check = named(audit([both]), "texts in two splits")
    assert (check.found, check.verdict) == (found, "note" if found else "ok")
    if found:
        assert check.detail == "1 of 3 test transcripts (33.3%) are in train, such as test0_9"


def test_lines_that_are_no_clips_are_counted():
    sound = changed("text", 5, "一\n二")
    manifest = {**sound.manifest, "source": {"lines": 14}}
    check = named(audit([replace(sound, manifest=manifest)]), "lines beyond one per clip")
    assert (check.verdict, check.found) == ("note", 1)
    assert check.detail == (
        "14 lines hold a header and 12 clips; transcripts of several lines: train1_5"
    )
    exact = replace(corpus(), manifest={"source": {"lines": 13}})
    assert named(audit([exact]), "lines beyond one per clip").verdict == "ok"


@pytest.mark.parametrize(
    ("record", "name", "found"),
    [
        ({"moved_clips": 3}, "audio clips moved", 3),
        ({"cut_clips": 2, "cut_frames": 0}, "audio clips cut", 2),
        ({"cut_frames": 9}, "audio frames cut", 9),
        ({"extended_clips": 1}, "audio clips extended", 1),
        ({"truncated_clips": 5}, "audio clips truncated", 5),
        ({"silent_starts": 6}, "audio clips with silent starts", 6),
        ({"empty_clips": 4}, "audio clips empty in the source", 4),
        ({"nonfinite": {"test": {"nan": 1, "infinite": 2}}}, "audio values cleaned", 3),
        ({"moved_clips": {"train": 1, "test": 2}}, "audio clips moved", 3),
    ],
)
def test_what_a_reader_did_to_a_stream_is_listed(record, name, found):
    read = replace(corpus(), manifest={"streams": {"audio": record}})
    assert verdicts(read) == {name: "note"}
    assert named(audit([read]), name).found == found


@pytest.mark.parametrize("manifest", [{}, {"streams": []}, {"streams": {"audio": "raw"}}])
def test_a_reader_that_recorded_nothing_did_nothing(manifest):
    assert verdicts(replace(corpus(), manifest=manifest)) == {}


def test_another_split_is_said_to_be_one():
    check = named(audit([without(11)]), "clips test")
    assert check.detail == "not the official split: 2 of 3 test clips"


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
    alike = replace(
        stranger, clips=stranger.clips.assign(id=corpus().clips["id"].str.replace("_", "\uff3f"))
    )
    check = named(audit([corpus(), alike]), "clips shared with stranger@tiny")
    assert (check.verdict, check.found) == ("fail", 12)
    assert check.detail == "by id, of 12 here and 12 there; 12 with the same label"
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
    assert notes["mosi", "clips at the times of another"].found == 2
    assert notes["mosei", "clips that start before 0"].found == 224
    assert notes["mosei", "texts with replacement characters"].found == 28
    assert "of 4659 test transcripts" in notes["mosei", "texts in two splits"].detail
    assert notes["simsv2", "texts with blanks at the ends"].found == 1
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


@pytest.mark.data
def test_a_file_of_another_dataset_is_noticed(real, tmp_path):
    path = research_data("mosei", "label.csv")
    wrong = CorpusStore(tmp_path).add(label_csv.read(path, datasets["mosi"]))
    assert str(wrong.differs_from_official).endswith("test clips, as in CMU-MOSEI")
    checks = {c.name: c for c in audit([wrong, real["mosei"]]) if c.corpus == wrong.name}
    assert checks["clips train"].detail.endswith("as in CMU-MOSEI")
    shared = checks["clips shared with mosei@label-csv"]
    assert (shared.verdict, shared.found) == ("fail", 22856)
    assert "22856 with the same label" in shared.detail


# Words beside labels, texts heard, numbers of streams, the report


def annotated(*words: str, name: str = "toy@tiny") -> Corpus:
    sound = corpus(name=name)
    return replace(sound, clips=sound.clips.assign(annotation=np.tile(words, 4)))


def test_words_that_contradict_their_label_are_counted() -> None:
    """As in CH-SIMS v2's own file, where a majority's word stood beside a trimmed mean."""
    assert verdicts(annotated("Negative", "neutral", " Positive ")) == {}
    (found,) = (c for c in audit([annotated("Negative", "Neutral", "Neutral")]) if c.found == 4)
    assert (found.name, found.verdict) == ("annotations against their label", "note")
    assert found.detail.startswith("train0_2 (Neutral, 0.4)")
    odd = verdicts(annotated("Negative", "weakly positive", "Positive"))
    assert odd == {"annotations of another kind": "note"}


def test_two_files_of_one_dataset_may_disagree_in_their_words() -> None:
    one = annotated("Negative", "Neutral", "Positive")
    other = annotated("Negative", "Positive", "Positive", name="toy@other")
    found = verdicts(one, other)
    assert found["annotations other than in toy@other"] == "warn"
    same = annotated("Negative", "Neutral", "Positive", name="toy@other")
    assert "annotations other than in toy@other" not in verdicts(one, same)


@pytest.mark.parametrize(
    ("given", "heard", "rate"),
    [
        ("IT WAS REALLY GOOD", "It was really good.", 0.0),
        ("it’s fine", "it's fine", 0.0),
        ("one two three four", "one too three", 0.5),
        ("", "anything", None),
        ("我不想嫁给他", "我不想嫁给她。", 1 / 6),
        ("好 good 好", "好good坏", 1 / 3),
        ("a", "a b c", 2.0),
    ],
)
def test_error_rates_are_of_words_or_characters(given, heard, rate) -> None:
    found = error_rate(given, heard)
    assert np.isnan(found) if rate is None else found == pytest.approx(rate)


def test_transcripts_far_from_what_was_heard_are_named() -> None:
    sound = corpus()
    heard = replace(sound, clips=sound.clips.assign(text_given=sound.clips["text"]))
    assert verdicts(heard) == {}
    clips = heard.clips.copy()
    clips.loc[4, "text_given"] = "完全不同的另外一些词"
    (check,) = (
        c
        for c in audit([replace(heard, clips=clips)])
        if c.name == "transcripts that were not heard"
    )
    assert (check.verdict, check.found) == ("note", 1)
    assert "12 compared, median 0%" in check.detail and "train1_4" in check.detail


def test_features_that_are_nothing_but_zero_are_counted() -> None:
    def blank(values, lengths):
        values[:, :, 1] = 0

    (check,) = (c for c in audit([with_audio(blank)]) if c.verdict != "ok")
    assert (check.name, check.found) == ("audio features that are all 0", 1)
    assert check.detail == "of 2, in every frame: column 1"


def test_a_census_counts_what_lies_within_the_lengths() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(3, 2, size=(50, 8, 4)).astype(np.float32)
    lengths = rng.integers(1, 9, size=50)
    values[np.arange(8) >= lengths[:, None]] = 0
    values[:, :, 2] = 0
    values[7] = 0
    counted = take_census(Stream(values, lengths))
    inside = np.concatenate([clip[:n] for clip, n in zip(values, lengths, strict=True)])
    assert (counted.clips, counted.frames, counted.features) == (50, 8, 4)
    assert counted.low == inside.min() and counted.high == inside.max()
    assert counted.mean == pytest.approx(inside.mean(), rel=1e-5)
    assert counted.deviation == pytest.approx(inside.std(), rel=1e-5)
    assert counted.padding == pytest.approx(1 - lengths.sum() / 400)
    assert counted.zero_values == pytest.approx((inside == 0).mean())
    assert counted.zero_frames == pytest.approx((inside == 0).all(1).mean())
    assert (counted.zero_clips, counted.zero_features) == (1 / 50, 1)
    assert (counted.shortest, counted.longest) == (lengths.min(), lengths.max())


def test_a_report_has_what_to_look_at_first_and_no_transcript() -> None:
    mistaken = changed("label", 2, 1.2)
    page = markdown(
        [mistaken], audit([mistaken]), {"toy@tiny": [{"clip": "a|b", "speech, s": 1.5}]}
    )
    assert page.startswith("# Data audit\n\n## toy@tiny\n")
    assert "**1 fail, 0 warn, 0 note" in page
    assert "| fail | label out of range | 0 | 1 |" in page
    assert "| audio | 4 x 2 | 3 to 3, median 3 | 25.0% | 1 to 1 |" in page
    assert "| a\\|b | 1.500 |" in page
    assert not any(text in page for text in mistaken.clips["text"])
