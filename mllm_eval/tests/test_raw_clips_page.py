"""The commands of the page "From raw clips to TEXT", run as they stand there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pandas as pd
import pytest

from harness.data.corpus import EXPLANATIONS
from harness.data.store import CorpusStore
from harness.home import Home
from harness.runs.store import RunStore
from harness.tests.research import research_data
from mllm_eval.server import process

PAGE = Path(__file__).parents[2] / "docs" / "pages" / "raw_clips.md"
ADDRESS = "http://127.0.0.1:8000/v1"
MODEL = "smollm2-135m-q4"


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL)


def calls() -> list[list[str]]:
    """The commands that a machine without a GPU can run, in order, the server's among them."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    ours = [shlex.split(line) for line in lines if line.startswith("msa ")]
    return [words for words in ours if "qwen2.5-omni-7b" not in words]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """``label.csv`` and ``clips/`` of thirteen MOSEI clips, and the page's suite.

    A weak model explains one clip in six. Twenty training clips without a recording are among them,
    so that there is something to train on.
    """
    table = pd.read_csv(research_data("raw_media", "manifest.csv"), dtype=str)
    table = table[table["dataset"] == "mosei"]
    labels = pd.read_csv(research_data("mosei", "label.csv"), dtype=str)
    here = (labels["video_id"] + "_" + labels["clip_id"]).isin(table["id"])
    short = labels["text"].str.len().between(30, 60) & (labels["mode"] == "train") & ~here
    here = pd.concat([labels[here], labels[short].head(20)])
    (tmp_path / "clips").mkdir()
    here.to_csv(tmp_path / "label.csv", index=False)
    table[["id", "file", "start", "stop"]].to_csv(tmp_path / "clips/manifest.csv", index=False)
    for name in table["file"].unique():
        shutil.copy(research_data("raw_media", name), tmp_path / "clips" / name)
    (suite,) = blocks("toml")
    (tmp_path / "explained.toml").write_text(suite, "utf-8")
    monkeypatch.setenv("MSA_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def msa(words: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "harness", *words[1:]],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    expected = 1 if words[1:3] == ["data", "check"] else 0  # so few clips are no whole MOSEI
    assert done.returncode == expected, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_page_names_its_steps_in_order():
    verbs = [words[1:3] if words[1] in ("data", "mllm") else words[1:2] for words in calls()]
    assert verbs == [
        *(["data", "add"], ["data", "check"], ["data", "check"], ["extract"]),
        *(["mllm", "serve"], ["mllm", "explain"], ["run"], ["board"]),
    ]


@pytest.mark.vllm
@pytest.mark.slow
def test_the_page_runs_from_clips_to_a_board(folder):
    for package in ("opensmile", "mediapipe"):
        pytest.importorskip(package)
    if not os.environ.get("MSA_SERVER_CACHE"):
        pytest.skip("real servers are tested by: tox -e vllm")
    port = process._free_port("127.0.0.1", 0)
    address, told, serving = f"http://127.0.0.1:{port}/v1", {}, None
    try:
        for words in calls():
            if words[1:3] == ["mllm", "serve"]:
                command = [sys.executable, "-m", "harness", *words[1:], f"--port={port}"]
                serving = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
                # It says that it is ready in its first line; a server that cannot start says none.
                assert serving.stdout is not None and serving.stdout.readline()
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=30).close()
                continue
            words = [address if word == ADDRESS else word for word in words]
            told[" ".join(words[1:3])] = msa(words)
    finally:
        if serving is not None:
            serving.terminate()
            serving.wait(timeout=60)
    assert "leak gate: " in told["mllm explain"]
    home = Home(folder / "home")
    board = next((folder / "home" / "boards").glob("explained.md")).read_text("utf-8")
    assert "### Side information: transcript_llm" in board
    runs = {(run.spec.system, run.spec.protocol.side_info) for run in RunStore(home.store)}
    assert ("text", "none") in runs
    # What nobody explained for training cannot be learned from, which the board says.
    clips = CorpusStore(home.corpora).load("mosei@imagined").clips
    train = clips[clips["split"] == "train"]
    learned = all((train[name] != "").any() for name in EXPLANATIONS)
    assert (("text", "transcript_llm") in runs) is learned
