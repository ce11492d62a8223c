"""What a corpus has is read off its clips, whatever its dataset or feature set is called."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.contents import contents_of, unimodal_labels
from harness.data.corpus import EXPLANATIONS, LABELS, Corpus, Stream
from harness.data.datasets import datasets
from harness.data.readers import label_csv
from harness.data.store import CorpusStore

SPLITS = ["train", "train", "train", "valid", "test"]


def corpus(
    columns: Mapping[str, Any], dataset: str = "mosi", streams: tuple[str, ...] = ()
) -> Corpus:
    clips = pd.DataFrame({"split": SPLITS, "text": "words", "label": 0.0}).assign(**columns)
    stream = Stream(np.zeros((5, 2, 1), np.float32), np.full(5, 2))
    return Corpus(
        name=f"{dataset}@x",
        dataset=datasets[dataset],
        fingerprint="f",
        clips=clips,
        streams=dict.fromkeys(streams, stream),
        tokens=None,
        manifest={},
    )


NOTHING = [np.nan] * 5


@pytest.mark.parametrize("dataset", ["mosi", "mosei", "sims", "simsv2"])
@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, ()),
        ({"label_T": 0.2}, ("label_T",)),
        ({"label_T": NOTHING, "label_A": 0.0, "label_V": -1.0}, ("label_A", "label_V")),
        ({"label_T": 0.0, "label_A": 0.0, "label_V": 0.0}, LABELS[1:]),
        ({"label_A": [np.nan, 0.0, np.nan, np.nan, np.nan]}, ("label_A",)),
        ({"label_A": [np.nan, np.nan, np.nan, 1.0, 1.0]}, ()),  # nothing to learn from
        ({"label_V": [None, None, 0.5, None, None]}, ("label_V",)),
    ],
)
def test_unimodal_labels_are_those_of_training_clips(
    dataset: str, columns: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert unimodal_labels(corpus(columns, dataset)) == expected


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, {"transcript"}),
        ({"text": ""}, set()),
        ({"text": ["", " \t", "\n", "a", "b"]}, set()),
        ({"text": ["", "", "a", "", ""]}, {"transcript"}),
        ({"summary": ""}, {"transcript"}),
        ({"summary": [None, None, "told", None, None]}, {"transcript", "summary"}),
        (dict.fromkeys(EXPLANATIONS, "told"), {"transcript", *EXPLANATIONS}),
        ({"audio_clue": [None, "", " ", "told", "told"]}, {"transcript"}),
    ],
)
def test_texts_are_those_that_say_something_in_training(
    columns: dict[str, Any], expected: set[str]
) -> None:
    assert contents_of(corpus(columns)).texts == expected


def test_streams_splits_and_tokens_are_counted() -> None:
    had = contents_of(corpus({}, streams=("audio",)))
    assert (had.streams, had.tokens) == ({"audio"}, False)
    assert had.clips == {"train": 3, "valid": 1, "test": 1}
    assert had.empty_splits == ()
    only = corpus({"split": ["train"] * 5})
    assert contents_of(only).empty_splits == ("valid", "test")


@settings(deadline=None)
@given(st.lists(st.sampled_from([0.5, np.nan]), min_size=5, max_size=5))
def test_a_label_is_there_exactly_when_a_training_clip_has_it(values: list[float]) -> None:
    found = unimodal_labels(corpus({"label_A": values}))
    assert (found == ("label_A",)) == bool(np.isfinite(values[:3]).any())


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["0.5", "", ""], LABELS[1:]),
        (["", "", ""], ()),
        (["", "0.1", ""], LABELS[1:]),
        ([" ", " ", "0.5"], ()),  # the test clip's
    ],
)
def test_empty_cells_of_a_label_file_are_no_labels(
    tmp_path: Path, cells: list[str], expected: tuple[str, ...]
) -> None:
    header = "video_id,clip_id,text,label,label_T,label_A,label_V,mode\n"
    modes = ("train", "train", "test")
    rows = [f"v,{k},a,0,{c},{c},{c},{m}" for k, (c, m) in enumerate(zip(cells, modes, strict=True))]
    path = tmp_path / "label.csv"
    path.write_text(header + "\n".join(rows), "utf-8")
    stored = CorpusStore(tmp_path / "corpora").add(label_csv.read(path, datasets["sims"]))
    assert unimodal_labels(stored) == expected
