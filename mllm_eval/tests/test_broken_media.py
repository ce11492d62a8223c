"""Recordings that are missing, broken or cut to nothing: outcomes of their clips, of no other."""

from __future__ import annotations

import json
import sys

import pandas as pd
import pytest
from clips_on_disk import recordings

from harness.data.store import CorpusStore, Draft
from harness.errors import DataError
from harness.home import Home
from harness.runs.cell import execute
from harness.runs.executors import Done
from harness.runs.store import RunStore
from mllm_eval.explain.write import LONGEST_NOTE
from mllm_eval.media.clips import clips_of
from mllm_eval.media.sampling import look
from mllm_eval.tests.fake_server import serving

WHOLE, MISSING, BROKEN, CUT, EMPTY, UNSEEN = "d_0", "d_1", "e_0", "e_1", "f_0", "f_1"
IDS = ["a_0", "b_0", "c_0", "c_1", WHOLE, MISSING, BROKEN, CUT, EMPTY, UNSEEN]
SPLITS = ["train", "train", "valid", "valid", *["test"] * 6]
SIZE = ("--frames", 1, "--size", 32)
OUTCOMES = {
    "all": {WHOLE: "answered", MISSING: "answered", UNSEEN: "answered"},
    "vision": {WHOLE: "answered"},
    "audio": {WHOLE: "answered", UNSEEN: "answered"},
    "text": dict.fromkeys(IDS, "answered"),
}
"""Condition -> the test clips that are asked about; the others are counted."""


def draft():
    clips = pd.DataFrame(
        {
            "id": IDS,
            "video": [name[0] for name in IDS],
            "clip": [name[-1] for name in IDS],
            "split": SPLITS,
            "text": [f"I rather liked the one called {name}, you know." for name in IDS],
            "label": [1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 1.5, -1.5, 0.2, 1.0],
            "file": [f"{name}.mp4" if name != MISSING else "" for name in IDS],
            "start": [0.0] * 8 + [2.0, 0.0],
            "stop": [0.5] * 8 + [2.0, 0.5],
        }
    )
    return Draft(name="mosi@hurt", clips=clips, streams={}, manifest={})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A recording per clip but one: one is no recording, one breaks off, one is sound alone."""
    folder = recordings(tmp_path_factory.mktemp("media") / "clips", [])
    (folder / "manifest.csv").unlink()
    whole = (folder / "whole.mp4").read_bytes()
    for name in IDS:
        (folder / f"{name}.mp4").write_bytes(whole)
    (folder / f"{MISSING}.mp4").unlink()
    (folder / f"{BROKEN}.mp4").write_bytes(b"no film at all")
    (folder / f"{UNSEEN}.mp4").write_bytes((folder / "unseen.m4a").read_bytes())
    (folder / f"{CUT}.mp4").write_bytes(_without_frames(whole))
    return folder


def _without_frames(film):
    """The same container with nothing but zeros where its frames and samples are."""
    begin = film.index(b"mdat") + 4
    end = begin - 8 + int.from_bytes(film[begin - 8 : begin - 4], "big")
    return film[:begin] + bytes(end - begin) + film[end:]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("MSA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("harness.runs.executors.local.LocalExecutor", Here)
    home = Home(tmp_path / "home")
    home.suites.mkdir(parents=True)
    CorpusStore(home.corpora).add(draft())
    return home


class Here:
    """Carries jobs out in this process."""

    def __init__(self, workers, cell_timeout=None):
        self.workers = workers

    def run(self, jobs):
        for job in jobs:
            yield Done(job=job, record=execute(job))


@pytest.fixture
def msa(home, monkeypatch, capsys):
    from harness.cli import main

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["msa", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return call


def tells(body):
    """A number, a note, or the texts asked for."""
    if "response_format" in body:
        fields = body["response_format"]["json_schema"]["schema"]["required"]
        return json.dumps({field: "A fine thing to say." for field in fields})
    return "A calm and slow voice." if body["max_tokens"] == LONGEST_NOTE else "0.5"


@pytest.mark.parametrize("condition", OUTCOMES)
def test_run_asks_about_the_others_and_counts(msa, home, folder, condition):
    row = f'model = "m", condition = "{condition}", prompt = "en-direct", frames = 1, size = 32'
    (home.suites / "asked.toml").write_text(
        'corpora = ["mosi@hurt"]\nseeds = 1\nprotocol = { name = "zero_shot" }\n'
        f'[[systems]]\nname = "mllm"\nlabel = "M"\nparams = {{ {row} }}\n'
    )
    command = ("mllm", "run", "asked", "--only", "M", "--media", folder, "--server")
    with serving(tells) as server:
        code, said, errors = msa(*command, server.url)
    assert code == 0, errors
    assert "1 cells run" in said and "0 failed" in said
    (run,) = (run for run in RunStore(home.store) if run.spec.system == "mllm")
    expected = OUTCOMES[condition]
    counts = run.manifest.result.zero_shot.splits["test"]
    assert counts.outcomes["answered"] == sum(name in expected for name in IDS[4:])
    assert counts.outcomes["no_media"] == 6 - counts.outcomes["answered"]
    if counts.outcomes["no_media"]:
        lost = sorted(set(IDS[4:]) - expected.keys())
        assert f"no media {len(lost)}" in (home.boards / "asked.md").read_text()
    code, said, _ = msa(*command, "http://127.0.0.1:9/v1")
    assert (code, "1 already stored" in said) == (0, True)


def test_a_fault_names_clip_and_file_without_folders(folder):
    clips = {clip.id: clip for clip in clips_of(draft().clips, folder)}
    faults = {name: look(clips[name], "all").fault for name in IDS}
    assert {name for name, fault in faults.items() if fault} == {BROKEN, EMPTY}
    assert faults[EMPTY] == "clip f_0 stops at 2 s, not after its start at 2 s"
    assert faults[BROKEN].startswith("clip e_0: ") and str(folder) not in faults[BROKEN]
    assert "expected vision to show" in look(clips[UNSEEN], "vision").fault
    assert look(clips[BROKEN], "text").shown == ("text",)


def test_clips_of_which_none_can_be_shown_are_no_survey(msa, home, tmp_path):
    (home.suites / "asked.toml").write_text(
        'corpora = ["mosi@hurt"]\nseeds = 1\nprotocol = { name = "zero_shot" }\n'
        '[[systems]]\nname = "mllm"\nlabel = "M"\n'
        'params = { model = "m", condition = "audio", prompt = "en-direct" }\n'
    )
    (tmp_path / "none").mkdir()
    for name in IDS:
        (tmp_path / "none" / f"{name}.mp4").write_bytes(b"no film at all")
    with serving(tells) as server:
        msa(*("mllm", "run", "asked", "--server", server.url, "--media", tmp_path / "none"))
        assert not server.bodies
    assert "none of the clips can be shown" in (home.boards / "asked.md").read_text()


def test_explain_goes_on_and_counts(msa, home, folder):
    with serving(tells) as server:
        code, out, errors = msa(
            *("mllm", "explain", "mosi@hurt", "--server", server.url, "--model", "m"),
            *("--as", "told", "--media", folder, *SIZE, "--json"),
        )
    assert code == 0, errors
    outcomes = json.loads(out)["explanations"]["outcomes"]
    assert outcomes["visual_clue"] == {"told": 5, "no_media": 3, "absent": 2}
    assert outcomes["audio_clue"] == {"told": 6, "no_media": 3, "absent": 1}


def test_probe_goes_on_and_counts(msa, home, folder):
    with serving(tells) as server:
        code, out, errors = msa(
            *("mllm", "probe", "mosi@hurt", "--server", server.url, "--model", "m"),
            *("--media", folder, *SIZE, "--json"),
        )
    assert code == 0, errors
    outcomes = json.loads(out)["outcomes"]
    assert outcomes["text"] == {"answered": 6}
    assert outcomes["all"] == {"answered": 3, "no_media": 3}  # whole, missing, unseen
    assert outcomes["no_vision"]["no_media"] == 3


def test_canary_takes_clips_that_can_be_shown(msa, home, folder):
    with serving(tells) as server:
        code, out, errors = msa(
            *("mllm", "canary", "qwen2.5-omni-7b", "--server", server.url, "--media", folder),
            *("--corpus", "mosi@hurt", "--reference", "none", "--prompt", "en-direct", *SIZE),
        )
    assert "found one of m" in errors and code == 2  # it is asked under its card's name
    with serving(tells) as server:
        server.model = "qwen2.5-omni-7b"
        code, out, errors = msa(
            *("mllm", "canary", "qwen2.5-omni-7b", "--server", server.url, "--media", folder),
            *("--corpus", "mosi@hurt", "--reference", "none", "--prompt", "en-direct", *SIZE),
        )
    assert server.bodies and "order" in out, errors


def test_a_missing_decoder_is_no_outcome(folder, monkeypatch):
    from harness.errors import MissingExtra

    def absent(name):
        raise MissingExtra(f"{name} is not installed")

    clip = next(c for c in clips_of(draft().clips, folder) if c.id == WHOLE)
    monkeypatch.setattr("harness.data.media.decode.load", absent)
    with pytest.raises(MissingExtra):
        look(clip, "all")
    assert not issubclass(MissingExtra, DataError)
