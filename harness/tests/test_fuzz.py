"""A thousand damaged inputs: each is read, or refused with a deliberate error; never a traceback.

Hypothesis damages a valid file: bytes changed, cut, repeated, inserted. What the reader then raises
must be one of the errors that the command line turns into a line and an exit code.
"""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.data.datasets import datasets
from harness.data.readers import label_csv, mmsa_pickle
from harness.data.readers.predictions import read_predictions
from harness.errors import HarnessError
from harness.spec import Suite
from harness.submissions.manifest import SubmissionManifest

EXAMPLES = 250  # of each format; four of them

CSV = (
    "video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode\n"
    'a,1,"well, yes",1.5,,,,Positive,train\nb,1,no,-2,,,,Negative,valid\nb,2,so,0,,,,Neutral,test\n'
)
JSONL = '{"id": "a_1", "pred": 0.5, "seed": 1}\n{"id": "b_1", "pred": -1, "seed": 1}\n'
PREDICTIONS = "id,pred,seed\na_1,0.5,1\nb_1,-1.25,1\n"
TOML = """
title = "Small"
corpora = ["mosi-twin@compact-x5"]
seeds = [1, 2]
[protocol]
name = "in_domain"
max_epochs = 2
[defaults]
lr = 0.001
[[systems]]
name = "tfn"
label = "TFN, 小"
params = { hidden = 3 }
"""


def features() -> bytes:
    content = {
        "raw_text": ["yes", "no"],
        "text": np.ones((2, 3, 4), dtype="f4"),
        "text_bert": np.ones((2, 3, 3), dtype="f4"),
        "audio": np.ones((2, 3, 2), dtype="f4"),
        "vision": np.ones((2, 3, 2), dtype="f4"),
        "audio_lengths": [3, 2],
        "vision_lengths": [3, 3],
        "regression_labels": np.array([1.0, -1.0], dtype="f4"),
        "annotations": ["Positive", "Negative"],
    }
    splits = ("train", "valid", "test")
    return pickle.dumps({s: {"id": [f"a$_${s}", f"b$_${s}"], **content} for s in splits}, 4)


edits = st.lists(
    st.tuples(
        st.sampled_from(["change", "cut", "insert", "repeat", "end"]),
        st.floats(0, 1, exclude_max=True),
        st.binary(min_size=1, max_size=6),
    ),
    min_size=1,
    max_size=5,
)


def damage(content: bytes, changes: list[tuple[str, float, bytes]]) -> bytes:
    for kind, where, piece in changes:
        at = int(where * len(content))
        size = len(piece)
        content = {
            "change": content[:at] + piece + content[at + size :],
            "cut": content[:at] + content[at + size :],
            "insert": content[:at] + piece + content[at:],
            "repeat": content[:at] + content[at : at + 40] * 3 + content[at + 40 :],
            "end": content[:at],
        }[kind]
    return content


def read_pickle(path: Path) -> None:
    mmsa_pickle.read(path, datasets["mosi"], "small")


def read_labels(path: Path) -> None:
    label_csv.read(path, datasets["mosi"])


def read_toml(path: Path) -> None:
    with contextlib.suppress(HarnessError):
        Suite.load(path)
    SubmissionManifest.load(path, default="mine")


FORMATS: dict[str, tuple[str, bytes, list[Callable[[Path], object]]]] = {
    "pickle": ("pkl", features(), [read_pickle]),
    "csv": ("csv", CSV.encode(), [read_labels, read_predictions]),
    "jsonl": ("jsonl", JSONL.encode(), [read_predictions]),
    "toml": ("toml", TOML.encode(), [read_toml]),
}


@pytest.mark.parametrize("name", FORMATS)
def test_the_undamaged_file_is_read(tmp_path: Path, name: str) -> None:
    suffix, content, readers = FORMATS[name]
    path = tmp_path / f"file.{suffix}"
    path.write_bytes(content)
    if name == "toml":
        assert Suite.load(path).title == "Small"
    elif name == "csv":
        read_labels(path)
        path.write_text(PREDICTIONS)
        assert len(read_predictions(path)) == 2
    else:
        readers[0](path)


@pytest.mark.parametrize("name", FORMATS)
def test_a_damaged_file_is_read_or_refused(tmp_path_factory, name: str) -> None:
    suffix, content, readers = FORMATS[name]
    path = tmp_path_factory.mktemp("fuzz") / f"file.{suffix}"

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(edits)
    def try_all(changes) -> None:
        path.write_bytes(damage(content, changes))
        for reader in readers:
            with contextlib.suppress(HarnessError):
                reader(path)

    try_all()
