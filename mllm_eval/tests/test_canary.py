"""What the canary finds in servers that are well, deaf, fickle, or another model."""

from __future__ import annotations

import hashlib
import itertools
import json
import math

import numpy as np
import pytest
from typer.testing import CliRunner

from harness.cli import app
from harness.errors import DataError, RunFailed
from mllm_eval.canary.check import Canary, senses_of
from mllm_eval.canary.items import made
from mllm_eval.client import Client
from mllm_eval.client.journal import Answer
from mllm_eval.model.card import ModelCard, models
from mllm_eval.prompt.prompt import prompts
from mllm_eval.server.reference_worker import _decoded, _mark, _words
from mllm_eval.tests.fake_server import serving

CARD = ModelCard(name="m", title="m", weights="a/b", inputs=("text", "image", "audio"), system="S")
BOTH = frozenset({"vision", "audio"})


def rating(*shown):
    """A number on the scale that any change of what is shown changes, mostly."""
    digest = hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).digest()
    return f"{digest[0] % 61 / 10 - 3:.1f}"


def by_kind(messages, *kinds):
    return [part for part in messages[-1]["content"] if part["type"] in kinds]


def well(body):
    return rating(body["messages"])


def deaf(body):
    return rating(by_kind(body["messages"], "image_url", "text"))


def blind(body):
    return rating(by_kind(body["messages"], "input_audio", "text"))


def illiterate(body):
    return rating(by_kind(body["messages"], "input_audio", "image_url"))


def fickle():
    turn = itertools.count()
    return lambda body: rating(next(turn))


def same(request):
    """The reference of ``well``."""
    text = well(json.loads(request.body("m")))
    return Answer("", "answered", text, "stop", (), None, None, 0.0, 1)


def other(request):
    text = rating("another model", json.loads(request.body("m"))["messages"])
    return Answer("", "answered", text, "stop", (), None, None, 0.0, 1)


def found(rate, answer=None, senses=BOTH, prompt="en-direct"):
    with serving(rate) as server:
        client = Client(base_url=server.url, model="m", revision="r", engine="fake 1")
        canary = Canary(client, CARD, prompts[prompt], made(senses))
        return canary.findings(answer), server.bodies


def failed(findings):
    return {one.check for one in findings if not one.passed}


def test_a_server_that_is_well_passes_every_check():
    findings, bodies = found(well, same)
    assert [one.check for one in findings] == [
        *("reference", "order", "order", "vision", "audio", "text")
    ]
    assert failed(findings) == set()
    assert findings[0].value == findings[1].value == 0
    assert all(one.items == 32 for one in findings)
    assert len(bodies) == 6 * 32  # three orders, three changes
    assert {body["messages"][0]["content"][0] for body in bodies} == {"S"}  # the card's line first


@pytest.mark.parametrize(
    ("rate", "check"), [(deaf, "audio"), (blind, "vision"), (illiterate, "text")]
)
def test_lost_media_are_found(rate, check):
    findings, _ = found(rate)
    assert failed(findings) == {check}
    (one,) = (one for one in findings if one.check == check)
    assert one.value == 0
    assert "lost" in one.verdict


def test_another_model_is_found():
    findings, _ = found(well, other)
    assert failed(findings) == {"reference"}
    assert findings[0].value > 0.8


def test_answers_that_change_between_orders_are_found():
    findings, _ = found(fickle(), senses=frozenset())
    assert "order" in failed(findings)
    assert findings[0].value > 0.8


def test_one_order_is_not_the_other():
    _, bodies = found(well, senses=frozenset())
    asked = [json.dumps(body["messages"]) for body in bodies]
    first, second, third = asked[:32], asked[32:64], asked[64:96]
    assert set(first) == set(second) == set(third)
    assert first != second != third != first


def test_a_model_without_media_has_no_checks_of_them():
    findings, bodies = found(well, senses=frozenset())
    assert {one.check for one in findings} == {"order", "text"}
    assert not any(by_kind(body["messages"], "image_url", "input_audio") for body in bodies)
    assert senses_of(models["smollm2-135m-q4"]) == frozenset()
    assert senses_of(models["random-omni"]) == BOTH
    assert senses_of(models["qwen2.5-vl-7b"]) == {"vision"}


def test_answers_that_cannot_be_read_have_no_scores():
    findings, _ = found(lambda body: "well, " + well(body), senses=frozenset())
    (text,) = (one for one in findings if one.check == "text")
    assert not text.passed
    assert math.isnan(text.value)
    assert "cannot be told" in text.verdict


def test_a_server_that_refuses_everything_is_one_error():
    with pytest.raises(RunFailed, match="answered none of 32 items"):
        found(lambda body: (400, {"error": {"message": "no audio here"}}))


def test_made_items_differ_and_blank_to_the_same():
    items = made(BOTH)
    assert len({item.text for item in items}) == len(items) == 32
    shown = [json.dumps(item.content(frozenset())) for item in items]
    assert len(set(shown)) == 32
    assert len({json.dumps(item.content(BOTH)) for item in items}) == 1
    for item, whole in zip(items, shown, strict=True):
        half = item.content(frozenset({"audio"}))
        assert json.dumps(half) != whole
        assert half[:2] == json.loads(whole)[:2]


def test_made_pictures_and_sounds_are_what_they_claim():
    parts = made(BOTH)[3].content(frozenset())
    pictures = [item for part in parts for kind, item in _decoded(part) if kind == "images"]
    (sound,) = (item for part in parts for kind, item in _decoded(part) if kind == "audio")
    assert [picture.size for picture in pictures] == [(64, 64), (64, 64)]
    assert np.asarray(pictures[0]).std() > 100
    assert sound.shape == (16_000,)
    strongest = np.abs(np.fft.rfft(sound)).argmax()  # 1 s: bins are hertz
    assert strongest == round(220 * 2 ** (3 / 12))


def test_the_reference_sees_requests_as_chat_templates_do():
    parts = [*made(BOTH)[0].content(frozenset()), {"type": "text", "text": "well?"}]
    marks = [_mark(part) for part in parts]
    assert [mark["type"] for mark in marks] == ["image", "image", "audio", "text"]
    assert _words(parts) == "well?"
    assert _words("well?") == "well?"


@pytest.mark.slow
def test_the_command_reports_and_fails_on_a_finding(monkeypatch):
    monkeypatch.setattr("mllm_eval.model.card.resolve", lambda name: CARD)
    for rate, code in ((well, 0), (deaf, 1)):
        with serving(rate) as server:
            arguments = ["mllm", "canary", "m", "--server", server.url, "--reference", "none"]
            arguments += ["--prompt", "en-direct"]
            shown = CliRunner().invoke(app, [*arguments, "--json"])
            assert shown.exit_code == code, shown.output
            told = json.loads(shown.output)
            assert told["engine"] == "fake 1.0"
            assert [one["passed"] for one in told["findings"]].count(False) == code
            table = CliRunner().invoke(app, arguments).output
            assert ("LOOK" in table) == bool(code)


def test_a_corpus_without_recordings_shows_no_media(tmp_path, monkeypatch):
    from harness.data.store import CorpusStore
    from harness.data.twins.generate import generate
    from harness.home import Home
    from mllm_eval.canary.check import clips
    from mllm_eval.media.sampling import FrameSampling

    corpus = CorpusStore(Home(tmp_path).corpora).add(generate("mosi-twin@compact-x5"))
    items = clips(corpus.split("valid"), None, frozenset(), FrameSampling())
    assert [item.content(frozenset()) for item in items] == [[]] * len(items)
    assert {item.text for item in items} <= set(corpus.split("valid").clips["text"])
    with pytest.raises(DataError, match="expected clips with recordings"):
        clips(corpus.split("valid"), tmp_path, BOTH, FrameSampling())
