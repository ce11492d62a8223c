"""Labels of a split: the clips of that split, in their order, to six decimals from any source."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.datasets import datasets
from harness.data.labels import finest
from harness.data.rounding import rounded
from harness.data.split_labels import SplitLabels

MOSI = datasets["mosi"]
CLIPS = pd.DataFrame(
    {
        "id": ["b_1", "a_1", "b_2", "c_1"],
        "video": ["b", "a", "b", "c"],
        "split": ["test", "train", "test", "test"],
        "label": [np.float32(2 / 3), 1.0, -1.6, 0.0],
    }
)


def test_a_table_gives_the_clips_of_the_split_in_its_order() -> None:
    truth = SplitLabels.of_table(CLIPS, MOSI, "test")
    assert (truth.dataset, truth.split, len(truth)) == (MOSI, "test", 3)
    assert truth.ids == ("b_1", "b_2", "c_1")
    assert truth.videos.tolist() == ["b", "b", "c"]
    assert truth.labels.tolist() == [0.666667, -1.6, 0.0]
    assert list(truth.by_id.items()) == [("b_1", 0.666667), ("b_2", -1.6), ("c_1", 0.0)]
    assert list(truth.video_of.items()) == [("b_1", "b"), ("b_2", "b"), ("c_1", "c")]


def test_a_split_without_clips_is_empty() -> None:
    truth = SplitLabels.of_table(CLIPS, MOSI, "valid")
    assert (len(truth), truth.labels.dtype, truth.videos.dtype.kind) == (0, np.float64, "U")
    assert len(SplitLabels.of_clips({}, {}, MOSI, "valid").only([])) == 0


def test_some_of_the_clips_come_in_the_order_asked_for() -> None:
    truth = SplitLabels.of_table(CLIPS, MOSI, "test").only(["c_1", "b_1"])
    assert (truth.dataset, truth.split, truth.ids) == (MOSI, "test", ("c_1", "b_1"))
    assert (truth.videos.tolist(), truth.labels.tolist()) == (["c", "b"], [0.0, 0.666667])
    with pytest.raises(KeyError, match="b_2"):
        truth.only(["b_2"])


@given(st.dictionaries(st.text("abc_é情", min_size=1), st.floats(-3, 3)))
def test_tables_and_clips_give_the_same(labels: dict[str, float]) -> None:
    videos = {clip: clip.partition("_")[0] for clip in labels}
    table = pd.DataFrame(
        {"id": list(labels), "video": list(videos.values()), "split": "test"}, dtype=object
    ).assign(label=np.array(list(labels.values()), dtype=np.float64))
    one = SplitLabels.of_clips(labels, videos, MOSI, "test")
    other = SplitLabels.of_table(table, MOSI, "test")
    assert (one.by_id, one.video_of) == (other.by_id, other.video_of)


# Six decimals


@given(st.integers(-3_000_000, 3_000_000))
def test_a_label_is_one_number_however_it_was_kept(millionths: int) -> None:
    label = float(f"{millionths}e-6")
    kept = [label, round(label, 6), float(f"{label:.9f}"), label + 1e-9, finest([label, label])]
    assert set(rounded(kept).tolist()) == {label}


def test_a_float32_of_few_digits_is_its_decimal() -> None:
    labels = np.arange(-60, 61) * 0.05
    assert rounded(labels.astype(np.float32)).tolist() == [round(x, 2) for x in labels.tolist()]
