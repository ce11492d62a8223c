"""Small files that unfold are refused in a moment, and files of real sizes are read."""

from __future__ import annotations

import json
import os
import pickle
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness import data
from harness._util.budget import FLOOR, Budget, memory_allowed, size_of
from harness.data.readers import explanations, label_csv, mmsa_pickle
from harness.data.readers.predictions import read_predictions, read_predictions_table
from harness.data.tests import bombs
from harness.data.tests.bombs import BOMBS, MOSI
from harness.errors import DataError, HarnessError, SpecError, SubmissionError
from harness.home import Home
from harness.spec import Suite
from harness.submissions.manifest import SubmissionManifest
from harness.submissions.tables.means import read_published
from harness.submissions.tables.seeds import read_seed_table
from text_model.checkpoint import load_published

pytestmark = pytest.mark.xdist_group("bombs")  # all are read once, by one process

REFUSALS = {"DataError", "SubmissionError", "SpecError"}
PATIENCE = 4  # seconds of a loaded processor; an idle one takes half of it


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> dict[str, dict[str, object]]:
    folder = tmp_path_factory.mktemp("bombs")
    done = subprocess.run(
        [sys.executable, "-m", "harness.data.tests.bombs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return {found["name"]: found for found in map(json.loads, done.stdout.splitlines())}


@pytest.mark.slow
@pytest.mark.xdist_group("bombs")  # one process tries them all
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_a_moment(outcomes, name):
    found = outcomes[name]
    assert found["kind"] in REFUSALS, found
    assert BOMBS[name].says in found["text"]
    assert len(found["text"]) < 500
    assert found["memory"] < FLOOR, f"{found['memory'] >> 20} MiB"
    assert found["seconds"] < PATIENCE


# What is no file


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the address of a socket has 100 characters
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)


READERS: dict[str, Callable[[Path], object]] = {
    "x.pkl": lambda path: mmsa_pickle.read(path, MOSI, "new"),
    "added.pkl": lambda path: data.add(path, "mosi", home=Home(path.parent)),
    "added.csv": lambda path: data.add(path, "mosi", home=Home(path.parent)),
    "labels.csv": lambda path: label_csv.read(path, MOSI),
    "x.csv": read_predictions,
    "x.jsonl": read_predictions,
    "x.parquet": read_predictions,
    "explanations.jsonl": lambda path: explanations.read(path, twin(path)),
    "seeds.csv": read_seed_table,
    "means.csv": read_published,
    "manifest.toml": lambda path: SubmissionManifest.load(path, default="x"),
    "manifest.json": lambda path: SubmissionManifest.load(path, default="x"),
    "suite.toml": Suite.load,
    "checkpoint.pth": lambda path: load_published(path, "mosi"),
}
NO_FILES = {"a device": device, "a pipe": pipe, "a folder": Path.mkdir, "a socket": unix_socket}


def twin(path: Path) -> data.corpus.Corpus:
    return data.load("mosi-twin@compact-x5", Home(path.parent / "home"))


@pytest.mark.parametrize("file", READERS)
@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_file_is_refused_by_its_kind(tmp_path, file, kind):
    path = tmp_path / file
    NO_FILES[kind](path)
    with pytest.raises(HarnessError, match=rf"{kind}(:|$)") as caught:
        READERS[file](path)
    assert caught.value.exit_code == 2


def test_a_link_to_a_file_is_read(tmp_path):
    (tmp_path / "there.csv").write_text("id,pred\nv_1,0.5\n")
    link = tmp_path / "here.csv"
    link.symlink_to("there.csv")
    assert read_predictions(link)["pred"].tolist() == [0.5]


def test_a_file_that_is_longer_than_it_says_is_refused(tmp_path):
    """As those of /proc, which say that they are empty."""
    with pytest.raises(SubmissionError, match="more bytes than its size says"):
        link = tmp_path / "x.csv"
        link.symlink_to("/proc/self/status")
        read_predictions(link)


# The rule


@pytest.mark.parametrize(
    ("size", "free", "allowed", "why"),
    [
        (0, 8, 512 << 20, "at least"),
        (16 << 20, 0, 512 << 20, "at least"),  # nobody is asked for what is free
        (100 << 20, 8, 3200 << 20, "32 times"),
        (100 << 20, 2, 2 << 30, "free"),
        (10 << 30, 64, 16 << 30, "most for one file"),
    ],
)
def test_what_a_file_may_take(monkeypatch, size, free, allowed, why):
    memory = type("", (), {"available": free << 30})()
    monkeypatch.setattr("psutil.virtual_memory", lambda: memory)
    budget = Budget("x", size)
    assert budget.allowed == allowed
    assert why in budget.why


def test_a_refusal_says_what_was_declared_allowed_and_to_be_done():
    budget = Budget("x.pkl", 1536, SubmissionError)
    budget.spend(FLOOR - 1)
    with pytest.raises(SubmissionError) as caught:
        budget.spend(3 << 30, "audio")
    assert str(caught.value) == (
        "x.pkl (1.5 KiB) needs 3.5 GiB of memory or more with audio;"
        " allowed are 512 MiB (32 times its size, 512 MiB at least)"
    )
    assert caught.value.hint is not None
    assert "--memory 4G" in caught.value.hint


def test_what_is_lent_comes_back():
    budget = Budget("x", 0)
    for _ in range(3):
        with budget.lent(FLOOR, "a copy"):
            assert budget.left == 0


def test_more_is_allowed_by_a_block_and_by_the_environment(monkeypatch):
    with memory_allowed("2G"):
        assert Budget("x", 0).allowed == 2 << 30
        with memory_allowed(5):
            assert Budget("x", 0).allowed == 5
    assert Budget("x", 0).allowed == FLOOR
    monkeypatch.setenv("MSA_MEMORY", "3G")
    assert Budget("x", 0).allowed == 3 << 30
    with memory_allowed("4G"):
        assert Budget("x", 0).allowed == 4 << 30


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("2k", 2048), ("1.5 GiB", 3 << 29), ("512MB", FLOOR), (" 4G ", 4 << 30)],
)
def test_sizes_are_read(text, size):
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1G", "1e9", "4 apples", "1P", "9" * 99, "nan", "٤G"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(SpecError, match="a size is"):
        size_of(text)


def test_allowed_more_a_bomb_is_read(tmp_path):
    """The option opens every charge of a reader, not the first one alone."""
    file = bombs.features(audio=[np.ones((400, 50), np.float32), np.ones((1, 50), np.float32)])
    for name in ("valid", "test"):
        file[name]["audio"] = [np.ones((1, 50), np.float32)] * 2
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(file))
    with memory_allowed("256K"), pytest.raises(DataError, match="padded to 400 frames"):
        mmsa_pickle.read(path, MOSI, "new", pad=True)
    with memory_allowed("2M"):
        draft = mmsa_pickle.read(path, MOSI, "new", pad=True)
    assert draft.streams["audio"].values.shape == (6, 400, 50)


def test_a_message_is_bounded_whatever_it_names():
    for size in (4000, 4001, 10**7):
        error = DataError("begin" + "x" * size + "end", hint="y" * size)
        assert len(str(error)) <= 4000
        assert re.match(r"beginx+.*x+end$", str(error))
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


# Files of real sizes


def real_file(path: Path) -> None:
    """As ``unaligned_50.pkl`` of CMU-MOSI, by formula."""
    draw = np.random.default_rng(0)
    content = {}
    for name, n in {"train": 1284, "valid": 229, "test": 686}.items():
        tokens = np.zeros((n, 3, 50), np.float32)
        tokens[:, :2, :30] = 1
        content[name] = {
            "id": [f"{name}{row // 20:08d}$_${row % 20}" for row in range(n)],
            "raw_text": np.array([f"some words of clip {row}" for row in range(n)]),
            "text": draw.standard_normal((n, 50, 768), dtype=np.float32),
            "audio": draw.standard_normal((n, 50, 5)),
            "vision": draw.standard_normal((n, 50, 20)),
            "text_bert": tokens,
            "audio_lengths": [50] * n,
            "vision_lengths": [50] * n,
            "annotations": ["Positive"] * n,
            **{f"{key}_labels": draw.uniform(-3, 3, n) for key in ("classification", "regression")},
        }
    path.write_bytes(pickle.dumps(content, 4))


@pytest.mark.slow
def test_a_file_of_real_size_is_read(tmp_path):
    path = tmp_path / "unaligned_50.pkl"
    real_file(path)
    draft = mmsa_pickle.read(path, MOSI, "big")
    assert {name: s.values.shape for name, s in draft.streams.items()} == {
        "text": (2199, 50, 768),
        "audio": (2199, 50, 5),
        "vision": (2199, 50, 20),
    }


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_many_predictions_are_read(tmp_path, kind):
    """Ten runs of the 4,659 test clips of CMU-MOSEI under five conditions."""
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(
        [
            (f"video{clip // 7:07d}_{clip % 7}", seed, f"noise=0.{condition}")
            for condition in range(1, 6)
            for seed in range(10)
            for clip in range(4659)
        ],
        columns=["id", "seed", "condition"],
    ).assign(pred=lambda frame: draw.standard_normal(len(frame)))
    path = tmp_path / f"x.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)
    assert len(read_predictions_table(path).frame) == 232_950
