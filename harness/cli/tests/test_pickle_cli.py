"""Feature pickles on the command line: what is read, and one clear error for what is not."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

SPLITS = {"train": 3, "valid": 2, "test": 2}


def features() -> dict[str, dict[str, object]]:
    draw = np.random.default_rng(0)
    return {
        split: {
            "id": [f"{split}$_${row}" for row in range(n)],
            "raw_text": [f"words {row}" for row in range(n)],
            "audio": draw.uniform(1, 2, (n, 4, 3)).astype(np.float32),
            "regression_labels": np.linspace(-1, 1, n),
        }
        for split, n in SPLITS.items()
    }


def mag_bert() -> dict[str, list[object]]:
    return {
        {"valid": "dev"}.get(split, split): [
            ((["so", "it", "is"][: row + 1], np.ones((row + 1, 4)), np.ones((row + 1, 3))), 0.5, i)
            for row, i in enumerate(f"{split}[{row}]" for row in range(n))
        ]
        for split, n in SPLITS.items()
    }


def ragged() -> dict[str, dict[str, object]]:
    file = features()
    for split, n in SPLITS.items():
        file[split]["audio"] = [np.ones((row + 1, 3)) for row in range(n)]
    return file


def at_the_front() -> dict[str, dict[str, object]]:
    file = features()
    audio = file["train"]["audio"]
    assert isinstance(audio, np.ndarray)
    audio[0, :2] = 0
    return file


def gaps() -> dict[str, dict[str, object]]:
    file = features()
    file["train"]["raw_text"] = ["words", None, float("nan")]
    return file


def write(folder: Path, content: object) -> Path:
    path = folder / "features.pkl"
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, 4))
    return path


READ = {
    "MAG-BERT's layout": (mag_bert, ["--layout", "mag-bert"], "audio 3x3, vision 3x4"),
    "one array per clip": (ragged, ["--pad"], "audio 3x3"),
    "arrays already padded": (features, ["--pad"], "audio 4x3"),
    "MMSA's layout by name": (features, ["--layout", "mmsa"], "audio 4x3"),
    "texts that are not there": (gaps, [], "audio 4x3"),
}


@pytest.mark.parametrize("case", READ)
def test_a_feature_file_is_read(msa, tmp_path, case) -> None:
    make, options, streams = READ[case]
    path = write(tmp_path, make())
    code, text, _ = msa("data", "add", path, "--dataset", "mosi", "--feature-set", "x", *options)
    assert code == 0
    assert text.splitlines()[1] == f"streams: {streams}"


def test_what_was_done_can_be_looked_up(msa, tmp_path) -> None:
    path = write(tmp_path, at_the_front())
    assert msa("data", "add", path, "--dataset", "mosi", "--feature-set", "x")[0] == 0
    code, text, _ = msa("data", "info", "mosi@x", "--json")
    assert code == 0
    audio = json.loads(text)["manifest"]["streams"]["audio"]
    assert (audio["moved_clips"], audio["padding"]) == (1, "front in some clips, moved to the end")


REFUSED = {
    "MAG-BERT's layout": (mag_bert, [], "MAG-BERT's layout", "--layout mag-bert"),
    "one array per clip": (ragged, [], "frames differ per clip: 1 to 3", "--pad"),
    "an unknown layout": (features, ["--layout", "mult"], "layouts are mmsa, mag-bert", ""),
    "a set": (lambda: {"train": {1, 2}}, [], "EMPTY_SET", "convert sets to lists"),
    "a web page": (lambda: b"<html>", [], "a web page", "download the file again"),
    "an archive": (lambda: b"PK\x03\x04", [], "a zip archive", "unpack it"),
    "a split that is missing": (
        lambda: {"train": {}, "test": {}},
        [],
        "found test, train: valid missing",
        "dev and val",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_another_file_is_one_clear_error(msa, tmp_path, case) -> None:
    make, options, message, hint = REFUSED[case]
    path = write(tmp_path, make())
    code, _, error = msa("data", "add", path, "--dataset", "mosi", "--feature-set", "x", *options)
    assert code == 2
    assert message in " ".join(error.split())
    assert hint in " ".join(error.split())
    assert "Traceback" not in error


@pytest.mark.parametrize("options", [["--pad"], ["--layout", "mag-bert"]])
def test_label_files_have_no_arrays(msa, tmp_path, options) -> None:
    path = tmp_path / "label.csv"
    path.write_text("video_id,clip_id,text,label,mode\na,1,yes,1,train\n")
    code, _, error = msa("data", "add", path, "--dataset", "mosi", *options)
    assert code == 2
    assert "are for feature pickles" in error
