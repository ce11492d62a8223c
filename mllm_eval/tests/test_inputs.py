"""A card's inputs decide what is sent, whoever asks; what a card lacks is refused unasked."""

from __future__ import annotations

import contextlib
import json
import logging
import sys

import pandas as pd
import pytest
from clips_on_disk import recordings

from harness.data.store import CorpusStore, Draft
from harness.errors import SpecError
from harness.home import Home
from harness.runs.executors import Done
from harness.runs.store import RunStore
from harness.spec.protocols import protocols
from harness.system import Task
from mllm_eval.explain.write import LONGEST_NOTE
from mllm_eval.model.card import known, models
from mllm_eval.tests.fake_server import serving
from mllm_eval.zero_shot.system import MLLM, MLLMParams, pins

IDS = ["a_0", "b_0", "c_0", "c_1", "d_0", "d_1"]
SPLITS = ["train", "train", "valid", "valid", "test", "test"]
SEES, HEARS, READS = "qwen2.5-vl-7b", "qwen2-audio-7b", "smollm2-135m"
FRAMES, SOUND = "image_url", "input_audio"
TAKES = {
    SEES: {FRAMES},
    "internvl3.5-8b": {FRAMES},
    "qwen3-vl-8b": {FRAMES},
    "Qwen/Qwen2.5-VL-7B-Instruct": {FRAMES},
    HEARS: {SOUND},
    READS: set(),
    "qwen2.5-omni-7b": {FRAMES, SOUND},
    "somebody/unheard-of": {FRAMES, SOUND},
}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def draft():
    clips = pd.DataFrame(
        {
            "id": IDS,
            "video": [name[0] for name in IDS],
            "clip": [name[-1] for name in IDS],
            "split": SPLITS,
            "text": [f"I rather liked the one called {name}, you know." for name in IDS],
            "label": [1.0, -1.0, 0.5, -0.5, 2.0, -2.0],
        }
    )
    return Draft(name="mosi@shown", clips=clips, streams={}, manifest={})


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return CorpusStore(tmp_path_factory.mktemp("corpora")).add(draft())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Sound and pictures of every clip; of the last one pictures alone."""
    return recordings(tmp_path_factory.mktemp("media") / "clips", IDS, silent=IDS[-1:])


def tells(body):
    """A number, a note, or the texts asked for."""
    if "response_format" in body:
        fields = body["response_format"]["json_schema"]["schema"]["required"]
        return json.dumps({field: "A fine thing to say." for field in fields})
    return "A calm and slow voice." if body["max_tokens"] == LONGEST_NOTE else "0.5"


def media_of(bodies):
    """Kinds of media parts in any of the requests."""
    found = [body["messages"][-1]["content"] for body in bodies]
    parts = [part for content in found if isinstance(content, list) for part in content]
    return {part["type"] for part in parts} - {"text"}


@contextlib.contextmanager
def named(model):
    """A fake that knows a model of this name."""
    with serving(tells) as fake:
        fake.model = model
        yield fake


def params_of(server, folder, **changes):
    given = {"model": server.model, "server": server.url, "prompt": "en-direct"}
    shown = {"media": str(folder), "frames": 1, "size": 32}
    return MLLMParams(**{**given, **shown, **changes})


def fitted(corpus, params, cache):
    task = Task(
        train=corpus.split("train"),
        valid=corpus.split("valid"),
        watched=corpus.split("test"),
        protocol=protocols["zero_shot"],
        seed=0,
        device=None,
        encoder=None,
        cache=cache,
    )
    return MLLM.fit(task, params)


def test_what_cards_take_is_what_they_say():
    senses = {name: card.senses for name, card in models.items()}
    assert senses[SEES] == {"vision"} and senses[HEARS] == {"audio"} and senses[READS] == set()
    for name, card in models.items():
        assert ("vision" in senses[name]) == ("image" in card.inputs)
        assert ("audio" in senses[name]) == ("audio" in card.inputs)
    assert known("Qwen/Qwen2.5-VL-7B-Instruct") is models[SEES]
    assert known("somebody/unheard-of") is None and known("") is None


@pytest.mark.parametrize("model", TAKES)
def test_all_shows_what_the_model_takes(corpus, folder, tmp_path, caplog, model):
    with named(model) as server, caplog.at_level(logging.WARNING):
        found = fitted(corpus, params_of(server, folder), tmp_path)
    assert media_of(server.bodies) == TAKES[model]
    names = {FRAMES: "vision", SOUND: "audio"}
    senses = [names[kind] for kind in (FRAMES, SOUND) if kind in TAKES[model]]
    shown = found.answers.set_index("id")["shown"]
    assert shown["d_0"] == "+".join((*senses, "text"))
    assert shown["d_1"] == "+".join((*(s for s in senses if s == "vision"), "text"))
    for sense in {"vision", "audio"} - set(senses):
        assert sense in caplog.text and "its card takes no" in caplog.text
    frames = found.report["zero_shot"]["frames"]
    assert (frames == "none") == (FRAMES not in TAKES[model])


@pytest.mark.parametrize(
    ("model", "condition", "lacking"),
    [
        (SEES, "audio", "audio"),
        ("internvl3.5-8b", "audio", "audio"),
        ("Qwen/Qwen2.5-VL-7B-Instruct", "audio", "audio"),
        (HEARS, "vision", "image"),
        (READS, "vision", "image"),
        (READS, "audio", "audio"),
    ],
)
def test_a_sense_that_the_card_lacks_is_refused_before_anything_is_asked(
    corpus, folder, tmp_path, model, condition, lacking
):
    with named(model) as server:
        params = params_of(server, folder, condition=condition)
        for refused in (
            lambda: pins(params, corpus, tmp_path),
            lambda: fitted(corpus, params, tmp_path),
        ):
            with pytest.raises(SpecError) as caught:
                refused()
            for told in (known(model).name, "prompt en-direct", f"not {lacking}", condition):
                assert told in str(caught.value)
        assert not server.bodies
    assert not (tmp_path / "mllm").exists(), "the server was not even asked for its models"


def test_the_identity_covers_what_is_shown_alone(corpus, folder, tmp_path):
    with named(SEES) as server:
        sees = pins(params_of(server, folder), corpus, tmp_path)["media"]
        assert (
            pins(params_of(server, folder, condition="vision"), corpus, tmp_path)["media"] == sees
        )
    with named("qwen2.5-omni-7b") as server:
        assert pins(params_of(server, folder), corpus, tmp_path)["media"] != sees


# By the commands.


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MSA_HOME", str(tmp_path / "home"))
    home = Home(tmp_path / "home")
    home.suites.mkdir(parents=True)
    CorpusStore(home.corpora).add(draft())
    return home


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


SIZE = ("--frames", 1, "--size", 32)


@pytest.mark.parametrize(("condition", "code"), [("all", 0), ("audio", 2)])
def test_run(msa, home, folder, monkeypatch, condition, code):
    from harness.runs.cell import execute

    class Here:
        def __init__(self, workers, cell_timeout=None):
            self.workers = workers

        def run(self, jobs):
            for job in jobs:
                yield Done(job=job, record=execute(job))

    monkeypatch.setattr("harness.runs.executors.local.LocalExecutor", Here)
    row = (
        f'model = "{SEES}", condition = "{condition}", prompt = "en-direct", frames = 1, size = 32'
    )
    (home.suites / "asked.toml").write_text(
        'corpora = ["mosi@shown"]\nseeds = 1\nprotocol = { name = "zero_shot" }\n'
        f'[[systems]]\nname = "mllm"\nparams = {{ {row} }}\n'
    )
    with named(SEES) as server:
        found, _, errors = msa(
            *("mllm", "run", "asked", "--server", server.url, "--media", folder, "--only", "mllm")
        )
        assert found == code, errors
        assert media_of(server.bodies) == ({FRAMES} if code == 0 else set())
    stored = [run for run in RunStore(home.store) if run.spec.system == "mllm"]
    assert len(stored) == (1 if code == 0 else 0)
    if code:
        assert not server.bodies
        assert f"model {SEES} takes text, image, video, not audio" in errors
        assert "condition audio of prompt en-direct" in errors


@pytest.mark.parametrize("model", [name for name in TAKES if TAKES[name]])
def test_explain(msa, home, folder, model):
    with named(model) as server:
        code, out, errors = msa(
            *("mllm", "explain", "mosi@shown", "--server", server.url, "--model", model),
            *("--as", "told", "--media", folder, *SIZE, "--json"),
        )
        assert code == 0, errors
        assert media_of(server.bodies) == TAKES[model]
    outcomes = json.loads(out)["explanations"]["outcomes"]
    heard, seen = SOUND in TAKES[model], FRAMES in TAKES[model]
    assert outcomes["audio_clue"] == (
        {"told": 5, "absent": 1} if heard else {"withheld": 5, "absent": 1}
    )
    assert outcomes["visual_clue"] == ({"told": 6} if seen else {"withheld": 6})
    assert f"sound of {5 * heard}, frames of {6 * seen}" in errors


@pytest.mark.parametrize("model", TAKES)
def test_probe(msa, home, folder, model):
    shown = ("--media", folder) if TAKES[model] else ()
    with named(model) as server:
        code, out, errors = msa(
            *("mllm", "probe", "mosi@shown", "--server", server.url, "--model", model),
            *(*shown, *SIZE, "--json"),
        )
        assert code == 0, errors
        assert media_of(server.bodies) == TAKES[model]
    outcomes = json.loads(out)["outcomes"]
    assert sum(outcomes["audio"].values()) == (1 if SOUND in TAKES[model] else 0)
    assert sum(outcomes["no_vision"].values()) == (2 if FRAMES in TAKES[model] else 0)
    assert sum(outcomes["no_audio"].values()) == (1 if SOUND in TAKES[model] else 0)


@pytest.mark.parametrize(
    ("model", "command", "asker"),
    [
        (SEES, ("probe", "--only", "hearing"), "probe hearing with prompt en-direct"),
        (READS, ("probe", "--only", "swap"), "probe swap with prompt en-direct"),
        (READS, ("probe", "--only", "blank"), "probe blank with prompt en-direct"),
        (READS, ("probe", "--media", "{folder}"), "--media with prompt en-direct"),
        (READS, ("explain", "--as", "x", "--media", "{folder}"), "--media with prompt explain-en"),
        (READS, ("canary", "--media", "{folder}"), "--media with prompt en-levels"),
    ],
)
def test_what_a_card_lacks_is_refused_by_every_command(msa, folder, model, command, asker):
    name, *options = (str(word).format(folder=folder) for word in command)
    target = (model,) if name == "canary" else ("mosi@shown", "--model", model)
    if name == "canary":
        options += ["--corpus", "mosi@shown", "--reference", "none"]
    with named(model) as server:
        code, _, errors = msa("mllm", name, *target, "--server", server.url, *options)
        assert not server.bodies
    assert code == 2
    assert f"model {model} takes text" in errors and asker in errors
    assert "msa list mllms" in errors


@pytest.mark.parametrize("model", [SEES, HEARS, READS])
def test_canary(msa, folder, model):
    media = ("--corpus", "mosi@shown", "--media", folder) if TAKES[model] else ()
    with named(model) as server:
        msa(
            *("mllm", "canary", model, "--server", server.url, "--reference", "none", *media),
            *("--items", 2, "--prompt", "en-direct", *SIZE),
        )
        assert server.bodies and media_of(server.bodies) == TAKES[model]
