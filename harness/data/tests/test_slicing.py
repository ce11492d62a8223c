"""Slices of a split follow from labels and metadata as their definitions say."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.corpus import Corpus
from harness.data.datasets import datasets
from harness.data.readers import label_csv
from harness.data.slicing import slices_of, slicings, thirds
from harness.data.slicing._words import tokens
from harness.data.store import assemble
from harness.errors import DataError
from harness.tests.research import research_data


def corpus(dataset: str = "mosi", **columns: Any) -> Corpus:
    """One training clip, then test clips."""
    n = len(next(iter(columns.values()))) + 1 if columns else 5
    clips = pd.DataFrame(
        {
            "id": [f"v{i}_0" for i in range(n)],
            "video": [f"v{i}" for i in range(n)],
            "split": ["train", *["test"] * (n - 1)],
            "text": "",
            "label": 0.0,
        }
    )
    for name, values in columns.items():
        clips[name] = [values[0], *values]
    return Corpus(f"{dataset}@x", datasets[dataset], "f", clips, {}, None, {})


def parts(found: Corpus, slicing: str) -> dict[str, list[int]]:
    """Part -> test clips in it, counted from 0."""
    return {
        one.part: [int(clip[1:-2]) - 1 for clip in one.ids]
        for one in slices_of(found, "test")
        if one.slicing == slicing
    }


def test_modalities_agree_conflict_or_neither() -> None:
    found = corpus(
        "sims",
        label_T=[1.0, -0.2, 0.0, 0.4, 0.0, np.nan],
        label_A=[0.2, -1.0, 0.0, -0.4, 0.6, 0.1],
        label_V=[0.6, -0.4, 0.0, 0.0, 0.2, 0.1],
    )
    assert parts(found, "conflict") == {"agree": [0, 1, 2], "conflict": [3], "mixed": [4]}
    assert parts(corpus("sims", label=[0.4, -1.0]), "conflict") == {}


def test_strength_ends_where_classes_do() -> None:
    labels = [0.0, -0.5, 0.6, 1.5, -1.6, 3.0]
    assert parts(corpus("mosi", label=labels), "strength") == {
        "neutral (to 0.5)": [0, 1],
        "weak (to 1.5)": [2, 3],
        "strong": [4, 5],
    }
    labels = [0.0, -0.1, 0.2, -0.7, 0.8, 1.0]
    assert [*parts(corpus("sims", label=labels), "strength").values()] == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.parametrize(
    ("text", "negated"),
    [
        ("I DONT LIKE IT", True),
        ("I don’t like it", True),
        ("there is nothing to see", True),
        ("a notable movie, I know", False),
        ("我不想去", True),
        ("不错，非常好", False),
        ("别人都来了", False),
        ("别走", True),
        ("特别好看", False),
        ("没有", True),
    ],
)
def test_negation_in_two_languages(text: str, negated: bool) -> None:
    found = parts(corpus(text=[text, "never", "fine", ""]), "negation")
    assert (0 in found["negated"]) == negated
    assert (0 in found["not negated"]) != negated
    assert 3 not in found["negated"] + found["not negated"]  # without a transcript, in neither


def test_source_videos_of_training_clips() -> None:
    found = corpus(video=["v0", "v2", "v0"])
    assert parts(found, "seen") == {"seen in training": [0, 2], "unseen": [1]}


def test_labels_of_an_earlier_dataset() -> None:
    found = corpus("simsv2", video=["video_0001", "aqgy3_0001", "video_0002"])
    assert parts(found, "provenance") == {"from CH-SIMS": [0, 2], "its own": [1]}
    assert parts(corpus("sims", video=["video_0001", "x", "y"]), "provenance") == {}


def test_lengths_are_thirds_of_the_split() -> None:
    words = ["one"] * 3 + ["one two three"] * 3 + ["one two three four, five!"] * 3
    found = parts(corpus(text=words), "text_length")
    assert [*found] == ["short (to 1 words)", "medium", "long (over 3 words)"]
    assert [*map(len, found.values())] == [3, 3, 3]
    seconds = parts(corpus(start=[0.0, 1.0, 2.0, 9.0], stop=[1.04, 3.0, 5.0, 8.0]), "duration")
    assert seconds == {"short (to 1 s)": [0], "medium": [1], "long (over 2 s)": [2]}


@given(st.lists(st.integers(0, 6).map(float) | st.just(float("nan")), min_size=1, max_size=40))
def test_thirds_never_part_equal_values_and_lose_none(values: list[float]) -> None:
    given_values = np.array(values)
    found = thirds(given_values, ("a", "b", "c"), "x")
    known = ~np.isnan(given_values)
    if found is None:
        assert not known.any()
        return
    assert ((found.place >= 0) == known).all()
    order = found.place[known][np.argsort(given_values[known], kind="stable")]
    assert (np.diff(order) >= 0).all()
    for value in set(given_values[known]):
        assert len(set(found.place[given_values == value])) == 1


def test_words_are_counted_without_marks() -> None:
    assert tokens("It's 5 o'clock -- 我想去，OK?") == ["It's", "5", "o'clock", *"我想去", "OK"]


def test_what_tells_nothing_is_absent_and_splits_are_checked() -> None:
    assert slices_of(corpus(), "test") == ()
    with pytest.raises(DataError, match="splits are"):
        slices_of(corpus(), "dev")


def test_definitions_are_sentences() -> None:
    for name, slicing in slicings.items():
        assert name == slicing.name
        assert slicing.definition
        assert not slicing.definition.endswith(".")


@pytest.mark.data
@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        ("sims", {"agree": 247, "conflict": 86, "mixed": 124}),
        ("simsv2", {"agree": 639, "conflict": 114, "mixed": 281}),
    ],
)
def test_the_real_sets(dataset: str, expected: dict[str, int]) -> None:
    file = research_data(dataset, "label.csv")
    found = assemble(label_csv.read(file, datasets[dataset]))
    sizes = Counter(
        {s.part: len(s.ids) for s in slices_of(found, "test") if s.slicing == "conflict"}
    )
    assert sizes == expected
