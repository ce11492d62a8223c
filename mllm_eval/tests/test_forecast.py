"""What asking takes is said before anything is asked, and without a server."""

from __future__ import annotations

import json
import sys

import pandas as pd
import pytest
from clips_on_disk import recordings

from harness.data.corpus import Corpus
from harness.data.store import CorpusStore, Draft
from harness.errors import SpecError
from harness.home import Home
from harness.testing.server import serve_chat
from mllm_eval.model.card import ModelCard, models
from mllm_eval.zero_shot.forecast import forecast
from mllm_eval.zero_shot.system import MLLMParams

NOBODY = (None, "never asked here")
SUITE = """
corpora = ["mosi@told"]
seeds = 1
protocol = { name = "zero_shot" }
[[systems]]
name = "mllm"
params = { model = "m", condition = "text" }
"""


@pytest.fixture
def home(tmp_path, monkeypatch) -> Home:
    monkeypatch.setenv("MSA_HOME", str(tmp_path / "home"))
    return Home(tmp_path / "home")


@pytest.fixture
def corpus(home) -> Corpus:
    rows = [
        {"video": f"v{i // 4}", "clip": str(i % 4), "text": "so it goes on", "label": i % 7 - 3.0}
        for i in range(60)
    ]
    clips = pd.DataFrame(rows).assign(split=["train"] * 20 + ["valid"] * 20 + ["test"] * 20)
    clips.insert(0, "id", clips["video"] + "_" + clips["clip"])
    return CorpusStore(home.corpora).add(
        Draft(name="mosi@told", clips=clips, streams={}, manifest={})
    )


def asked(corpus, rate=NOBODY, **params):
    return forecast(MLLMParams(**{"model": "gpt-4o", **params}), corpus, "row", rate)


def test_questions_are_counted_exactly(corpus):
    found = asked(corpus, condition="text")
    assert (found.clips, found.questions, found.media_bytes) == (40, 120, 0)
    assert asked(corpus, condition="text", turns=7).questions == 40 * (2 + 7)
    assert asked(corpus, condition="text", prompt="en-direct").questions == 40


def test_price_and_hours(corpus):
    found = asked(corpus, (2.0, "stated"), condition="text", prompt="en-direct")
    assert found.hours == pytest.approx(40 / 2 / 3600)
    card = models["gpt-4o"]
    dollars = card.price["prompt"] * found.prompt_tokens + card.price["completion"] * 40 * 32
    assert found.price == pytest.approx(dollars / 1e6)
    free = asked(corpus, condition="text", prompt="en-direct", model="somebody/else")
    assert (free.price, free.hours) == (None, None)
    with pytest.raises(SpecError, match="price has prompt and completion"):
        ModelCard.parse({"title": "x", "weights": "a/b", "price": {"prompt": 1.0}}, name="x")


def test_frames_and_sound_are_sized_by_what_is_sent(corpus, tmp_path):
    ids = [*corpus.split("valid").ids, *corpus.split("test").ids]
    folder = recordings(tmp_path / "media", ids, absent=ids[:1])
    shown = {"media": str(folder), "prompt": "en-direct", "frames": 2, "size": 64}
    hears = asked(corpus, model="gemma-4-e2b", condition="all", **shown)
    half_a_second = 16_000 / 2 * 2 * 4 / 3
    assert 39 * half_a_second < hears.media_bytes < 2 * 39 * half_a_second
    words = asked(corpus, model="gemma-4-e2b", condition="text", prompt="en-direct")
    assert hears.prompt_tokens == words.prompt_tokens + 39 * 2 * 280
    sees = asked(corpus, condition="vision", **shown)
    assert (sees.not_shown, sees.questions) == (1, 39)
    assert sees.prompt_tokens is None, "its card does not tell what a frame takes"


@pytest.fixture
def msa(monkeypatch, capsys):
    from harness.cli import main

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["msa", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return call


def test_a_plan_needs_no_server_and_a_trial_measures_the_rate(msa, corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    suite = tmp_path / "small.toml"
    suite.write_text(SUITE)
    code, out, errors = msa("mllm", "run", suite, "--plan", "--rate", 2)
    assert code == 0, errors
    assert all(words in out for words in ("120", "2/s, stated", "1 min"))
    with serve_chat(lambda body: "1.0") as server:
        code, _, errors = msa("mllm", "run", suite, "--limit", 5, "--server", server.url)
        assert code == 0, errors
        assert len(server.bodies) > 10
    code, out, _ = msa("mllm", "run", suite, "--plan", "--json")
    (row,) = json.loads(out)["rows"]
    assert row["rate"] > 0 and row["rate_from"] == "median of 1 stored runs"
    assert code == 0 and row["hours"] > 0
    boards = [path.read_text() for path in (tmp_path / "home" / "boards").glob("small_*.md")]
    assert any("TRIAL on 5 / 5 / 5 of 20 / 20 / 20 clips" in board for board in boards)
