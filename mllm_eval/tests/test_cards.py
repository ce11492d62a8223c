"""Cards decide what is sent, whoever asks; users add their own beside those of the code."""

from __future__ import annotations

import dataclasses
import json
import sys

import pytest

from harness._util.registry import TomlRegistry
from harness.data.datasets import datasets
from harness.errors import SpecError
from harness.home import Home
from mllm_eval.client import Client, Journal, Request, ask_all
from mllm_eval.model.card import ModelCard, models
from mllm_eval.prompt.prompt import Prompts, prompts
from mllm_eval.tests.fake_server import serving
from mllm_eval.zero_shot.system import MLLM, MLLMParams

# What the documentation of each provider says that its endpoint refuses (see the cards' sources).
REFUSED = {
    "gpt-5.5": {"max_tokens", "temperature", "top_p", "seed", "logprobs", "top_k"},
    "gpt-4o": {"top_k", "repetition_penalty", "max_completion_tokens"},
    "gemini-2.5-pro": {"top_k", "repetition_penalty", "seed", "logprobs", "chat_template_kwargs"},
    "gemini-3.5-flash": {"top_k", "repetition_penalty", "seed", "logprobs", "thinking"},
}


def body_of(card, **sampling):
    request = Request.of(
        [{"role": "user", "content": "?"}], sampling=card.sampling(**sampling), extra=card.extra
    )
    return json.loads(request.body(card.asked_as or card.name))


@pytest.mark.parametrize("name", REFUSED)
def test_hosted_models_are_sent_no_field_that_they_refuse(name):
    body = body_of(models[name], max_tokens=32)
    assert not REFUSED[name] & body.keys()
    assert body["messages"] and body["stream"] is False


def test_every_hosted_model_has_a_key_a_place_and_a_date():
    hosted = [card for card in models.values() if card.hosted]
    assert {card.name for card in hosted} == REFUSED.keys()
    for card in hosted:
        assert card.key_variable and card.base_url.startswith("https://") and card.checked


def test_thinking_and_snapshots_are_sent():
    body = body_of(models["gpt-5.5"], max_tokens=32)
    assert body["max_completion_tokens"] == 32 + 2048 and body["reasoning_effort"] == "low"
    assert body_of(models["gpt-4o"])["model"] == "gpt-4o-2024-11-20"
    assert body_of(models["qwen3-vl-8b"])["top_k"] == -1


def test_letters_are_not_asked_of_who_tells_no_probabilities():
    asked = MLLMParams(model="gpt-5.5", condition="text")
    with pytest.raises(SpecError, match="letters by their probabilities, which gpt"):
        asked.check_senses(datasets["mosi"])
    MLLMParams(model="gpt-5.5", condition="text", prompt="en-direct").check_senses(datasets["mosi"])


SOUND = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AAAA"}}


@pytest.mark.parametrize("part", ["input_audio", "audio_url"])
def test_sound_goes_in_the_kind_of_part_that_the_card_says(tmp_path, monkeypatch, part):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    messages = [{"role": "user", "content": [PICTURE, SOUND, {"type": "text", "text": "?"}]}]
    with serving(lambda body: "1") as server:
        client = Client(base_url=server.url, model="m", revision="r", engine="e", audio_part=part)
        with Journal(tmp_path / "j.jsonl") as journal:
            ask_all([Request.of(messages)], client, journal)
    picture, sound, _ = server.bodies[0]["messages"][0]["content"]
    assert picture == PICTURE
    if part == "input_audio":
        assert sound == SOUND
    else:
        url = {"url": "data:audio/wav;base64,AAAA"}
        assert sound == {"type": "audio_url", "audio_url": url}
    plain = Client(base_url=server.url, model="m", revision="r", engine="e")
    same = client.identity(Request.of(messages)).key == plain.identity(Request.of(messages)).key
    assert same == (part == "input_audio")


def test_frames_go_as_one_video_where_the_card_says(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    other = {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,BBBB"}}
    asked = Request.of(
        [{"role": "user", "content": [PICTURE, other, SOUND, {"type": "text", "text": "?"}]}]
    )
    body = json.loads(asked.body("m", "input_audio", "video_url"))
    film, *rest = body["messages"][0]["content"]
    assert film["video_url"]["url"] == "data:video/jpeg;base64,AAAA,BBBB"
    assert rest == [SOUND, {"type": "text", "text": "?"}]
    words = Request.of([{"role": "user", "content": "?"}])
    assert words.body("m", "input_audio", "video_url") == words.body("m")
    client = Client(base_url="http://a/v1", model="m", revision="", engine="")
    film_client = dataclasses.replace(client, frame_part="video_url")
    assert client.identity(asked).key != film_client.identity(asked).key
    table = {"title": "t", "weights": "a/b", "frame_part": "video_url", "inputs": ["image"]}
    with pytest.raises(SpecError, match="inputs has no video"):
        ModelCard.parse(table, name="t")
    assert models["qwen3-vl-8b"].sent == {}


def test_phi_4_is_heard_and_can_be_started():
    card = models["phi-4-multimodal"]
    assert card.audio_part == "audio_url"
    (adapters,) = (flag for flag in card.flags if flag.startswith("--default-mm-loras="))
    parsed = json.loads(adapters.partition("=")[2].replace("{weights}", "/w"))
    assert parsed == {"image": "/w/vision-lora", "audio": "/w/speech-lora"}


@pytest.mark.parametrize("name", [n for n, card in models.items() if not card.hosted])
def test_json_among_the_flags_of_a_card_is_json(name):
    for flag in models[name].flags:
        value = flag.partition("=")[2]
        if value.startswith("{"):
            assert isinstance(json.loads(value.replace("{weights}", "/w")), dict)


# By hand from the makers' rules: a token is 28 or 32 pixels square; a tile is 256 tokens.
@pytest.mark.parametrize(
    ("name", "size", "tokens"),
    [
        *(("qwen2.5-vl-7b", 448, 256), ("qwen3-vl-8b", 448, 196), ("gemma-4-e4b", 448, 280)),
        *(("internvl3.5-8b", 448, 256), ("gemma-3n-e4b", 1000, 256), ("minicpm-o-4.5", 448, None)),
        ("qwen2.5-vl-7b", 450, 289),
    ],
)
def test_tokens_of_a_frame(name, size, tokens):
    assert models[name].frame_tokens(size) == tokens


def test_what_cannot_fit_is_refused_before_anything_is_asked(tmp_path):
    """The tiling that vLLM takes for InternVL unless told otherwise: 13 tiles of a 4:3 frame."""
    card = ModelCard(
        **{"name": "t", "title": "t", "weights": "a/b", "max_model_len": 16384},
        **{"tiling": "tiles", "tile_tokens": 256, "most_tiles": 12},
    )
    assert card.frame_tokens(448) == 3328
    with pytest.raises(SpecError, match="8 frames of 448 pixels take up to 26,624 tokens of t"):
        card.check_budget(8, 448, "condition all")
    card.check_budget(4, 448, "condition all")
    for known in models.values():
        known.check_budget(8, 448, "the defaults fit every card")
    asked = MLLMParams(
        model="qwen2.5-vl-7b", frames=32, size=1000, media=str(tmp_path), prompt="en-direct"
    )
    with pytest.raises(SpecError, match="frames of 1000 pixels"):
        asked.check_senses(datasets["mosi"])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tiling": "patches"}, "tile goes with"),
        ({"tile": 28}, "tile goes with"),
        ({"tiling": "fixed"}, "tile_tokens goes with"),
        ({"tiling": "patches", "tile": 28, "tile_tokens": 1}, "tile_tokens goes with"),
    ],
)
def test_half_a_tiling_is_refused(changes, says):
    with pytest.raises(SpecError, match=says):
        ModelCard(name="t", title="t", weights="a/b", **changes)


def test_users_add_cards_and_prompts(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "ours.toml").write_text('title = "Ours"\nweights = "a/b"\n')
    home = Home(tmp_path)
    found = TomlRegistry(
        models._folder, noun="model", load=ModelCard.load, hint="", own=lambda: home.models
    )
    assert found["ours"].weights == "a/b" and set(models) < set(found)
    (tmp_path / "models" / "gpt-4o.toml").write_text('title = "x"\nweights = "a/b"\n')
    taken = TomlRegistry(
        models._folder, noun="model", load=ModelCard.load, hint="", own=lambda: home.models
    )
    with pytest.raises(SpecError, match="model 'gpt-4o' comes with the code"):
        taken["ours"]


def test_a_prompt_of_the_users_own_is_never_preregistered(tmp_path):
    text = (prompts._folder / "en-direct.toml").read_text()
    (tmp_path / "mine.toml").write_text(text)
    own = Prompts(prompts._folder, own=lambda: tmp_path)
    assert own["mine"].digest == own["en-direct"].digest
    with pytest.raises(SpecError, match="mine is not one of the preregistered"):
        own.preregistered("en")
    (tmp_path / "mine.toml").write_text(
        text.replace("preregistered = true", "preregistered = false")
    )
    own = Prompts(prompts._folder, own=lambda: tmp_path)
    assert own.preregistered("en") == prompts.preregistered("en")


def test_a_card_is_shown(monkeypatch, capsys):
    from harness.cli import main

    monkeypatch.setattr(sys, "argv", ["msa", "card", "internvl3.5-8b"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    shown = capsys.readouterr().out
    assert "title: InternVL3.5-8B" in shown and "max_dynamic_patch" in shown
    assert "checked: 2026-11-30" in shown


# How hard to try is no part of an identity.


def test_concurrency_and_timeout_bound_the_client():
    asked = MLLMParams(model="m", concurrency="4", timeout="2.5")
    assert (asked.limits.start, asked.limits.most, asked.limits.timeout) == (4, 4, 2.5)
    usual = MLLMParams(model="m").limits
    assert (usual.start, usual.most, usual.timeout) == (8, 64, 120.0)
    assert MLLMParams(model="m", concurrency="200").limits.most == 200
    assert {"concurrency", "timeout"} <= MLLM.locations


@pytest.mark.parametrize(
    "given", [{"concurrency": "many"}, {"concurrency": "0"}, {"timeout": "-1"}]
)
def test_bounds_that_are_none_are_refused(given):
    with pytest.raises(SpecError):
        MLLMParams(model="m", **given).check_senses(datasets["mosi"])
