"""MMSA feature files become corpora; what is cleaned is counted, what does not fit is refused."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness import canonical
from harness.data import mmsa_pickle
from harness.data.corpus import STREAMS
from harness.data.datasets import datasets
from harness.data.store import CorpusStore
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


@pytest.mark.data
def test_the_utterance_features_of_mosi():
    path = research_data("mosi_utterance", "features.pkl")
    draft = mmsa_pickle.read(path, datasets["mosi"], "utterance")
    groups = draft.clips.groupby("split")
    assert draft.name == "mosi@utterance"
    assert groups.size().to_dict() == {"train": 1173, "valid": 274, "test": 752}
    assert groups["video"].nunique().to_dict() == {"train": 49, "valid": 13, "test": 31}
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
