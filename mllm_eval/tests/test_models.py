"""Model cards: every one is complete, and each is found by the names people use."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from harness.cli import app
from harness.errors import SpecError
from mllm_eval.model.card import ModelCard, models, resolve


@pytest.mark.parametrize("card", models.values(), ids=lambda card: card.name)
def test_a_card_says_what_a_board_must_know(card):
    assert card.title
    assert card.source
    assert "unknown" not in (card.licence, card.trained_on)
    assert card.hosted or card.parameters
    assert "text" in card.inputs
    assert card.hosted == bool(card.key_variable)
    assert all(flag.startswith("--") for flag in card.flags)


def test_every_family_asked_for_has_a_card():
    hub = {card.weights.partition("/")[2].lower() for card in models.values()}
    for family in ("qwen2.5-omni-7b", "qwen3-omni", "qwen2.5-vl", "qwen3-vl", "minicpm-o"):
        assert any(name.startswith(family) for name in hub), family
    for family in ("gemma-3n", "gemma-4", "phi-4-multimodal", "internvl3_5", "qwen2-audio"):
        assert any(name.startswith(family) for name in hub), family
    assert sum(card.hosted for card in models.values()) >= 2


def test_media_limits_are_of_the_inputs_alone():
    assert models["smollm2-135m-q4"].media_limits == {}
    assert models["qwen2-audio-7b"].media_limits == {"audio": 1}
    card = ModelCard(name="x", title="x", weights="a/b", limits={"image": 3})
    assert card.media_limits == {"image": 3, "video": 1, "audio": 1}


def test_sampling_leaves_out_what_the_server_refuses():
    assert "top_k" not in models["gpt-4o"].sampling(max_tokens=4).fields()
    fields = models["qwen3-vl-8b"].sampling(max_tokens=4).fields()
    assert (fields["top_k"], fields["repetition_penalty"], fields["max_tokens"]) == (-1, 1.0, 4)


def test_thinking_is_switched_off_in_each_request():
    assert models["gemma-4-e4b"].extra == {"chat_template_kwargs": {"enable_thinking": False}}
    assert models["smollm2-135m"].extra == {}


def test_a_hub_id_with_a_card_is_that_card():
    assert resolve("Qwen/Qwen3-VL-8B-Instruct") is models["qwen3-vl-8b"]
    assert resolve("qwen3-vl-8b") is models["qwen3-vl-8b"]


def test_a_folder_is_served_under_its_name(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")
    card = resolve(str(tmp_path / "mine"))
    assert (card.name, card.weights) == ("mine", str(tmp_path / "mine"))
    with pytest.raises(SpecError, match=r"config\.json"):
        resolve(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "found"),
    [("qwen3-vl-8", "did you mean qwen3-vl-8b"), ("../x", "unknown"), ("a/b/c", "unknown")],
)
def test_an_unknown_model_is_one_error(name, found):
    with pytest.raises(SpecError, match=found) as caught:
        resolve(name)
    assert caught.value.hint == "msa list mllms"


@pytest.mark.parametrize(
    ("table", "found"),
    [
        ({}, "title"),
        ({"title": "x"}, "weights or a base_url"),
        ({"title": "x", "weights": "a/b", "base_url": "http://x"}, "weights or a base_url"),
        ({"title": "x", "weights": "a/b", "inputs": ["smell"]}, "smell"),
        ({"title": "x", "weights": "a/b", "inputs": ["text"], "limits": {"image": 1}}, "image"),
        ({"title": "x", "weights": "a/b", "limits": {"image": "many"}}, "image should be a count"),
        ({"title": "x", "weights": "a/b", "max_model_len": True}, "whole number"),
        ({"title": "x", "weights": "a/b", "parameters": "7B"}, "billions"),
        ({"title": "x", "weights": "a/b", "unsupported": ["messages"]}, "messages"),
        ({"title": "x", "weights": "a/b", "flags": "--x"}, "a list of texts"),
        ({"title": "x", "wieghts": "a/b"}, "wieghts"),
    ],
)
def test_a_wrong_card_names_the_model_and_the_key(table, found):
    with pytest.raises(SpecError, match=found) as caught:
        ModelCard.parse(table, name="broken")
    assert "broken" in str(caught.value)


def test_cards_are_listed():
    shown = CliRunner().invoke(app, ["list", "mllms", "--json"])
    assert shown.exit_code == 0
    for card in models.values():
        assert f'"{card.name}"' in shown.output
