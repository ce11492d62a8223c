"""Label files become corpora without features; a bad row is named by its line."""

from __future__ import annotations

import csv

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import canonical
from harness.data import label_csv
from harness.data.datasets import datasets
from harness.data.store import CorpusStore
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
    "no clip id": ("v,,a,0,,,,x,train,", "line 5: video_id or clip_id is empty"),
    "no video id": (",1,a,0,,,,x,train,", "line 5: video_id or clip_id is empty"),
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
        ("", "found 0 rows"),
        (HEADER + "\n", "found 1 rows"),
        (table("a,b", header="video_id,text"), "lacks the columns clip_id, label, mode"),
        (table("v,1,a,0,train,x", header="video_id,clip_id,text,label,mode,text"), "called 'text'"),
        (table('v,1,"open,0,,,,x,train,'), "not a CSV file"),
    ],
)
def test_not_a_label_file(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, text)


def test_neither_encoding(tmp_path):
    (tmp_path / "label.csv").write_bytes(b"video_id\xff\xff")
    with pytest.raises(DataError, match="neither UTF-8 nor GB 18030"):
        label_csv.read(tmp_path / "label.csv", SIMS)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(DataError, match="found nothing"):
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
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=8))
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
