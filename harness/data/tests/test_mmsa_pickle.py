"""MMSA feature files become corpora; what is cleaned is counted, what does not fit is refused."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness._util import canonical
from harness.data.corpus import STREAMS
from harness.data.datasets import datasets
from harness.data.readers import mmsa_pickle
from harness.data.store import CorpusStore, fingerprint
from harness.errors import DataError
from harness.tests.research import research_data

SIZES = {"train": 6, "valid": 3, "test": 4}
SHAPES = {"text": (5, 4), "audio": (8, 3), "vision": (7, 2)}
MOSI = replace(datasets["mosi"], shapes={"tiny-5": SHAPES})


def lengths_of(split: str, name: str) -> np.ndarray:
    frames = SHAPES[name][0]
    return 1 + np.arange(SIZES[split]) % frames


def features(split: str, name: str) -> np.ndarray:
    """Noise up to each clip's length, zero after it."""
    frames, dim = SHAPES[name]
    draw = np.random.default_rng([len(split), len(name)])
    values = draw.uniform(0.5, 1.0, (SIZES[split], frames, dim)).astype(np.float32)
    values[np.arange(frames) >= lengths_of(split, name)[:, None]] = 0
    return values


def tokens(split: str) -> np.ndarray:
    mask = np.arange(5) < lengths_of(split, "text")[:, None]
    return np.stack([100 * mask, mask, 0 * mask], axis=1).astype(np.float32)


def content() -> dict[str, dict[str, object]]:
    """A complete file in the layout of MMSA."""
    file: dict[str, dict[str, object]] = {}
    for split, n in SIZES.items():
        file[split] = {name: features(split, name) for name in STREAMS}
        file[split] |= {
            "id": np.array([f"{split}_v{i // 2}$_${i:02d}" for i in range(n)]),
            "raw_text": np.array([f"text {i} of {split}" for i in range(n)]),
            "regression_labels": np.linspace(-3, 3, n, dtype=np.float32),
            "classification_labels": np.zeros(n),
            "annotations": np.array(["Neutral"] * n),
            "text_bert": tokens(split),
            "audio_lengths": lengths_of(split, "audio").tolist(),
            "vision_lengths": lengths_of(split, "vision"),
        }
    return file


def convert(folder: Path, file: object, feature_set: str | None = "test", dataset=MOSI):
    path = folder / "features.pkl"
    path.write_bytes(pickle.dumps(file, 4))
    return mmsa_pickle.read(path, dataset, feature_set)


def with_key(key: str, make) -> dict[str, dict[str, object]]:
    """The complete file with ``make(split, n)`` under ``key`` in every split."""
    file = content()
    for split, n in SIZES.items():
        file[split][key] = make(split, n)
    return file


def record(draft, name: str) -> dict:
    return draft.manifest["streams"][name]


def joined(name: str) -> np.ndarray:
    return np.concatenate([features(split, name) for split in SIZES])


def test_a_complete_file(tmp_path):
    draft = convert(tmp_path, content())
    clips = draft.clips
    assert draft.name == "mosi@test"
    assert clips["split"].tolist() == [s for s, n in SIZES.items() for _ in range(n)]
    assert clips.loc[3, ["id", "video", "clip"]].tolist() == ["train_v1_03", "train_v1", "03"]
    assert clips["text"].iloc[-1] == "text 3 of test"
    np.testing.assert_allclose(clips["label"][:6], np.linspace(-3, 3, 6), atol=1e-6)
    assert clips["annotation"].unique().tolist() == ["Neutral"]
    for name in STREAMS:
        np.testing.assert_array_equal(draft.streams[name].values, joined(name))
        expected = np.concatenate([lengths_of(split, name) for split in SIZES])
        np.testing.assert_array_equal(draft.streams[name].lengths, expected)
    assert draft.tokens.dtype == np.int32
    np.testing.assert_array_equal(draft.tokens, np.concatenate([tokens(s) for s in SIZES]))


def test_the_manifest_tells_what_was_done(tmp_path):
    draft = convert(tmp_path, with_key("text_residual_bert", lambda split, n: tokens(split)))
    path = tmp_path / "features.pkl"
    manifest = draft.manifest
    assert manifest["source"] == {
        "name": "features.pkl",
        "sha256": canonical.file_digest(path),
        "published_as": None,
    }
    assert manifest["clips"] == SIZES
    assert manifest["ignored"] == ["classification_labels"]
    assert manifest["token_streams"] == ["text_residual_bert"]
    assert record(draft, "text")["lengths_from"] == "text_bert mask"
    assert record(draft, "audio")["lengths_from"] == "audio_lengths"
    assert str(tmp_path) not in canonical.dumps(manifest)


def test_a_published_file_is_recognised(tmp_path):
    path = tmp_path / "features.pkl"
    path.write_bytes(pickle.dumps(content(), 4))
    known = replace(MOSI, published_files={canonical.file_digest(path): "MOSI/unaligned.pkl"})
    assert mmsa_pickle.read(path, known).manifest["source"]["published_as"] == "MOSI/unaligned.pkl"


def test_it_can_be_stored(tmp_path):
    corpus = CorpusStore(tmp_path / "corpora").add(convert(tmp_path, content()))
    assert len(corpus.split("valid")) == 3
    np.testing.assert_array_equal(
        corpus.split("test").stream("audio").values[0, 0], features("test", "audio")[0, 0]
    )


@pytest.mark.parametrize("form", ["unicode", "object", "list", "bytes", "bytes objects", "column"])
def test_text_in_every_form(tmp_path, form):
    make = {
        "unicode": lambda texts: np.array(texts),
        "object": lambda texts: np.array(texts, dtype=object),
        "list": list,
        "bytes": lambda texts: np.array([text.encode() for text in texts]),
        "bytes objects": lambda texts: [text.encode() for text in texts],
        "column": lambda texts: np.array(texts)[:, None],
    }[form]
    file = with_key("raw_text", lambda split, n: make([f"你好 {i}" for i in range(n)]))
    assert convert(tmp_path, file).clips["text"].iloc[:6].tolist() == [
        f"你好 {i}" for i in range(6)
    ]


@pytest.mark.parametrize(
    ("published", "video", "clip"),
    [
        ("-3g5yACwYnA$_$10", "-3g5yACwYnA", "10"),
        ("video_0001$_$0007", "video_0001", "0007"),
        ("video_0001_0007", "video_0001", "0007"),
        ("video_0001/0007", "video_0001", "0007"),
        ("a_b$_$1", "a_b", "1"),
    ],
)
def test_ids(tmp_path, published, video, clip):
    file = content()
    file["train"]["id"] = [published, *file["train"]["id"][1:].tolist()]
    assert convert(tmp_path, file).clips.loc[0, ["id", "video", "clip"]].tolist() == [
        f"{video}_{clip}",
        video,
        clip,
    ]


@pytest.mark.parametrize("name", ["dev", "val"])
def test_other_names_of_the_validation_split(tmp_path, name):
    file = content()
    file[name] = file.pop("valid")
    file["notes"] = {}
    assert (convert(tmp_path, file).clips["split"] == "valid").sum() == 3


def test_splits_are_known_in_any_letter_case(tmp_path):
    file = {name.title(): part for name, part in content().items()}
    assert (convert(tmp_path, file).clips["split"] == "test").sum() == 4


def test_unimodal_labels_and_explanations(tmp_path):
    file = content()
    for split, n in SIZES.items():
        rows = file[split]
        rows["regression_labels_M"] = rows.pop("regression_labels")[:, None]
        rows |= {f"regression_labels_{m}": np.full(n, 0.2) for m in "TAV"}
        rows |= {key: [f"{key} {i}" for i in range(n)] for key in ("audio_clue", "visual_clue")}
        rows |= {key: [f"{key} {i}" for i in range(n)] for key in ("clue_summary", "raw_text_en")}
        rows |= {key: [f"{key} {i}" for i in range(n)] for key in ("reason", "text_clue")}
        rows |= {"audio_clue_bert": tokens(split), "text_residual_bert": tokens(split)}
    draft = convert(tmp_path, file)
    clips = draft.clips
    assert clips["label"].iloc[0] == -3
    assert (clips[["label_T", "label_A", "label_V"]] == 0.2).all(axis=None)
    assert clips["summary"].iloc[1] == "clue_summary 1"
    assert clips["text_en"].iloc[1] == "raw_text_en 1"
    assert {"audio_clue", "visual_clue", "reason", "text_clue"} <= set(clips.columns)
    assert draft.manifest["token_streams"] == ["audio_clue_bert", "text_residual_bert"]


def test_the_feature_set_is_recognised_by_shapes(tmp_path):
    assert convert(tmp_path, content(), None).name == "mosi@tiny-5"


def test_an_unknown_feature_set_must_be_named(tmp_path):
    with pytest.raises(DataError, match="audio 8x3") as caught:
        convert(tmp_path, content(), None, datasets["mosi"])
    assert "--feature-set" in caught.value.hint


def test_a_public_name_is_kept_for_its_shapes(tmp_path):
    with pytest.raises(DataError, match="text 50x768, audio 375x5"):
        convert(tmp_path, content(), "unaligned-50", datasets["mosi"])


@pytest.mark.parametrize("name", ["", "Aligned", "a b", "../x", "a@b", "a_b"])
def test_feature_set_names(tmp_path, name):
    with pytest.raises(DataError, match="lower-case letters"):
        convert(tmp_path, content(), name)


def test_vectors_count_as_one_frame(tmp_path):
    draft = convert(tmp_path, with_key("audio", lambda split, n: np.ones((n, 3))) | {})
    assert draft.streams["audio"].values.shape == (13, 1, 3)


def test_streams_may_be_absent(tmp_path):
    file = content()
    for rows in file.values():
        del rows["vision"], rows["text_bert"]
    draft = convert(tmp_path, file)
    assert set(draft.streams) == {"text", "audio"}
    assert draft.tokens is None
    assert record(draft, "text")["lengths_from"] == "last non-zero frame"
    expected = np.concatenate([lengths_of(split, "text") for split in SIZES])
    np.testing.assert_array_equal(draft.streams["text"].lengths, expected)


def test_splits_of_other_frame_counts_are_padded(tmp_path):
    file = content()
    file["valid"]["audio"] = file["valid"]["audio"][:, :4]
    draft = convert(tmp_path, file)
    np.testing.assert_array_equal(draft.streams["audio"].values, joined("audio"))


def test_nan_and_infinities_become_zero_and_are_counted(tmp_path):
    file = content()
    file["train"]["audio"][5, 0] = [np.nan, np.inf, -np.inf]
    file["test"]["audio"] = file["test"]["audio"].astype(np.float64)
    file["test"]["audio"][3, 0, 0] = 1e300  # beyond float32
    draft = convert(tmp_path, file)
    assert np.isfinite(draft.streams["audio"].values).all()
    assert record(draft, "audio")["nonfinite"] == {
        "train": {"nan": 1, "infinite": 2},
        "valid": {"nan": 0, "infinite": 0},
        "test": {"nan": 0, "infinite": 1},
    }
    assert draft.streams["audio"].values[5, 1:6].all()


def test_padding_at_the_front_is_moved(tmp_path):
    def front(split, n):
        values = features(split, "audio")
        for row, length in enumerate(lengths_of(split, "audio")):
            values[row] = np.roll(values[row], 8 - length, axis=0)
        return values

    draft = convert(tmp_path, with_key("audio", front))
    np.testing.assert_array_equal(draft.streams["audio"].values, joined("audio"))
    expected = np.concatenate([lengths_of(split, "audio") for split in SIZES])
    np.testing.assert_array_equal(draft.streams["audio"].lengths, expected)
    assert record(draft, "audio")["padding"].startswith("front")
    assert record(draft, "audio")["moved_clips"] == 13  # no clip fills all eight frames
    assert record(draft, "vision")["padding"] == "end"


def big(n: int = 40) -> tuple[dict[str, dict[str, object]], np.ndarray]:
    """Forty training clips of eight full frames, with stated lengths of eight."""
    file = content()
    file["train"] = {
        key: np.resize(value, (n, *np.shape(value)[1:])) for key, value in file["train"].items()
    }
    file["train"]["id"] = [f"v$_${i}" for i in range(n)]
    file["train"]["audio"] = np.ones((n, 8, 3), dtype=np.float32)
    lengths = np.full(n, 8)
    file["train"]["audio_lengths"] = lengths
    return file, lengths


def test_signal_beyond_a_stated_length_is_kept_and_counted(tmp_path):
    file, lengths = big()
    lengths[7] = 5
    draft = convert(tmp_path, file)
    stream = draft.streams["audio"]
    assert stream.lengths[7] == 8
    assert stream.values[7].all()
    found = record(draft, "audio")
    assert (found["cut_clips"], found["cut_frames"], found["extended_clips"]) == (0, 0, 1)


def test_lengths_that_would_lose_signal_are_extended(tmp_path):
    file, lengths = big()
    lengths[:20] = 2
    draft = convert(tmp_path, file)
    stream = draft.streams["audio"]
    assert (stream.lengths[:40] == 8).all()
    assert stream.values[:40].all()
    assert record(draft, "audio")["extended_clips"] == 20
    assert record(draft, "audio")["cut_clips"] == 0


def test_the_token_mask_ends_the_text(tmp_path):
    file = with_key("text", lambda split, n: np.ones((n, 5, 4), dtype=np.float32))
    draft = convert(tmp_path, file)
    beyond = np.arange(5) >= draft.streams["text"].lengths[:, None]
    assert not draft.streams["text"].values[beyond].any()
    assert draft.streams["text"].values[~beyond].all()
    assert record(draft, "text")["cut_frames"] == beyond.sum()


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([100] * 4, r"more than the 8 frames of audio.*in 4 of 13 clips \(test\[0\] 100"),
        ([7.9, 2, 3, 4], r"whole numbers of frames.*1 of 13 are not \(test\[0\] 7.9\)"),
        ([1, 2.5, 3.25, 4], r"2 of 13 are not \(test\[1\] 2.5, test\[2\] 3.25\)"),
        ([1, 2, 3, -1], r"not negative; 1 of 13 are not \(test\[3\] -1\)"),
        ([1, np.nan, 3, 4], r"test.audio_lengths\[1\] should be a finite number"),
        ([1, None, 3, 4], r"test.audio_lengths\[1\] should be a number, found a NoneType"),
        ([True, 2, 3, 4], r"test.audio_lengths\[0\] should be a number, found a bool"),
    ],
)
def test_lengths_that_cannot_be_are_refused(tmp_path, lengths, message):
    file = content()
    file["test"]["audio_lengths"] = lengths
    with pytest.raises(DataError, match=message) as caught:
        convert(tmp_path, file)
    assert "/" not in str(caught.value)


def test_whole_lengths_of_any_type_are_read(tmp_path):
    for kind in (np.float64, np.float32, np.int16, np.uint8, object):
        file = content()
        for split, rows in file.items():
            rows["audio_lengths"] = lengths_of(split, "audio").astype(kind)[:, None]
        assert record(convert(tmp_path, file), "audio")["lengths_from"] == "audio_lengths"


def test_a_clip_cut_when_the_file_was_made_has_all_frames(tmp_path):
    file, lengths = big()
    lengths[:3] = 30
    file["train"]["audio"][0, 7] = 0  # silent just there
    draft = convert(tmp_path, file)
    assert (draft.streams["audio"].lengths[:40] == 8).all()
    assert record(draft, "audio")["truncated_clips"] == 3


def test_an_empty_clip_has_one_zero_frame(tmp_path):
    file = content()
    file["test"]["vision"][2] = 0
    file["test"]["vision_lengths"][2] = 0
    draft = convert(tmp_path, file)
    assert draft.streams["vision"].lengths[11] == 1
    assert record(draft, "vision")["empty_clips"] == 1


def without(key: str, *splits: str):
    def change(file):
        for split in splits or SIZES:
            del file[split][key]

    return change


def setting(split: str, key: str, value):
    return lambda file: file[split].__setitem__(key, value)


BROKEN = {
    "no ids": (without("id"), "train lacks id"),
    "no text": (without("raw_text"), "train lacks raw_text; it has"),
    "no labels": (without("regression_labels"), "train lacks regression_labels"),
    "a stream in one split only": (without("audio", "test"), "test lacks audio"),
    "a split is missing": (lambda file: file.pop("test"), "found train, valid"),
    "two validation splits": (lambda f: f.update(dev=f["valid"]), "valid split twice"),
    "a split is a list": (
        lambda f: f.update(test=[1]),
        "should hold train, valid and test as keyed arrays; test is a list",
    ),
    "a split is called otherwise": (
        lambda f: f.update(eval=f.pop("valid")),
        "found eval, test, train: valid missing",
    ),
    "no clips": (setting("valid", "id", []), "valid holds no clips"),
    "labels of another count": (
        setting("valid", "regression_labels", np.zeros(2)),
        "valid.regression_labels should have 3 entries",
    ),
    "a label is missing": (
        setting("valid", "regression_labels", np.array([0, np.nan, 0])),
        r"valid.regression_labels\[1\] should be a finite number",
    ),
    "labels are texts": (
        setting("valid", "regression_labels", ["a", "b", "c"]),
        r"regression_labels\[0\] should be a number, found a str",
    ),
    "text is numbers in lists": (
        setting("valid", "raw_text", [["a"], ["b"], ["c"]]),
        "should be a text, found a list",
    ),
    "text is one string": (setting("valid", "raw_text", "abc"), "one entry per clip, found a str"),
    "half a character": (
        setting("valid", "raw_text", np.array(["a", "\ud800", "c"])),
        "not valid text",
    ),
    "bytes that are no text": (
        setting("valid", "raw_text", [b"\xff", b"", b""]),
        r"valid.raw_text\[0\] is not valid text",
    ),
    "an id without a clip": (setting("valid", "id", ["a$_$1", "b", "c$_$1"]), "found 'b'"),
    "features of another width": (
        setting("test", "audio", np.ones((4, 8, 2))),
        "same features in all splits",
    ),
    "features are lists": (setting("test", "audio", [1, 2, 3, 4]), "found list"),
    "features are flat": (setting("test", "audio", np.ones(4)), "found float64"),
    "features without frames": (setting("test", "audio", np.ones((4, 0, 3))), r"\(4, 0, 3\)"),
    "features are texts": (setting("test", "audio", np.full((4, 8, 3), "a")), "found <U1"),
    "tokens are flat": (setting("test", "text_bert", np.ones((4, 5))), r"\(clips, 3, tokens\)"),
    "tokens are fractions": (setting("test", "text_bert", np.full((4, 3, 5), 0.5)), "token ids"),
    "tokens are NaN": (setting("test", "text_bert", np.full((4, 3, 5), np.nan)), "token ids"),
    "the mask is no mask": (setting("test", "text_bert", np.full((4, 3, 5), 7)), "mask of 0 and 1"),
    "another number of tokens": (
        setting("test", "text_bert", np.ones((4, 3, 6))),
        "another number of tokens",
    ),
    "lengths are texts": (setting("test", "audio_lengths", ["1"] * 4), "should be a number"),
}


@pytest.mark.parametrize("defect", BROKEN)
def test_a_broken_file_is_a_data_error(tmp_path, defect):
    change, message = BROKEN[defect]
    file = copy.deepcopy(content())
    change(file)
    with pytest.raises(DataError, match=message):
        convert(tmp_path, file)


def test_not_splits_at_all(tmp_path):
    with pytest.raises(DataError, match="found a list"):
        convert(tmp_path, [1, 2])


def test_lists_that_share_themselves_do_not_multiply(tmp_path):
    bomb: object = [0.0, 0.0, 0.0]
    for _ in range(60):
        bomb = [bomb, bomb, bomb]
    for key in ("audio_lengths", "regression_labels", "raw_text", "audio", "text_bert"):
        file = content()
        file["valid"][key] = bomb
        with pytest.raises(DataError, match=f"valid.{key}"):
            convert(tmp_path, file)


# Texts


NAN = float("nan")


@pytest.mark.parametrize("gap", [None, NAN, np.float32("nan"), np.float64("nan")])
@pytest.mark.parametrize("form", [list, lambda texts: np.array(texts, dtype=object)])
def test_a_text_that_is_not_there_is_empty_and_counted(tmp_path, gap, form):
    file = content()
    file["valid"]["raw_text"] = form(["words", gap, ""])
    draft = convert(tmp_path, file)
    assert draft.clips["text"][6:9].tolist() == ["words", "", ""]
    assert draft.manifest["texts_absent"] == {"raw_text": 1}


def test_words_that_look_like_gaps_are_words(tmp_path):
    file = content()
    file["valid"]["raw_text"] = ["nan", "None", "NA"]
    draft = convert(tmp_path, file)
    assert draft.clips["text"][6:9].tolist() == ["nan", "None", "NA"]
    assert draft.manifest["texts_absent"] == {}


@pytest.mark.parametrize(
    "entry", [7, 1.5, True, np.int64(3), np.bool_(False), ["a"], {"a": "b"}, ("a",), np.ones(2)]
)
def test_what_is_no_text_is_refused_by_split_and_row(tmp_path, entry):
    file = content()
    file["valid"]["raw_text"] = ["a", entry, "c"]
    message = r"valid.raw_text\[1\] should be a text, found a "
    with pytest.raises(DataError, match=message) as caught:
        convert(tmp_path, file)
    assert "not words" in caught.value.hint


ENGLISH = ["it’s a café", "“well”", "no – never", "that’s fine"]
CHINESE = ["今天天气很好", "我不知道", "你好，再见", "谢谢大家"]


@pytest.mark.parametrize(
    ("texts", "encoding", "dataset"),
    [
        (ENGLISH, "utf-8", "mosi"),
        (ENGLISH, "cp1252", "mosi"),
        (ENGLISH, "mac_roman", "mosi"),
        (CHINESE, "utf-8", "sims"),
        (CHINESE, "gb18030", "sims"),
        (CHINESE, "big5", "sims"),
    ],
)
def test_bytes_are_decoded_by_evidence_of_all_of_them(tmp_path, texts, encoding, dataset):
    if encoding == "big5":
        texts = ["今天天氣很好", "我不知道", "再見", "謝謝大家"]
    file = content()
    file["test"]["raw_text"] = [text.encode(encoding) for text in texts]
    draft = convert(tmp_path, file, "x", replace(datasets[dataset], shapes={}))
    assert draft.clips["text"][9:].tolist() == texts
    read_as = draft.manifest["texts_decoded"].get("raw_text", "utf-8")
    assert read_as.startswith(encoding)


@pytest.mark.parametrize(
    "entry", [b"\xff\xfe", b"\xff\xfea\x00", b"\x81\x8d", b"\xfd\xfe\xff", b"a\x00\xe9\x00"]
)
def test_bytes_that_fit_nothing_are_refused_by_split_and_row(tmp_path, entry):
    file = content()
    file["valid"]["raw_text"] = [b"a", b"b", entry]
    message = r"valid.raw_text\[2\] is not valid text: .*1 of 13 entries"
    with pytest.raises(DataError, match=message) as caught:
        convert(tmp_path, file)
    assert caught.value.hint == "store texts as str, not as bytes"


# Ids


@pytest.mark.parametrize(
    "published", ["v[3]", " v$_$3 ", "v _ 3", "v/3\u200b", b"v_3", np.str_("v_3\u00a0")]
)
def test_spellings_of_one_id(tmp_path, published):
    file = content()
    file["valid"]["id"] = ["a_1", published, "a_2"]
    clips = convert(tmp_path, file).clips
    assert clips.loc[7, ["id", "video", "clip"]].tolist() == ["v_3", "v", "3"]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (7, "numbers lose their leading zeros"),
        (7.5, "numbers lose their leading zeros"),
        (True, "ids are text"),
        (None, "ids are text"),
        (["v", "3"], "ids are text"),
        ("", "an empty id"),
        ("nan", "an empty id"),
        ("1.5E+10", "scientific notation"),
        ("v\x07_3", "control character"),
        ("v\ud800_3", "half a character"),
        (b"\xff_3", "can't decode"),
        ("video", "found 'video'"),
    ],
)
def test_what_is_no_id_is_refused_by_split_and_row(tmp_path, entry, reason):
    file = content()
    file["valid"]["id"] = ["a_1", entry, "a_2"]
    with pytest.raises(DataError, match=r"valid.id\[1\]: ") as caught:
        convert(tmp_path, file)
    assert reason in str(caught.value)
    assert "store ids as text" in caught.value.hint


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["v_1", "v_1", "v_2"], "1 clips more than once: v_1"),
        (["v_1", "v$_$1", "v[1]"], "1 clips more than once: v_1"),
        (["v_1", "train_v0_00", "train_v0_01"], "2 clips more than once: train_v0_00"),
        (["v_1", "v_\uff11", "v_2"], r"1 ids look like another one and are not: 'v_1' and"),
        (["-a_1", "\u2013a_1", "\u2212a_1"], "2 ids look like another one"),
    ],
)
def test_ids_that_cannot_be_told_apart(tmp_path, ids, message):
    file = content()
    file["valid"]["id"] = ids
    with pytest.raises(DataError, match=message) as caught:
        convert(tmp_path, file)
    assert caught.value.hint


# Labels


@pytest.mark.parametrize("gaps", [[0.2, NAN, -0.4], [0.2, None, -0.4], [None] * 3, [NAN] * 3])
@pytest.mark.parametrize("form", [list, lambda labels: np.array(labels, dtype=object)])
def test_unimodal_labels_may_be_absent(tmp_path, gaps, form):
    file = content()
    for split, n in SIZES.items():
        file[split] |= {f"regression_labels_{m}": np.full(n, 0.5) for m in "TAV"}
    file["valid"]["regression_labels_A"] = form(gaps)
    draft = convert(tmp_path, file)
    absent = [gap is None or gap != gap for gap in gaps]
    assert draft.clips["label_A"][6:9].isna().tolist() == absent
    assert not draft.clips[["label_T", "label_V"]].isna().any(axis=None)
    assert draft.manifest["labels_absent"] == {"regression_labels_A": sum(absent)}
    assert len(CorpusStore(tmp_path / "corpora").add(draft).clips) == 13


@pytest.mark.parametrize("entry", [np.inf, -np.inf, "", "0.5", True, [0.5], {}])
def test_unimodal_labels_are_numbers(tmp_path, entry):
    file = with_key("regression_labels_T", lambda split, n: [0.5] * n)
    file["valid"]["regression_labels_T"] = [0.5, entry, 0.5]
    with pytest.raises(DataError, match=r"valid.regression_labels_T\[1\] should be a "):
        convert(tmp_path, file)


@pytest.mark.parametrize("key", ["regression_labels", "regression_labels_M"])
@pytest.mark.parametrize("entry", [None, NAN, np.inf, "1", True])
def test_the_label_must_be_there(tmp_path, key, entry):
    file = content()
    for rows in file.values():
        rows[key] = list(rows.pop("regression_labels"))
    file["valid"][key][1] = entry
    with pytest.raises(DataError, match=rf"valid.{key}\[1\] should be a "):
        convert(tmp_path, file)


# Masks


def test_a_mask_padded_at_the_front_is_moved_with_its_tokens(tmp_path):
    file = content()
    expected = np.concatenate([tokens(split) for split in SIZES])
    for split in SIZES:
        for key in ("text", "text_bert"):
            axis = 2 if key == "text_bert" else 1
            for row, length in enumerate(lengths_of(split, "text")):
                rolled = np.roll(file[split][key][row], 5 - length, axis=axis - 1)
                file[split][key][row] = rolled
    draft = convert(tmp_path, file)
    np.testing.assert_array_equal(draft.tokens, expected)
    np.testing.assert_array_equal(draft.streams["text"].values, joined("text"))
    full = np.concatenate([lengths_of(split, "text") for split in SIZES]) == 5
    assert draft.manifest["tokens_moved"] == (~full).sum()


def test_a_mask_with_holes_is_refused(tmp_path):
    file = content()
    file["valid"]["text_bert"][1, 1] = [1, 0, 1, 1, 0]
    with pytest.raises(DataError, match=r"zeros between ones in 1 clips, such as valid\[1\]"):
        convert(tmp_path, file)


# One array per clip


def ragged(split: str, n: int, form=list):
    clips = [
        features(split, "audio")[row][:length]
        for row, length in enumerate(lengths_of(split, "audio"))
    ]
    if form is list:
        return clips
    listed = np.empty(n, dtype=object)
    for row, clip in enumerate(clips):
        listed[row] = clip
    return listed


def read_padded(folder: Path, file: object, *, pad: bool):
    path = folder / "features.pkl"
    path.write_bytes(pickle.dumps(file, 4))
    return mmsa_pickle.read(path, MOSI, "test", pad=pad)


@pytest.mark.parametrize("form", [list, object])
def test_ragged_features_are_padded_on_request(tmp_path, form):
    file = with_key("audio", lambda split, n: ragged(split, n, form))
    for rows in file.values():
        del rows["audio_lengths"]
    with pytest.raises(DataError, match="frames differ per clip: 1 to 6") as caught:
        read_padded(tmp_path, file, pad=False)
    assert "--pad" in caught.value.hint
    draft = read_padded(tmp_path, file, pad=True)
    np.testing.assert_array_equal(draft.streams["audio"].values, joined("audio")[:, :6])
    expected = np.concatenate([lengths_of(split, "audio") for split in SIZES])
    np.testing.assert_array_equal(draft.streams["audio"].lengths, expected)
    assert record(draft, "audio")["lengths_from"] == "frames of each clip's array"


def test_a_silent_end_of_a_ragged_clip_is_data(tmp_path):
    file = with_key("audio", ragged)
    for rows in file.values():
        del rows["audio_lengths"]
    file["train"]["audio"][5] = np.zeros((6, 3), dtype=np.float32)
    assert read_padded(tmp_path, file, pad=True).streams["audio"].lengths[5] == 6


def test_clips_of_one_size_need_no_padding(tmp_path):
    file = with_key("audio", lambda split, n: list(features(split, "audio")))
    np.testing.assert_array_equal(
        read_padded(tmp_path, file, pad=False).streams["audio"].values, joined("audio")
    )


RAGGED = {
    "another width": (lambda clips: clips.__setitem__(1, np.ones((2, 4))), "found 3, 4"),
    "a clip of words": (lambda clips: clips.__setitem__(1, np.array([["a"]])), "padded in one"),
    "a clip without features": (lambda clips: clips.__setitem__(1, np.ones(3)), "padded in one"),
    "a clip that is a list": (
        lambda clips: clips.__setitem__(1, [[1.0, 2.0, 3.0]]),
        "padded in one",
    ),
    "a clip too few": (lambda clips: clips.pop(), "should have 3 entries"),
    "a clip that takes all memory": (
        lambda clips: clips.__setitem__(1, np.broadcast_to(np.int8(1), (10, 3)).repeat(10**6, 0)),
        r"padded to 10000000 frames; allowed are .* \(what is free\)",
    ),
}


@pytest.mark.parametrize("defect", RAGGED)
def test_ragged_features_that_do_not_fit(tmp_path, defect, monkeypatch):
    change, message = RAGGED[defect]
    if defect.endswith("memory"):
        monkeypatch.setattr("psutil.virtual_memory", lambda: type("", (), {"available": 1 << 29})())
    file = with_key("audio", ragged)
    change(file["valid"]["audio"])
    with pytest.raises(DataError, match=message):
        read_padded(tmp_path, file, pad=True)


# Other layouts


def mag_bert(split: str, n: int) -> list[object]:
    draw = np.random.default_rng(n)
    return [
        (
            (
                [f"w{word}" for word in range(row + 1)],
                draw.normal(size=(row + 1, 4)),
                draw.normal(size=(row + 1, 3)),
            ),
            np.array([[row / 2 - 1]]),
            f"{split}[{row}]",
        )
        for row in range(n)
    ]


def read_mag_bert(folder: Path, file: object, layout: str = "mag-bert"):
    path = folder / "features.pkl"
    path.write_bytes(pickle.dumps(file, 4))
    return mmsa_pickle.read(path, MOSI, "words", layout=layout)


def test_mag_bert_files_are_converted_on_request(tmp_path):
    file = {"train": mag_bert("a", 5), "dev": mag_bert("b", 2), "test": mag_bert("c", 3)}
    with pytest.raises(DataError, match="MAG-BERT's layout: train is a list of") as caught:
        read_mag_bert(tmp_path, file, "mmsa")
    assert "--layout mag-bert" in caught.value.hint
    draft = read_mag_bert(tmp_path, file)
    clips = draft.clips
    assert clips["id"].tolist()[:2] == ["a_0", "a_1"]
    assert clips["split"].tolist() == ["train"] * 5 + ["valid"] * 2 + ["test"] * 3
    assert clips["text"].tolist()[2] == "w0 w1 w2"
    assert clips["label"].tolist()[:5] == [-1, -0.5, 0, 0.5, 1]
    (_, visual, acoustic), _, _ = file["train"][2]
    for name, rows in (("vision", visual), ("audio", acoustic)):
        stream = draft.streams[name]
        assert stream.lengths.tolist() == [1, 2, 3, 4, 5, 1, 2, 1, 2, 3]
        np.testing.assert_array_equal(stream.values[2, :3], rows.astype(np.float32))
        assert record(draft, name)["moved_clips"] == 0


def clip_with(place: int, value: object):
    def change(clip):
        parts = [*clip[0], *clip[1:]]
        parts[place] = value
        return ((parts[0], parts[1], parts[2]), parts[3], parts[4])

    return change


MAG_BERT = {
    "fewer rows than words": (clip_with(1, np.ones((1, 4))), r"test\[1\].*2 words, \(1, 4\)"),
    "words are a text": (clip_with(0, "ab"), r"test\[1\] should have a list of words"),
    "words are numbers": (clip_with(0, [1, 2]), "list of words"),
    "flat features": (clip_with(2, np.ones(2)), r"one row of visual and acoustic"),
    "features are a list": (clip_with(2, [1, 2]), r"should be \(\(words, visual, acoustic\)"),
    "two labels": (clip_with(3, np.ones(2)), "one number as its label"),
    "no label": (clip_with(3, np.array([[np.nan]])), r"regression_labels\[1\] should be a finite"),
    "a label in words": (clip_with(3, "good"), "one number as its label"),
    "no segment": (clip_with(4, "video"), r"test.id\[1\].*found 'video'"),
    "two parts": (lambda clip: clip[:2], r"test\[1\] should be \(\(words"),
}


@pytest.mark.parametrize("defect", MAG_BERT)
def test_mag_bert_files_that_do_not_fit(tmp_path, defect):
    change, message = MAG_BERT[defect]
    file = {"train": mag_bert("a", 5), "dev": mag_bert("b", 2), "test": mag_bert("c", 3)}
    file["test"][1] = change(file["test"][1])
    with pytest.raises(DataError, match=message):
        read_mag_bert(tmp_path, file)


def test_keyed_arrays_are_not_mag_bert(tmp_path):
    with pytest.raises(DataError, match="found a dict") as caught:
        read_mag_bert(tmp_path, content())
    assert "no --layout" in caught.value.hint
    with pytest.raises(DataError, match="layouts are mmsa, mag-bert; found 'mult'"):
        read_mag_bert(tmp_path, content(), "mult")


@pytest.mark.parametrize("form", [np.array, list, tuple])
def test_mult_files_are_named(tmp_path, form):
    file = {}
    for split, n in SIZES.items():
        file[split] = {
            "id": form([[f"v{i}", "0.0", "3.5"] for i in range(n)]),
            "labels": np.ones((n, 1, 1)),
            "audio": features(split, "audio"),
        }
    message = "MulT's layout.*lacks raw_text and regression_labels"
    with pytest.raises(DataError, match=message):
        convert(tmp_path, file)


@pytest.mark.data
def test_the_utterance_features_of_mosi():
    path = research_data("mosi_utterance", "features.pkl")
    draft = mmsa_pickle.read(path, datasets["mosi"], "utterance")
    groups = draft.clips.groupby("split")
    assert draft.name == "mosi@utterance"
    assert groups.size().to_dict() == {"train": 1173, "valid": 274, "test": 752}
    assert groups["video"].nunique().to_dict() == {"train": 49, "valid": 13, "test": 31}
    mark = fingerprint(draft.clips, draft.streams, draft.tokens)
    assert mark == "b1bfd6b51e92106c835d86c671fd75c3d405279b1131ce9ff6acbd8aecdf1c2c"
    shapes = {name: stream.values.shape for name, stream in draft.streams.items()}
    assert shapes == {"text": (2199, 1, 100), "audio": (2199, 1, 73), "vision": (2199, 1, 100)}
    assert all((stream.lengths == 1).all() for stream in draft.streams.values())
    assert draft.clips["label"].between(-3, 3).all()
    with path.open("rb") as handle:
        trusted = pickle.load(handle)  # our own file, read independently
    np.testing.assert_array_equal(
        draft.streams["audio"].values[1173:1447], trusted["valid"]["audio"]
    )
    assert draft.clips["text"][1447:].tolist() == trusted["test"]["raw_text"].tolist()


@pytest.mark.data
def test_the_utterance_features_must_be_named():
    with pytest.raises(DataError, match="audio 1x73"):
        mmsa_pickle.read(research_data("mosi_utterance", "features.pkl"), datasets["mosi"])
