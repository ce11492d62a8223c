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
from mllm_eval.explain.write import LONGEST_NOTE, LONGEST_REWRITING
from mllm_eval.forecast.surveys import forecast
from mllm_eval.model.card import ModelCard, models
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


def test_states_are_read_of_all_splits_and_nothing_is_answered(corpus, tmp_path, msa):
    suite = tmp_path / "states.toml"
    suite.write_text(SUITE.replace('"mllm"', '"mllm_hidden"').replace("zero_shot", "in_domain"))
    code, out, errors = msa("mllm", "run", suite, "--plan", "--rate", 4, "--json")
    assert code == 0, errors
    (row,) = json.loads(out)["rows"]
    assert (row["clips"], row["questions"], row["completion_tokens"]) == (60, 60, 0)
    assert row["hours"] == pytest.approx(60 / 4 / 3600)
    (row,) = json.loads(msa("mllm", "run", suite, "--plan", "--json")[1])["rows"]
    assert (row["hours"], row["rate_from"]) == (None, "states are not timed")


def test_a_plug_in_that_is_absent_leaves_the_other_rows_of_a_plan(corpus, tmp_path, msa):
    suite = tmp_path / "partial.toml"
    suite.write_text(SUITE + '[[systems]]\nname = "somebodys_own_fusion"\n')
    code, out, errors = msa("mllm", "run", suite, "--plan", "--json")
    assert code == 0, errors
    assert [row["row"] for row in json.loads(out)["rows"]] == ["mllm"]


def planned_explanations(msa, *arguments):
    code, out, errors = msa(
        *("mllm", "explain", "mosi@told", "--as", "x", "--plan", "--json", *arguments)
    )
    assert code == 0, errors
    return {row["row"]: row for row in json.loads(out)["rows"]}


def test_explanations_imagined_from_words_are_counted_without_a_server(corpus, msa, home):
    found = planned_explanations(
        *(msa, "--model", "gpt-4o", "--control", "transcript", "--rate", 3)
    )
    assert [found[name]["questions"] for name in ("notes", "rewriting")] == [120, 60]
    assert found["notes"]["completion_tokens"] == 120 * LONGEST_NOTE
    assert found["rewriting"]["completion_tokens"] == 60 * LONGEST_REWRITING
    assert found["rewriting"]["prompt_tokens"] > 60 * 2 * LONGEST_NOTE, "it reads both notes"
    assert found["notes"]["hours"] == pytest.approx(120 / 3 / 3600)
    for stage in found.values():
        price = models["gpt-4o"].price
        dollars = (
            price["prompt"] * stage["prompt_tokens"]
            + price["completion"] * stage["completion_tokens"]
        )
        assert stage["price"] == pytest.approx(dollars / 1e6)
    assert not (home.cache / "mllm").exists() and "mosi@x" not in CorpusStore(home.corpora)


def test_explanations_from_recordings_are_counted_by_what_can_be_shown(corpus, tmp_path, msa):
    ids = [clip for name in ("train", "valid", "test") for clip in corpus.split(name).ids]
    folder = recordings(tmp_path / "media", ids, absent=ids[:3])
    shown = ("--media", folder, "--frames", 2, "--size", 64)
    both = planned_explanations(msa, "--model", "gemma-4-e2b", *shown)
    assert (both["notes"]["questions"], both["rewriting"]["questions"]) == (2 * 57, 57)
    assert (both["notes"]["not_shown"], both["rewriting"]["media_bytes"]) == (3, 0)
    half_a_second = 16_000 / 2 * 2 * 4 / 3
    assert 57 * half_a_second < both["notes"]["media_bytes"] < 2 * 57 * half_a_second
    sees = planned_explanations(msa, "--model", "gpt-4o", *shown)
    assert sees["notes"]["questions"] == 57
    assert sees["notes"]["prompt_tokens"] is None, "its card does not tell what a frame takes"


def test_a_rate_belongs_to_a_plan(corpus, msa):
    code, _, errors = msa(
        *("mllm", "explain", "mosi@told", "--as", "x", "--model", "m", "--control", "transcript"),
        *("--rate", 2),
    )
    assert code == 2 and "--rate goes with --plan" in errors


@pytest.mark.parametrize(
    "command",
    [
        ("explain", "mosi@told", "--as", "x", "--control", "transcript", "--model", "m"),
        ("probe", "mosi@told", "--model", "m"),
        ("canary", "smollm2-135m"),
    ],
    ids=lambda command: command[0],
)
def test_whoever_asks_without_a_server_is_told_what_to_type(corpus, msa, command):
    code, _, errors = msa("mllm", *command)
    assert code == 2 and "no server is named to ask" in errors
    assert "next: msa mllm serve" in errors


def test_a_hosted_model_is_asked_where_its_card_says(corpus, msa, monkeypatch):
    card = models["gpt-4o"]
    monkeypatch.delenv(card.key_variable, raising=False)
    code, _, errors = msa("mllm", "probe", "mosi@told", "--model", "gpt-4o", "--only", "wording")
    assert code == 1 and f"{card.base_url} needs an API key in {card.key_variable}" in errors


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
