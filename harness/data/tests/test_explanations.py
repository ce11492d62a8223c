"""Explanations joined to a corpus: every word counts, nothing is guessed."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from harness.data.corpus import Corpus
from harness.data.readers import explanations
from harness.data.store import CorpusStore, Draft
from harness.errors import DataError

IDS = ["a_1", "a_2", "-b_1"]


@pytest.fixture
def store(tmp_path: Path) -> CorpusStore:
    return CorpusStore(tmp_path / "corpora")


@pytest.fixture
def corpus(store: CorpusStore) -> Corpus:
    clips = pd.DataFrame(
        {
            "id": IDS,
            "video": ["a", "a", "-b"],
            "clip": ["1", "2", "1"],
            "split": ["train", "valid", "test"],
            "text": ["x", "y", "z"],
            "label": [1.0, 0.0, -1.0],
        }
    )
    return store.add(
        Draft(name="mosi@label-csv", clips=clips, streams={}, manifest={"reader": "t"})
    )


def joined(corpus: Corpus, path: Path, **changes: str) -> Draft:
    wanted = {"feature_set": "explained", "kind": "video_mllm", **changes}
    told = explanations.read(path, corpus)
    return explanations.explain(corpus, told.texts, source=told.source, **wanted)  # type: ignore[arg-type]  # by name


def write(path: Path, table: pd.DataFrame) -> Path:
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        table.to_parquet(path, index=False)
    else:
        path.write_text("\n".join(json.dumps(row) for row in table.to_dict("records")))
    return path


TABLE = pd.DataFrame(
    {"id": ["-b_1", "a_1"], "audio_clue": ["loud, angry", "calm"], "summary": ["bad", ""]}
)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_texts_find_their_clips_in_any_order_and_format(corpus, store, tmp_path, suffix):
    added = store.add(joined(corpus, write(tmp_path / f"told.{suffix}", TABLE)))
    assert added.name == "mosi@explained"
    assert added.clips["audio_clue"].tolist() == ["calm", "", "loud, angry"]
    assert added.clips["summary"].tolist() == ["", "", "bad"]
    assert "visual_clue" not in added.clips
    assert added.manifest["side_info"] == "video_mllm"
    assert added.manifest["explanations"]["clips"] == {"audio_clue": 2, "summary": 1}
    assert added.manifest["reader"] == "t"


def test_video_and_clip_name_a_clip_too(corpus, tmp_path):
    pairs = pd.DataFrame({"video_id": ["-b"], "clip_id": ["1"], "summary": ["fine"]})
    assert joined(corpus, write(tmp_path / "t.csv", pairs)).clips["summary"].tolist()[2] == "fine"


def test_one_word_changes_the_fingerprint(corpus, store, tmp_path):
    first = store.add(joined(corpus, write(tmp_path / "one.csv", TABLE), feature_set="one"))
    other = TABLE.replace("calm", "quiet")
    second = store.add(joined(corpus, write(tmp_path / "two.csv", other), feature_set="two"))
    assert len({corpus.fingerprint, first.fingerprint, second.fingerprint}) == 3


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (TABLE.rename(columns={"audio_clue": "a", "summary": "s"}), "none of the columns"),
        (TABLE.drop(columns="id"), "expected a column id"),
        (TABLE.assign(id=["a_1", "a_1"]), "has 1 clips more than once: a_1"),
        (
            TABLE.assign(id=["a_1", "c_9"]),
            "explains 1 clips that .* does not have: c_9",
        ),
    ],
)
def test_a_wrong_file_is_refused(corpus, tmp_path, table, message):
    with pytest.raises(DataError, match=message):
        explanations.read(write(tmp_path / "wrong.csv", table), corpus)


@pytest.mark.parametrize("name", ["told.txt", "absent.csv", "damaged.parquet"])
def test_what_is_no_table_is_refused(corpus, tmp_path, name):
    if name != "absent.csv":
        (tmp_path / name).write_bytes(b"\x00\x01")
    with pytest.raises(DataError):
        explanations.read(tmp_path / name, corpus)


def test_explanations_are_not_replaced_silently(corpus, store, tmp_path):
    path = write(tmp_path / "t.csv", TABLE)
    added = store.add(joined(corpus, path))
    with pytest.raises(DataError, match="already has audio_clue, summary"):
        joined(added, path)


@pytest.mark.parametrize(
    "spelled", ["-b$_$1", "-b[1]", "-b/1", " -b_1 ", "-b _ 1", "\ufeff-b_1\u00a0"]
)
def test_ids_may_be_spelled_as_elsewhere(corpus, tmp_path, spelled):
    path = write(tmp_path / "t.csv", pd.DataFrame({"id": [spelled], "summary": ["fine"]}))
    assert explanations.read(path, corpus).texts.index.tolist() == ["-b_1"]


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
@pytest.mark.parametrize("cell", [0.5, True, ["sad"], 7])
def test_what_is_no_text_is_refused_with_its_clip(corpus, tmp_path, suffix, cell):
    path = write(tmp_path / f"t.{suffix}", pd.DataFrame({"id": ["a_2"], "summary": [cell]}))
    with pytest.raises(DataError, match="summary of clip a_2 should be a text"):
        explanations.read(path, corpus)


@pytest.mark.parametrize("sign", ["\x00", "\x0c", "\x1b", "\x92", "\x7f"])
def test_control_characters_are_refused_with_their_clip(corpus, tmp_path, sign):
    path = write(tmp_path / "t.jsonl", pd.DataFrame({"id": ["a_2"], "summary": [f"a{sign}b"]}))
    with pytest.raises(DataError, match="summary of clip a_2 holds a control character"):
        explanations.read(path, corpus)


def test_half_a_character_is_refused(corpus, tmp_path):
    (tmp_path / "t.jsonl").write_text('{"id": "a_1", "summary": "\\ud83d"}\n')
    with pytest.raises(DataError, match="summary of clip a_1 holds half a character"):
        explanations.read(tmp_path / "t.jsonl", corpus)


def test_encodings_are_told_by_evidence_or_stated(corpus, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("id,summary\na_1,it’s sad\n".encode("cp1252"))
    told = explanations.read(path, corpus)
    assert told.texts["summary"].tolist() == ["it’s sad"]
    assert str(told.source["encoding"]).startswith("cp1252: not UTF-8")
    path.write_bytes("id,summary\na_1,El Niño\n".encode("mac_roman"))
    with pytest.raises(DataError, match="could be"):
        explanations.read(path, corpus)
    stated = explanations.read(path, corpus, encoding="mac_roman")
    assert stated.texts["summary"].tolist() == ["El Niño"]


def test_the_letter_case_of_the_suffix_does_not_matter(corpus, tmp_path):
    path = write(tmp_path / "t.csv", TABLE).rename(tmp_path / "T.CSV")
    assert len(explanations.read(path, corpus).texts) == 2
