"""Label files become corpora without features; a bad row is named by its line."""

from __future__ import annotations

import csv

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness._util import canonical
from harness.data.datasets import datasets
from harness.data.readers import label_csv
from harness.data.store import CorpusStore, fingerprint
from harness.errors import DataError
from harness.tests.research import research_data

SIMS = datasets["sims"]
HEADER = "video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode,text_en"
ROWS = (
    "video_0001,0001,我不想,-1.0,-0.8,-1.0,0.2,Negative,train,I do not",
    "video_0001,0010,你好,0.4,,,,Positive,valid,Hello",
    '-3g5yA,0,"say ""no"", twice\nor so",0,0,0,0,Neutral,test,',
)


def read(folder, text, encoding="utf-8", feature_set="label-csv"):
    path = folder / "label.csv"
    path.write_bytes(text.encode(encoding))
    return label_csv.read(path, SIMS, feature_set)


def table(*rows, header=HEADER):
    return "\n".join([header, *rows]) + "\n"


def test_a_label_file(tmp_path):
    draft = read(tmp_path, table(*ROWS))
    clips = draft.clips
    assert draft.name == "sims@label-csv"
    assert clips["id"].tolist() == ["video_0001_0001", "video_0001_0010", "-3g5yA_0"]
    assert clips["clip"].tolist() == ["0001", "0010", "0"]
    assert clips["split"].tolist() == ["train", "valid", "test"]
    assert clips["label"].tolist() == [-1.0, 0.4, 0.0]
    np.testing.assert_array_equal(clips["label_V"], [0.2, np.nan, 0.0])
    assert clips["text"].iloc[2] == 'say "no", twice\nor so'
    assert clips["text_en"].tolist() == ["I do not", "Hello", ""]
    assert clips["annotation"].iloc[1] == "Positive"
    assert "mode" not in clips
    assert not draft.streams
    assert draft.tokens is None
    assert draft.manifest["clips"] == {"train": 1, "valid": 1, "test": 1}
    canonical.dumps(draft.manifest)


def test_a_translation_can_be_the_transcript(tmp_path):
    path = tmp_path / "label.csv"
    path.write_text(table(*ROWS), "utf-8")
    draft = label_csv.read(path, datasets["sims"], "label-csv-en", text="text_en")
    assert draft.clips["text"].tolist() == ["I do not", "Hello", ""]
    assert draft.manifest["text"] == "text_en"
    with pytest.raises(DataError, match=r"no column text_fr; it has video_id"):
        label_csv.read(path, datasets["sims"], text="text_fr")


def test_texts_that_look_like_missing_values_stay(tmp_path):
    header = "video_id,clip_id,text,label,mode"
    draft = read(tmp_path, table("v,1,NA,0,train", "v,2,null,0,train", header=header))
    assert draft.clips["text"].tolist() == ["NA", "null"]


@pytest.mark.parametrize(
    "header",
    [
        "video_id,clip_id,text,label,mode",
        "Video_ID, Clip_ID ,Text,Label,Mode",
        "video,clip,raw_text,label_M,split",
        "\ufeffvideo_id,clip_id,text,label,mode",
    ],
)
def test_headers(tmp_path, header):
    clips = read(tmp_path, table("v,001,hello,0.5,dev", header=header)).clips
    found = clips.loc[0, ["id", "text", "label", "split"]].tolist()
    assert found == ["v_001", "hello", 0.5, "valid"]


def test_start_and_stop_are_numbers(tmp_path):
    header = "video_id,clip_id,text,label,mode,start,stop"
    clips = read(tmp_path, table("v,1,a,0,train,1.5,2", "v,2,b,0,train,,", header=header)).clips
    np.testing.assert_array_equal(clips["start"], [1.5, np.nan])
    np.testing.assert_array_equal(clips["stop"], [2.0, np.nan])


def test_columns_that_the_corpus_names_itself_are_left_out(tmp_path):
    header = "id,video_id,clip_id,text,label,mode"
    draft = read(tmp_path, table("77,v,1,a,0,train", header=header))
    assert draft.clips["id"].tolist() == ["v_1"]
    assert draft.manifest["ignored"] == ["id"]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_the_encoding_is_found_and_recorded(tmp_path, encoding):
    draft = read(tmp_path, table(*ROWS), encoding)
    assert draft.clips["text"].iloc[0] == "我不想"
    assert draft.manifest["source"]["encoding"] == encoding


def test_windows_line_ends(tmp_path):
    assert len(read(tmp_path, table(*ROWS).replace("\n", "\r\n")).clips) == 3


BAD = {
    "label is a word": (
        "v,1,a,great,,,,x,train,",
        "line 5: label should be a number, found 'great'",
    ),
    "label is missing": ("v,1,a,,,,,x,train,", "line 5: label should be a number"),
    "label is NaN": ("v,1,a,nan,,,,x,train,", "line 5: label should be a number"),
    "label is infinite": ("v,1,a,inf,,,,x,train,", "line 5: label should be a number"),
    "label_T is a word": ("v,1,a,0,x,,,x,train,", "line 5: label_T should be a number"),
    "unknown split": ("v,1,a,0,,,,x,holdout,", "line 5: mode should be train, valid or test"),
    "repeated clip": ("video_0001,0010,a,0,,,,x,train,", "line 5: .*occurs before, in line 3"),
    "label has a decimal comma": ('v,1,a,"0,4",,,,x,train,', "line 5: label .* found '0,4'"),
    "label is an id": ("v,1,a,1_0,,,,x,train,", "line 5: label should be a number"),
    "label has another minus": ("v,1,a,\u22121,,,,x,train,", "line 5: label should be a number"),
    "no clip id": ("v,,a,0,,,,x,train,", "line 5: an empty id"),
    "no video id": (",1,a,0,,,,x,train,", "line 5: an empty id"),
    "blank clip id": ("v,\u3000,a,0,,,,x,train,", "line 5: an empty id"),
    "clip id of R": ("v,NA,a,0,,,,x,train,", "line 5: an empty id"),
    "formula": ("#NAME?,1,a,0,,,,x,train,", "line 5: '#NAME.' is an error of a spreadsheet"),
    "float": ("v,1.0,a,0,,,,x,train,", "line 5: '1.0' is a number with decimals"),
    "date": ("v,3-Mar,a,0,,,,x,train,", "line 5: '3-Mar' is a date"),
    "scientific": ("1.00E+05,1,a,0,,,,x,train,", "line 5: .* scientific"),
    "another video's clip": ("v,w$_$1,a,0,,,,x,train,", "line 5: clip .* of another video"),
    "another's path": ("v,w/1,a,0,,,,x,train,", "line 5: clip .* of another video"),
    "video looks alike": (
        "video\uff3f0001,1,a,0,,,,x,train,",
        r"line 5: 'video\\uff3f0001' looks like 'video_0001' in line 2",
    ),
    "clip looks alike": (
        "v,\uff19,a,0,,,,x,train,",
        r"line 5: 'v_\\uff19' looks like 'v_9' in line 4",
    ),
    "dash looks alike": (
        "\u20113g5yA,1,a,0,,,,x,train,\n-3g5yA,2,a,0,,,,x,train,",
        r"line 6: '-3g5yA' looks like '\\u20113g5yA' in line 5",
    ),
    "NUL": ("v,1,a\x00b,0,,,,x,train,", r"line 5: text holds a control character \('\\x00'\)"),
    "a sign of Windows": ("v,1,it\x92s,0,,,,x,train,", "line 5: text holds a control"),
    "escape": ("v,1,a,0,,,,x\x1b,train,", "line 5: annotation holds a control"),
    "backspace": ("v,1,a,0,,,,x,train,I\x08", "line 5: text_en holds a control"),
    "delete": ("v,1,\x7f,0,,,,x,train,", "line 5: text holds a control"),
    "too few cells": ("v,1,a,0", "line 5: 4 cells under 10 column names"),
    "too many cells": ("v,1,a,0,,,,x,train,,more", "line 5: 11 cells"),
}


@pytest.mark.parametrize("defect", BAD)
def test_a_bad_row_is_named_by_its_line(tmp_path, defect):
    row, message = BAD[defect]
    rows = [*ROWS[:2], "v,9,two\\n,0,,,,x,train,", row]
    with pytest.raises(DataError, match=f"label.csv, {message}"):
        read(tmp_path, table(*rows))


def test_lines_count_line_breaks_in_texts(tmp_path):
    with pytest.raises(DataError, match="line 6: label"):  # the third row takes two lines
        read(tmp_path, table(*ROWS, "v,1,a,bad,,,,x,train,"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (HEADER + "\n", "a header and no clips"),
        (table("a,b", header="video_id,text"), "lacks the columns clip_id, label, mode"),
        (table("v,1,a,0,train,x", header="video_id,clip_id,text,label,mode,text"), "called 'text'"),
        (table('v,1,"open,0,,,,x,train,'), "line 2: not a CSV row"),
        (table("v;1;a;0,0;train", header="video_id;clip_id;text;label;mode"), "a number"),
        (table("v,a,0,train", header="id,text,label,mode"), "ids should be video"),
        (table("1,a,0,train", header="clip_id,text,label,mode"), "line 2: ids should be video"),
        (table("v,a,0,train", header="video_id,text,label,mode"), "lacks the columns clip_id"),
        (
            table('v,1,"oh,1,train\nv,2,so",1,train', header="video,clip,text,label,mode"),
            "line 2: a quote is opened and not closed",
        ),
    ],
)
def test_not_a_label_file(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, text)


def test_no_encoding_fits(tmp_path):
    (tmp_path / "label.csv").write_bytes(b"video_id\xff\xff")
    with pytest.raises(DataError, match="neither UTF-8 nor plausible as gb18030, big5, cp1252"):
        label_csv.read(tmp_path / "label.csv", SIMS)


ENGLISH = "video_id,clip_id,text,label,mode\nv,1,it’s a café,0,train\n"


@pytest.mark.parametrize("encoding", ["cp1252", "mac_roman", "gb18030"])
def test_encodings_of_english_files(tmp_path, encoding):
    path = tmp_path / "label.csv"
    path.write_bytes(ENGLISH.encode(encoding))
    draft = label_csv.read(path, datasets["mosi"])
    assert draft.clips["text"].tolist() == ["it’s a café"]
    source = draft.manifest["source"]
    assert source["encoding"] == encoding
    assert "not UTF-8" in source["evidence"]


def test_an_encoding_can_be_stated(tmp_path):
    path = tmp_path / "label.csv"
    path.write_bytes(ENGLISH.replace("it’s a café", "El Niño").encode("mac_roman"))
    with pytest.raises(DataError, match="could be") as caught:
        label_csv.read(path, datasets["mosi"])
    assert "--encoding" in str(caught.value.hint)
    draft = label_csv.read(path, datasets["mosi"], encoding="mac_roman")
    assert draft.clips["text"].tolist() == ["El Niño"]
    assert draft.manifest["source"]["evidence"] == "as stated"
    path.write_bytes(rb"video_id,clip_id,text,label,mode\nv,1,\ud800,0,train\n")
    with pytest.raises(DataError, match="half a character"):
        label_csv.read(path, datasets["mosi"], encoding="unicode_escape")


@pytest.mark.parametrize(
    ("header", "ids"),
    [
        ("id", ["a_b$_$01", "-c$_$2"]),
        ("ID", ["a_b[01]", "-c[2]"]),
        ("clip_id", ["a_b/01", " -c/2"]),
        ("Clip", ["a_b_01", "-c_2"]),
        ("video_id,clip_id", ["a_b,a_b$_$01", "-c,-c_2"]),
        ("clip_id,video", ["01,a_b", "2 ,-c "]),
    ],
)
def test_whole_ids_are_taken_apart(tmp_path, header, ids):
    rows = [f"{clip},t,0,train" for clip in ids]
    draft = read(tmp_path, table(*rows, header=f"{header},text,label,mode"))
    clips = draft.clips
    assert draft.manifest["ignored"] == []
    assert list(clips) == ["id", "video", "clip", "split", "text", "label"]
    assert clips["id"].tolist() == ["a_b_01", "-c_2"]
    assert clips["video"].tolist() == ["a_b", "-c"]
    assert clips["clip"].tolist() == ["01", "2"]


@pytest.mark.parametrize("clip", ["1", "x_1", "00_7", "1_", "_1"])
def test_a_clip_may_have_an_underscore_of_its_own(tmp_path, clip):
    header = "video_id,clip_id,text,label,mode"
    clips = read(tmp_path, table(f"v,{clip},t,0,train", header=header)).clips
    assert clips.loc[0, ["id", "video", "clip"]].tolist() == [f"v_{clip}", "v", clip]


@pytest.mark.parametrize("cell", ["", " ", "nan", "NaN", "NA", "null", "None"])
def test_a_uni_modal_label_may_be_missing(tmp_path, cell):
    header = "video_id,clip_id,text,label,mode,label_T"
    clips = read(tmp_path, table(f"v,1,t,0,train,{cell}", header=header)).clips
    assert clips["label_T"].isna().all()


@pytest.mark.parametrize("mode", ["train", " Train ", "TRAIN\u00a0", "\u200btrain", "ｔｒａｉｎ"])
def test_splits_are_read_as_seen(tmp_path, mode):
    header = "video_id,clip_id,text,label,mode"
    assert read(tmp_path, table(f"v,1,t,0,{mode}", header=header)).clips["split"][0] == "train"


LETTERS = st.text(st.sampled_from("abcxyz019"), min_size=1, max_size=4)
BLANKS = st.text(st.sampled_from(" \t\u00a0\u200b"), max_size=2)
SAVED = {
    "sims": ("我不想去了，你们去吧！\n好", ["utf-8", "utf-8-sig", "gb18030"]),
    "mosi": ("it’s “good”, isn’t it?\nyes", ["utf-8", "utf-8-sig", "cp1252"]),
}


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_what_no_one_sees_does_not_change_the_fingerprint(tmp_path_factory, data):
    name = data.draw(st.sampled_from(sorted(SAVED)))
    text, encodings = SAVED[name]
    ids = data.draw(st.lists(st.tuples(LETTERS, LETTERS), min_size=1, max_size=4, unique=True))
    rows = [
        {"video_id": v, "clip_id": c, "text": text, "label": "0.4", "mode": "train", "zz": "x"}
        for v, c in ids
        if "na" not in (v, c)
    ]
    folder = tmp_path_factory.mktemp("saved")

    def mark(columns, end, encoding, pad):
        def cell(row, column):
            padded = column in ("video_id", "clip_id", "mode")
            return pad() + row[column] + pad() if padded else row[column]

        with (folder / "label.csv").open("w", encoding=encoding, newline="") as file:
            writer = csv.writer(file, lineterminator=end)
            writer.writerow([f"{pad()}{column}{pad()}" for column in columns])
            for row in rows:
                cells = [cell(row, column) for column in columns]
                writer.writerow([part.replace("\n", end) for part in cells])
        read = label_csv.read(folder / "label.csv", datasets[name])
        return fingerprint(read.clips, {}, None)

    columns = list(rows[0])
    encoding = data.draw(st.sampled_from(encodings))
    blanks = BLANKS if encoding.startswith("utf-8") else st.sampled_from(["", " ", "\t "])
    first = mark(columns, "\n", "utf-8", lambda: "")
    shuffled = data.draw(st.permutations(columns))
    end = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    assert mark(shuffled, end, encoding, lambda: data.draw(blanks)) == first


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        label_csv.read(tmp_path / "absent.csv", SIMS)
    with pytest.raises(DataError, match="found a folder"):
        label_csv.read(tmp_path, SIMS)


def test_the_feature_set_has_a_plain_name(tmp_path):
    with pytest.raises(DataError, match="lower-case letters"):
        read(tmp_path, table(*ROWS), feature_set="My Labels")


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_noise_is_a_data_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("noise") / "label.csv"
    path.write_bytes(content)
    with pytest.raises(DataError):
        label_csv.read(path, SIMS)


@settings(max_examples=100, deadline=None)
@given(
    texts=st.lists(
        st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\t\n")),
        min_size=1,
        max_size=8,
    )
)
def test_any_text_survives(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("texts") / "label.csv"
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["video_id", "clip_id", "text", "label", "mode"])
        writer.writerows(["v", str(i), text, "0", "train"] for i, text in enumerate(texts))
    assert label_csv.read(path, SIMS).clips["text"].tolist() == texts


@pytest.mark.data
@pytest.mark.parametrize("name", ["mosi", "mosei", "sims", "simsv2"])
def test_the_real_files_match_the_official_counts(tmp_path, name):
    path = research_data(name, "label.csv")
    dataset = datasets[name]
    corpus = CorpusStore(tmp_path).add(label_csv.read(path, dataset))
    for split, counts in dataset.splits.items():
        part = corpus.split(split)
        labels = part.labels
        signs = ((labels < 0).sum(), (labels == 0).sum(), (labels > 0).sum())
        assert len(part) == counts.clips
        assert signs == (counts.negative, counts.zero, counts.positive)
        assert part.clips["video"].nunique() == counts.videos
    other = pd.read_csv(path, dtype={"video_id": str, "clip_id": str}, keep_default_na=False)
    by_id = corpus.clips.set_index("id").loc[other["video_id"] + "_" + other["clip_id"]]
    np.testing.assert_allclose(by_id["label"], other["label"], atol=1e-6)
    assert by_id["text"].tolist() == other["text"].tolist()
    assert by_id["split"].tolist() == other["mode"].tolist()


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "text", "mark"),
    [
        ("mosi", "text", "0a00b1e516e02b2c87e56e944f67b2449b39d5e7e3cdf9d0fe102d6495c79451"),
        ("mosei", "text", "3767ea5135a7bf7c1fde7fab9ef706aab470a81a1e10a9e387c4ffe41283ac22"),
        ("sims", "text", "6fa4be1764f70e1bab2a633f0c150492db373f95a8c8d111839a3a60ff321b42"),
        ("sims", "text_en", "eb727fd12d3a3c44ae9ff60f99cd934f25e11a9ded4d6812b832f9e01e6d5b3b"),
        ("simsv2", "text", "09778121b2da70a73e6449c4020a113a33b289efb1e7c1990bfd7b7d3b52bb24"),
    ],
)
def test_the_real_files_keep_their_fingerprints(tmp_path, name, text, mark):
    draft = label_csv.read(research_data(name, "label.csv"), datasets[name], text=text)
    assert CorpusStore(tmp_path).add(draft).fingerprint == mark
