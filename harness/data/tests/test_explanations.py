"""Explanations joined to a corpus: every word counts, nothing is guessed."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from harness.data import explanations
from harness.data.corpus import Corpus
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
    texts = explanations.read(path, corpus)
    return explanations.explain(corpus, texts, source=explanations.source_of(path), **wanted)  # type: ignore[arg-type]  # by name


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
        (TABLE.assign(id=["a_1", "a_1"]), "explains a clip twice: a_1"),
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
